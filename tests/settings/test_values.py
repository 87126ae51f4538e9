"""Values that no command can work with are refused by name, before anything heavy is imported."""

import importlib
from functools import cache

import pytest
from composed import config_of, settings_of
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import InstantiationException
from omegaconf import OmegaConf, open_dict

from facemask_ensemble.config import CONF_DIR, read_settings
from facemask_ensemble.errors import InputError
from facemask_ensemble.evaluate import check_methods
from facemask_ensemble.settings.webcam import WebcamSettings
from facemask_ensemble.training.launch import check
from facemask_ensemble.webcam import check_files

NEEDED = {"predict": ["input=here"], "export": ["output=there"], "webcam": ["output=a.mp4"]}
DATASET = [
    ("dataset.limit=0", "dataset.limit=0: must be a whole number of at least 1, or null"),
    ("dataset.test=1.5", "dataset.test=1.5: must be a share between 0 and 1"),
    ("dataset.validation=few", "dataset.validation=few: must be a share between 0 and 1"),
    ("dataset.folds=1", "dataset.folds=1: must be a whole number of at least 2, or null"),
    ("dataset.near_duplicates=17", "dataset.near_duplicates=17: must be a whole number of bits from 0 to 16, or null"),
    ("+dataset.vailidation=0.2", "dataset.vailidation: there is no such key; did you mean dataset.validation?"),
]
ENSEMBLE = [
    ("members=one", "members=one: must be a list"),
    ("+studdy=one", "studdy: there is no such key; did you mean study?"),
    ("tracking=server", "tracking.uri needs a value; give tracking.uri=…"),
    ("ties=safest_class ties.order=none", "ties.order=none: must be a list"),
]
ANSWERING = [
    *ENSEMBLE,
    ("batch_size=0", "batch_size=0: must be a whole number of at least 1"),
    ("votes=few", "votes=few: must be one of decided, all"),
]
FACES = [
    ("detector=haar detector.margin=-1", "detector.margin=-1: must be a share of a box"),
    ("detector=haar detector.margin=11", "detector.margin=11: must be a share of a box"),
    ("detector=haar detector.margin=[0.1,0.2,0.3]", r"detector.margin=\[0.1,0.2,0.3\]: .* or four: \[left,top,"),
    ("detector=haar detector.margin=[0,0,0,-1]", "must be a share of a box"),
    ("detector=haar detector.margin=wide", "detector.margin=wide: must be a share of a box"),
    ("detector=haar detector.longest=10", "detector.longest=10: must be a whole number of pixels of at least 64"),
    ("detector=haar detector.longest=99.5", "detector.longest=99.5: must be a whole number"),
    ("detector=haar detector.masked=mask", "detector.masked=mask: must be a list"),
    ("detector=haar detector.masked=[]", r"detector.masked=\[\]: must be a list"),
]
REFUSED = {
    "train": [
        *DATASET,
        ("image_size=big", "image_size=big: must be a whole number of at least 1"),
        ("backbone.dropout=1", "backbone.dropout=1: must be a share from 0 to below 1"),
        ("backbone.head.pooling=max", "backbone.head.pooling=max: must be one of average, flatten"),
        ("backbone.head.hidden=8", "backbone.head.hidden=8: must be a list of whole numbers of at least 1"),
        ("augmentation=mixup augmentation.mixup.alpha=0", "augmentation.mixup.alpha=0: must be a number above 0"),
        ("tags=mine", "tags=mine: must be keys with values"),
        ("again=perhaps", "again=perhaps: must be true or false"),
        ("deterministic=1", "deterministic=1: must be true or false"),
        ("devices=most", "devices=most: must be a whole number of at least 1, or all"),
        ("~study", r"study is missing; give \+study=…"),
    ],
    "tune": [
        ("trials=0", "trials=0: must be a whole number of at least 1"),
        ("timeout=nan", "timeout=nan: must be a number of seconds above 0, or null"),
        ("metric=f1", "metric=f1: must be one of val_loss, val_accuracy"),
        ("batch_size=0", "batch_size=0: must be a whole number"),
    ],
    "evaluate": [
        *DATASET,
        *ENSEMBLE,
        ("gallery=-1", "gallery=-1: must be a whole number of at least 0"),
        ("resamples=many", "resamples=many: must be a whole number of at least 0"),
        ("shift=0", "shift=0: must be a whole number of at least 1, or null"),
        ("seen=ignore", "seen=ignore: must be one of refuse, leave_out"),
        ("learn=test", "learn=test: must be one of validation, folds"),
        ("conformal_error=1", "conformal_error=1: must be a share between 0 and 1"),
        ("costs=maybe", "costs=maybe: must be true or false"),
        ("explanation.images=-1", "explanation.images=-1: must be a whole number of at least 0"),
        ("explanation.trust=201", "explanation.trust=201: must be at most explanation.images=200"),
        ("explanation.methods=layercam", "explanation.methods=layercam: must be a list"),
        ("heatmap=scorecam heatmap.channels=0", "heatmap.channels=0: must be a whole number of at least 1"),
    ],
    "predict": [
        *ANSWERING,
        *FACES,
        ("output=a.txt", "output=a.txt: must be a file whose name ends in .csv or .parquet"),
        ("again=perhaps", "again=perhaps: must be true or false"),
        ("engine=ray engine.cores=0", "engine.cores=0: must be a whole number of at least 1"),
        ("engine=ray engine.workers=0", "engine.workers=0: must be a whole number of at least 1, or null"),
        ("engine=ray engine.gpus=-1", "engine.gpus=-1: must be a number of at least 0"),
        (
            "engine=ray heatmap=gradcam",
            "engine=ray: does not work with heatmap=gradcam; give heatmap=none, or engine=lo",
        ),
        (
            "engine=ray detector=haar",
            "engine=ray: does not work with detector=haar; give detector=none, or engine=local",
        ),
        ("detector=haar heatmap=gradcam", "heatmap=gradcam: .* give heatmap=none, or detector=none"),
        ("input=???", r"input needs a value \(an image, a folder, a glob in quotes, .*\); give input=…"),
    ],
    "app": [
        *ANSWERING,
        ("port=65536", "port=65536: must be a whole number from 0 to 65535; 0 takes any free port"),
        ("port=true", "port=true: must be a whole number from 0 to 65535"),
        ("open_browser=yes", "open_browser=yes: must be true or false"),
        ("limits.images=0", "limits.images=0: must be a whole number of at least 1"),
        ("limits.megabytes=0", "limits.megabytes=0: must be a number above 0"),
        ("limits.megapixels=big", "limits.megapixels=big: must be a number above 0"),
        ("keep_minutes=-1", "keep_minutes=-1: must be a number above 0"),
    ],
    "webcam": [
        *ANSWERING,
        *FACES,
        ("output=a.gif", "output=a.gif: must be a file whose name ends in .mp4 or .avi"),
        ("codec=h", "codec=h: must be four letters"),
        ("detector=none", "detector=none: .* give detector=haar or detector=mtcnn"),
        ("window=maybe", "window=maybe: must be true, false or null"),
        ("again=yes", "again=yes: must be true or false"),
        ("window=false output=null", "window=false: shows nothing without an output; give output=FILE.mp4"),
    ],
    "export": [
        *ENSEMBLE,
        ("graph=all", "graph=all: must be one of members, ensemble, both"),
        ("count=0", "count=0: must be a whole number of at least 1"),
        ("tolerance=2", "tolerance=2: must be a difference of probabilities from 0 to 1"),
        ("format=onnx format.precision=int8", "format.precision=int8: onnx is written in float32"),
    ],
    "ship": [
        ("margin=1", "margin=1: must be a share from 0 to below 1, such as 0.02 for two points of accuracy"),
        ("margin=true", "margin=true: must be a share from 0 to below 1"),
        ("champion=perhaps", "champion=perhaps: must be true or false"),
    ],
    "audit": DATASET,
    "upload": [("folder=???", r"folder needs a value \(the folder that the training printed\); give folder=…")],
}


