"""The tags and parameters of a training in MLflow."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import keras
import tensorflow as tf

from facemask_ensemble.data.manifest import Manifest
from facemask_ensemble.models.precision import Choice
from facemask_ensemble.settings.train import TrainSettings
from facemask_ensemble.training.schedules import Phase


def tags(
    settings: TrainSettings, manifest: Manifest, precision: Choice, init: str, model: keras.Model
) -> dict[str, str]:
    """Give the tags by which members are found later."""
    return {
        **{str(key): str(value) for key, value in settings.tags.items()},
        "kind": "member",
        "backbone": settings.backbone.name,
        "init": init,
        "precision": precision.policy,
        "precision_measured": str(precision),
        "backend": keras.backend.backend(),
        "device": _device(),
        "dataset": manifest.name,
        "task": settings.task.name,
        "fingerprint": manifest.fingerprint,
        "class_names": json.dumps(manifest.class_names),
        "image_size": str(settings.image_size),
        "parameters": str(model.count_params()),
    }


def params(settings: TrainSettings, policy: str, phases: Sequence[Phase]) -> dict[str, Any]:
    """Give the parameters by which runs are compared."""
    return {
        "backbone": settings.backbone.name,
        "weights": settings.backbone.weights,
        "dataset": settings.dataset.name,
        "dataset_limit": settings.dataset.limit,
        "loader": settings.loader.name,
        "loader_resize": settings.loader.resize,
        "image_size": settings.image_size,
        "batch_size": settings.batch_size,
        "schedule": settings.schedule.name,
        "epochs": phases[-1].epochs,
        "all_epochs": sum(phase.epochs for phase in phases),
        "learning_rate": phases[-1].learning_rate,
        "optimizer": settings.optimizer.name,
        "label_smoothing": settings.label_smoothing,
        "class_weights": settings.class_weights,
        "augmentation": settings.augmentation.name,
        "precision": policy,
        "seed": settings.seed,
        "phases": json.dumps([asdict(phase) for phase in phases]),
    }


def _device() -> str:
    if keras.backend.backend() == "jax":
        import jax

        return str(jax.devices()[0].platform)
    return "gpu" if tf.config.list_physical_devices("GPU") else "cpu"
