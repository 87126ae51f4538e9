import numpy as np
import pytest
from PIL import Image

from facemask_ensemble.plots.learning_curves import learning_curves
from facemask_ensemble.report import figures

NAMES = ["none", "all", "$x_1$"]


def scores(accuracy: float) -> dict:
    return {
        "accuracy": accuracy,
        "accuracy_interval": [accuracy - 0.1, accuracy + 0.05],
        "confusion_matrix": [[9, 1, 0], [1, 8, 1], [0, 0, 0]],
    }


@pytest.fixture
def report() -> dict:
    history = {"accuracy": [0.4, 0.7, None], "val_accuracy": [0.3, 0.6, 0.8], "loss": [2, 1, 0.5]}
    member = {"init": "random initialisation", "history": history}
    return {
        "dataset": {
            "class_names": NAMES,
            "images": 20,
            "judged_on": "test",
            "most_frequent_class_accuracy": 0.5,
        },
        "members": [{"backbone": "ada", **member, **scores(0.8)}, {"backbone": "bea", **member, **scores(0.7)}],
        "ensemble": {"majority": scores(0.85), "soft": scores(0.9)},
        "shipped": "majority",
        "comparison": {"best_member": "ada"},
        "agreement": [[1, 0.75], [0.75, 1]],
        "errors": [12, 6, 2],
        "errors_vote_right": [12, 5, 0],
    }


@pytest.mark.heavy
def test_every_figure_is_written_as_an_image_with_something_on_it(report, tmp_path):
    paths = figures.write_figures(report, tmp_path / "figures")
    assert [path.name for path in paths] == [
        "members.png",
        "confusion.png",
        "learning_curves.png",
        "agreement.png",
        "missed.png",
    ]
    for path in paths:
        pixels = np.asarray(Image.open(path).convert("RGB"))
        assert min(pixels.shape[:2]) > 250
        assert 0.005 < (pixels < 250).any(axis=2).mean() < 0.9


def test_without_histories_there_is_no_figure_of_them(report, tmp_path):
    for member in report["members"]:
        del member["history"]
    assert "learning_curves.png" not in [path.name for path in figures.write_figures(report, tmp_path)]


def test_the_members_figure_names_the_start_and_what_was_judged_on(report):
    (axes,) = figures.members(report).axes
    assert "random initialisation" in axes.get_title(loc="left")
    assert axes.get_xlabel() == "accuracy on 20 test images, %"
    order = [label.get_text() for label in axes.get_yticklabels()]
    assert order == ["soft vote", "majority vote", "ada", "bea"]


def test_a_confusion_matrix_shows_the_counts_and_shades_the_shares(report):
    axes = figures.confusion(report).axes[0]
    assert [text.get_text() for text in axes.texts] == ["9", "1", "0", "1", "8", "1", "0", "0", "0"]
    assert axes.images[0].get_array()[0].tolist() == [0.9, 0.1, 0]
    assert axes.images[0].get_array()[2].tolist() == [0, 0, 0]


def test_learning_curves_of_one_member_stand_alone(report):
    figure = learning_curves(report["members"][:1])
    assert [line.get_label() for line in figure.axes[0].lines] == ["training", "validation"]
    assert figure.axes[0].lines[1].get_ydata().tolist() == [30, 60, 80]


def test_missed_images_stack_what_the_vote_saved_below_what_it_lost(report):
    axes = figures.missed(report).axes[0]
    assert [patch.get_height() for patch in axes.patches] == [12, 5, 0, 0, 1, 2]
