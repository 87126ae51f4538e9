"""What MLflow is told of a training, beside its files and metrics."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import hydra
import keras
import tensorflow as tf

from facemask_ensemble.data.manifest import Manifest


def tags(config: dict[str, Any], manifest: Manifest, policy: str, model: keras.Model) -> dict[str, str]:
    """Describe a training by what members are found by later."""
    weights = config["backbone"]["weights"]
    return {
        "kind": "member",
        "backbone": config["backbone"]["name"],
        "init": "random initialisation" if weights is None else Path(weights).name,
        "precision": policy,
        "device": "gpu" if tf.config.list_physical_devices("GPU") else "cpu",
        "dataset": manifest.name,
        "fingerprint": manifest.fingerprint,
        "class_names": json.dumps(manifest.class_names),
        "image_size": str(config["image_size"]),
        "parameters": str(model.count_params()),
    }


def params(config: dict[str, Any], policy: str) -> dict[str, Any]:
    """Describe a training by what runs are compared by."""
    schedule = config["schedule"]
    return {
        "backbone": config["backbone"]["name"],
        "weights": config["backbone"]["weights"],
        "dataset": config["dataset"]["name"],
        "dataset_limit": config["dataset"]["limit"],
        "loader": config["loader"]["name"],
        "loader_resize": config["loader"]["resize"],
        "image_size": config["image_size"],
        "batch_size": config["batch_size"],
        "schedule": schedule["_target_"].rpartition(".")[2],
        "epochs": schedule["epochs"],
        "learning_rate": schedule["learning_rate"],
        "augmentation": config["augmentation"]["name"],
        "precision": policy,
        "seed": config["seed"],
        "phases": json.dumps([asdict(phase) for phase in hydra.utils.instantiate(schedule)]),
    }
