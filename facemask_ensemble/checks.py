"""What the values of a configuration may be: each command refuses here what it cannot work with, in one line."""

import importlib.util
import re
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from facemask_ensemble.config import options
from facemask_ensemble.errors import InputError
from facemask_ensemble.weights import check_weights

PRECISIONS = ("auto", "float32", "mixed_float16", "mixed_bfloat16")
LOSSES = {"one_hot": "categorical_crossentropy", "integers": "sparse_categorical_crossentropy"}


def check_training(cfg: DictConfig) -> None:
    """Refuse values that no training can work with.

    Raises:
        InputError: naming the key, the value and the rule.
    """
    _whole(cfg, "image_size", cfg.backbone.smallest_side, f"the smallest side {cfg.backbone.name} takes")
    _whole(cfg, "batch_size", 1)
    _whole(cfg, "seed", 0)
    if cfg.devices != "all":
        _whole(cfg, "devices", 1)
    check_dataset(cfg)
    _check_loader(cfg.loader)
    _check_loss(cfg)
    if cfg.precision not in PRECISIONS:
        raise InputError(f"precision={cfg.precision}: must be one of {', '.join(PRECISIONS)}")
    backbone = cfg.backbone
    pretrained = "weights" in backbone.features
    check_weights(backbone.weights, backbone.official, name=backbone.name, pretrained=pretrained)


def check_dataset(cfg: DictConfig) -> None:
    """Refuse a limit, a share or a folder that no dataset has."""
    dataset = cfg.dataset
    if dataset.limit is not None:
        _whole(cfg, "dataset.limit", 1)
    for key in ("validation", "test"):
        share = dataset[key]
        if not isinstance(share, int | float) or not 0 < share < 1:
            raise InputError(f"dataset.{key}={share}: must be a share between 0 and 1, such as 0.15")
    if dataset.root is not None and not Path(str(dataset.root)).expanduser().is_dir():
        raise InputError(f"dataset.root={dataset.root}: no such folder; give the folder that holds the images")


def _check_loader(loader: DictConfig) -> None:
    if loader.labels not in LOSSES:
        raise InputError(f"loader.labels={loader.labels}: must be one of {', '.join(LOSSES)}")
    if loader.loss != LOSSES[loader.labels]:
        raise InputError(f"loader.loss={loader.loss}: loader.labels={loader.labels} need {LOSSES[loader.labels]}")
    if loader.resize not in ("ours", "reader"):
        raise InputError(f"loader.resize={loader.resize}: must be one of ours, reader")
    if loader.name == "tf_data" and loader.resize == "reader":
        raise InputError("loader.resize=reader: tf_data reads with ours alone; give loader=directory or generator")


def _check_loss(cfg: DictConfig) -> None:
    smoothing = cfg.label_smoothing
    if not isinstance(smoothing, int | float) or not 0 <= smoothing < 1:
        raise InputError(f"label_smoothing={smoothing}: must be a share from 0 to below 1, such as 0.1")
    for key in ("label_smoothing", "augmentation.mixup"):
        if OmegaConf.select(cfg, key) and cfg.loader.labels == "integers":
            raise InputError(
                f"{key}={OmegaConf.select(cfg, key)}: needs labels that can be shared out; give "
                "loader.labels=one_hot loader.loss=categorical_crossentropy"
            )
    if cfg.class_weights not in (None, "balanced"):
        raise InputError(f"class_weights={cfg.class_weights}: must be balanced or null")


def check_evaluation(cfg: DictConfig) -> None:
    """Refuse a dataset, a number of images or a choice that cannot be."""
    check_dataset(cfg)
    _whole(cfg, "gallery", 0)
    _whole(cfg, "resamples", 0)
    if cfg.shift is not None:
        _whole(cfg, "shift", 1)
    _check_heatmap(cfg)
    _check_why(cfg)
    for key, choices in (("seen", ("refuse", "leave_out")), ("learn", ("validation", "folds"))):
        if cfg[key] not in choices:
            raise InputError(f"{key}={cfg[key]}: must be one of {', '.join(choices)}")
    error = cfg.conformal_error
    if not isinstance(error, int | float) or not 0 < error < 1:
        raise InputError(f"conformal_error={error}: must be a share between 0 and 1, such as 0.1")


