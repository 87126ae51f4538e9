import pandas as pd
import pytest

from facemask_ensemble.training.scores import kept, scores, speed


def test_accuracy_counts_images_and_balanced_accuracy_counts_classes():
    """Validation: three of four right; of class a two of three, of class b one of one. Test: one of two."""
    table = pd.DataFrame(
        {
            "split": ["validation"] * 4 + ["test"] * 2,
            "label": [0, 0, 0, 1, 0, 1],
            "p_a": [0.9, 0.6, 0.2, 0.1, 0.7, 0.7],
            "p_b": [0.1, 0.4, 0.8, 0.9, 0.3, 0.3],
        }
    )
    assert scores(table, ["a", "b"]) == {
        "validation_accuracy": 0.75,
        "test_accuracy": 0.5,
        "validation_balanced_accuracy": pytest.approx((2 / 3 + 1) / 2),
        "test_balanced_accuracy": 0.5,
    }


def test_the_speed_of_the_later_epochs_is_their_median():
    history = pd.DataFrame({"images_per_second": [10.0, 50.0, 60.0, 900.0]})
    assert speed(history) == {"first_images_per_second": 10.0, "later_images_per_second": 60.0}
    assert speed(history[:1]) == {"first_images_per_second": 10.0}


def test_the_epoch_of_the_lowest_validation_loss_is_the_one_that_is_kept():
    history = pd.DataFrame({"epoch": [1, 2, 3], "accuracy": [0.5, 0.75, 0.9], "val_loss": [0.9, 0.4, float("nan")]})
    assert kept(history) == {"best_epoch": 2, "train_accuracy": 0.75}
