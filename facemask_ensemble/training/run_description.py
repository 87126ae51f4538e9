"""What MLflow is told of a training, beside its files and metrics."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import keras
import tensorflow as tf

from facemask_ensemble.data.manifest import Manifest
from facemask_ensemble.models.precision import Choice
from facemask_ensemble.training.schedules import Phase


def tags(
    config: dict[str, Any], manifest: Manifest, precision: Choice, init: str, model: keras.Model
) -> dict[str, str]:
    """Describe a training by what members are found by later."""
    return {
        **{str(key): str(value) for key, value in config["tags"].items()},
        "kind": "member",
        "backbone": config["backbone"]["name"],
        "init": init,
        "precision": precision.policy,
        "precision_measured": str(precision),
        "backend": keras.backend.backend(),
        "device": _device(),
        "dataset": manifest.name,
        "task": config["task"]["name"],
        "fingerprint": manifest.fingerprint,
        "class_names": json.dumps(manifest.class_names),
        "image_size": str(config["image_size"]),
        "parameters": str(model.count_params()),
    }


def params(config: dict[str, Any], policy: str, phases: Sequence[Phase]) -> dict[str, Any]:
    """Describe a training by what runs are compared by."""
    return {
        "backbone": config["backbone"]["name"],
        "weights": config["backbone"]["weights"],
        "dataset": config["dataset"]["name"],
        "dataset_limit": config["dataset"]["limit"],
        "loader": config["loader"]["name"],
        "loader_resize": config["loader"]["resize"],
        "image_size": config["image_size"],
        "batch_size": config["batch_size"],
        "schedule": config["schedule"]["_target_"].rpartition(".")[2],
        "epochs": phases[-1].epochs,
        "all_epochs": sum(phase.epochs for phase in phases),
        "learning_rate": phases[-1].learning_rate,
        "optimizer": config["optimizer"]["name"],
        "label_smoothing": config["label_smoothing"],
        "class_weights": config["class_weights"],
        "augmentation": config["augmentation"]["name"],
        "precision": policy,
        "seed": config["seed"],
        "phases": json.dumps([asdict(phase) for phase in phases]),
    }


def _device() -> str:
    if keras.backend.backend() == "jax":
        import jax

        return str(jax.devices()[0].platform)
    return "gpu" if tf.config.list_physical_devices("GPU") else "cpu"
