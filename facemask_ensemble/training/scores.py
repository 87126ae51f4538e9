"""The final scores of a training, as MLflow shows them in its tables."""

from collections.abc import Sequence

import numpy as np
import pandas as pd


def scores(table: pd.DataFrame, class_names: Sequence[str]) -> dict[str, float]:
    """Judge the answers on both splits; balanced accuracy is the mean recall of the classes that are there."""
    right = table[[f"p_{name}" for name in class_names]].to_numpy().argmax(axis=1) == table["label"]
    accuracy = right.groupby(table["split"]).mean()
    recalls = right.groupby([table["split"], table["label"]]).mean()
    balanced = recalls.groupby("split").mean()
    return {f"{split}_accuracy": float(accuracy[split]) for split in ("validation", "test")} | {
        f"{split}_balanced_accuracy": float(balanced[split]) for split in ("validation", "test")
    }


def kept(history: pd.DataFrame) -> dict[str, float]:
    """Give the epoch of the kept weights, and its training accuracy, measured on augmented images during the epoch."""
    best = int(np.nanargmin(history["val_loss"]))
    return {"best_epoch": float(history["epoch"][best]), "train_accuracy": float(history["accuracy"][best])}


def speed(history: pd.DataFrame) -> dict[str, float]:
    """Give the images trained on a second: in the first epoch, tracing included, and the median of the later ones."""
    first, later = history["images_per_second"][0], history["images_per_second"][1:]
    speed = {"first_images_per_second": float(first)}
    return speed | {"later_images_per_second": float(later.median())} if len(later) else speed