def _check_why(cfg: DictConfig) -> None:
    for key in ("explanation.images", "explanation.trust"):
        _whole(cfg, key, 0)
    if cfg.explanation.trust > cfg.explanation.images:
        raise InputError(
            f"explanation.trust={cfg.explanation.trust}: must be at most explanation.images={cfg.explanation.images}"
        )
    methods = [name for name in options("heatmap") if name != "none"]
    for name in cfg.explanation.methods:
        if name not in methods:
            raise InputError(f"explanation.methods={name}: there is no such method; choose among {', '.join(methods)}")


def check_prediction(cfg: DictConfig) -> None:
    """Refuse a prediction without images, with an impossible batch, or into a file of another kind."""
    if OmegaConf.is_missing(cfg, "input"):
        raise InputError(
            "input: no images named; give input=PATH, an image, a folder, a glob in quotes, a list or an archive"
        )
    _check_ensemble(cfg)
    if cfg.votes not in ("decided", "all"):
        raise InputError(f"votes={cfg.votes}: must be one of decided, all")
    if not isinstance(cfg.again, bool):
        raise InputError(f"again={cfg.again}: must be true or false")
    _check_heatmap(cfg)
    if cfg.output is not None and not str(cfg.output).endswith((".csv", ".parquet")):
        raise InputError(f"output={cfg.output}: must be a file whose name ends in .csv or .parquet")
    if cfg.engine.name != "local":
        _check_ray(cfg)


def _check_ray(cfg: DictConfig) -> None:
    """Refuse what cannot be had from images that are decoded elsewhere, and workers that cannot be."""
    for group in ("heatmap", "detector"):
        if (name := cfg[group].name) != "none":
            raise InputError(f"engine=ray: gives answers alone; give {group}=none, or engine=local for {group}={name}")
    _whole(cfg, "engine.cores", 1)
    if cfg.engine.workers is not None:
        _whole(cfg, "engine.workers", 1)
    gpus = cfg.engine.gpus
    if not isinstance(gpus, int | float) or isinstance(gpus, bool) or gpus < 0:
        raise InputError(f"engine.gpus={gpus}: must be a number of at least 0")
    if importlib.util.find_spec("ray") is None:
        raise InputError('engine=ray needs the extra: pip install "facemask-ensemble[ray]"')


def check_page(cfg: DictConfig) -> None:
    """Refuse an address at which no page can be, or limits that let nothing in."""
    _check_ensemble(cfg)
    if cfg.votes not in ("decided", "all"):
        raise InputError(f"votes={cfg.votes}: must be one of decided, all")
    if not isinstance(cfg.port, int) or isinstance(cfg.port, bool) or not 0 <= cfg.port <= 65535:
        raise InputError(f"port={cfg.port}: must be a whole number from 0 to 65535; 0 takes any that is free")
    if not isinstance(cfg.open_browser, bool):
        raise InputError(f"open_browser={cfg.open_browser}: must be true or false")
    _check_heatmap(cfg)
    _whole(cfg, "limits.images", 1)
    for key in ("limits.megabytes", "limits.megapixels", "keep_minutes"):
        value = OmegaConf.select(cfg, key)
        if not isinstance(value, int | float) or isinstance(value, bool) or value <= 0:
            raise InputError(f"{key}={value}: must be a number above 0")


def _check_heatmap(cfg: DictConfig) -> None:
    if "channels" in cfg.heatmap:
        _whole(cfg, "heatmap.channels", 1)


def _check_ensemble(cfg: DictConfig) -> None:
    _whole(cfg, "batch_size", 1)
    refuse_other_rule(cfg)


def refuse_other_rule(cfg: DictConfig) -> None:
    """Refuse a rule, its members or its ties beside an ensemble that brings its own."""
    if cfg.ensemble is None:
        return
    for text in HydraConfig.get().overrides.task:
        if re.match(r"\+*(voting|ties|study|members)[.=]", text):
            raise InputError(
                f"{text}: ensemble={cfg.ensemble} brings its own members and its own rule; give one or the other"
            )


def _whole(cfg: DictConfig, key: str, minimum: int, why: str = "") -> None:
    value = OmegaConf.select(cfg, key)
    if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
        reason = f" ({why})" if why else ""
        raise InputError(f"{key}={value}: must be a whole number of at least {minimum}{reason}")