@cache
def chosen(command, *overrides):
    return config_of(command, *NEEDED.get(command, []), *overrides)


def changed(command, overrides):
    """Give what the overrides compose to; those of values change a copy, since composing takes a tenth of a second."""
    groups = [text for text in overrides if (CONF_DIR / text.partition("=")[0]).is_dir()]
    cfg = chosen(command, *groups).copy()
    for override in OverridesParser.create().parse_overrides([text for text in overrides if text not in groups]):
        if override.is_delete():
            with open_dict(cfg):
                del cfg[override.key_or_group]
        else:
            OmegaConf.update(cfg, override.key_or_group, override.value(), force_add=override.is_add())
    return cfg


def kind_of(command):
    module = importlib.import_module(f"facemask_ensemble.settings.{command}")
    return getattr(module, f"{command.capitalize()}Settings")


@pytest.mark.parametrize(
    ("command", "given", "message"), [(command, *one) for command, cases in REFUSED.items() for one in cases]
)
def test_a_value_that_a_command_cannot_work_with_is_refused_by_name(command, given, message):
    with pytest.raises(InputError, match=message) as refused:
        read_settings(kind_of(command), changed(command, given.split()))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("image_size=70", r"image_size=70: must be a whole number of at least 71 \(the smallest side xception takes\)"),
        ("batch_size=0", "batch_size=0: must be a whole number of at least 1"),
        ("batch_size=true", "batch_size=true: must be a whole number"),
        ("devices=0", "devices=0: must be a whole number of at least 1"),
        ("label_smoothing=1", "label_smoothing=1: must be a share from 0 to below 1"),
        ("class_weights=some", "class_weights=some: must be balanced or null"),
        ("augmentation=mixup loader=directory", "augmentation.mixup: needs one-hot labels"),
        ("label_smoothing=0.1 loader=directory", "label_smoothing=0.1: needs .* give loader.labels=one_hot"),
        ("seed=-1", "seed=-1: must be a whole number of at least 0"),
        ("precision=half", "precision=half: must be one of auto, float32, mixed_float16, mixed_bfloat16"),
        ("backbone.weights=/no/such.h5", "backbone.weights=/no/such.h5: no such file"),
        ("dataset.root=/no/such", "dataset.root=/no/such: no such folder"),
        ("schedule.learning_rate=0", "schedule.learning_rate=0: must be a number above 0"),
    ],
)
def test_a_value_that_cannot_be_trained_with_is_refused_by_name(override, message):
    with pytest.raises((InputError, InstantiationException), match=message):
        check(changed("train", ["backbone=xception", *override.split()]))


def test_a_heatmap_method_that_there_is_not_is_refused():
    check_methods(["layercam", "scorecam"])
    with pytest.raises(InputError, match="explanation.methods=lime: there is no such method; choose from gradcam, "):
        check_methods(["layercam", "lime"])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("film.mp4", "there.csv"):
        (tmp_path / name).write_text("")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["source=gone.mp4", "output=a.mp4"], "source=gone.mp4: no such file; give a video file, or a camera"),
        (["source=-1", "output=a.mp4"], "source=-1: no such file"),
        (["source=.", "output=a.mp4"], "source=.: no such file"),
        (["source=film.mp4", "output=./film.mp4", "again=true"], "output=./film.mp4: is the source itself"),
        (["output=there.mp4"], "there.csv already exists; give another output, or again=true"),
    ],
)
def test_a_video_that_is_not_there_or_would_write_over_a_file_is_refused(given, words, folder):
    with pytest.raises(InputError, match=words):
        check_files(settings_of(WebcamSettings, "webcam", *given))


@pytest.mark.parametrize("given", [[], ["source=film.mp4"], ["output=there.mp4", "again=true"], ["source=2"]])
def test_a_camera_or_a_video_to_a_window_or_a_file_is_taken(given, folder):
    check_files(settings_of(WebcamSettings, "webcam", *given))


@pytest.mark.parametrize(("given", "video"), [("0", "0"), ("12", "12"), ("a/1.mp4", "a/1.mp4")])
def test_a_number_is_a_camera_and_anything_else_a_file(given, video):
    source = settings_of(WebcamSettings, "webcam", f"source={given}").video
    assert str(source) == video
    assert isinstance(source, int) == given.isdecimal()
