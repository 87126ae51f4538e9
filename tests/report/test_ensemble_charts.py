import math

import pytest

from facemask_ensemble.report.ensemble_charts import choice_text, frontier_plot, reliability_plots, risk_plot

BACKBONES = (
    "densenet201",
    "efficientnetb3",
    "efficientnetv2s",
    "inceptionresnetv2",
    "inceptionv3",
    "resnet50v2",
    "vgg16",
)
LINE = 11.5  # height of a label's letters, as style.css has it
LETTER = 6.0  # and their mean width


def point(members: list[int], accuracy: float, cost: float | None, *, rule="alone", dominated=False) -> dict:
    return {
        "members": members,
        "rule": rule,
        "accuracy": accuracy,
        "interval": [accuracy - 0.1, accuracy + 0.05],
        "validation_accuracy": accuracy,
        "milliseconds": cost,
        "megabytes": None if cost is None else 10 * cost,
        "dominated": dominated,
    }


def plot(points: list[dict], chosen: int | None = 0, names=("ada", "bea")) -> dict:
    return frontier_plot({"members": list(names), "points": points, "chosen": chosen})


THREE = [
    point([0], 0.5, 1.0),
    point([1], 0.8, 10.0, dominated=True),
    point([0, 1], 0.9, 100.0, rule="soft"),
]


def test_a_choice_stands_over_the_logarithm_of_its_cost():
    # 652 wide from 52 on, the cheapest after 4 % of it and the dearest after 96 %; 324 high, from 50 % to 95 %.
    drawn = plot(THREE, chosen=1)
    assert [(dot["x"], dot["y"]) for dot in sorted(drawn["dots"], key=lambda dot: dot["x"])] == [
        (78.1, 338.0),
        (378.0, 122.0),
        (677.9, 50.0),
    ]
    assert drawn["x_title"] == "milliseconds an image, all members together"


def test_the_ticks_are_round_numbers_between_the_ends():
    drawn = plot(THREE)
    assert [tick["label"] for tick in drawn["x_ticks"]] == ["1", "2", "5", "10", "20", "50", "100"]
    assert drawn["x_ticks"][3]["x"] == 378.0
    assert drawn["x_ticks"][1]["x"] == pytest.approx(78.08 + 599.84 * math.log10(2) / 2, abs=0.05)
    assert [tick["label"] for tick in drawn["y_ticks"]] == ["50", "60", "70", "80", "90"]
    assert [tick["y"] for tick in drawn["y_ticks"]] == pytest.approx([338, 266, 194, 122, 50])


def test_what_is_chosen_lies_above_the_front_and_that_above_the_dominated():
    points = [
        point([0], 0.9, 1, dominated=False),
        point([1], 0.7, 2, dominated=True),
        point([0, 1], 0.8, 3, rule="soft", dominated=True),
    ]
    assert [(dot["kind"], dot["rule"]) for dot in plot(points, chosen=0)["dots"]] == [
        ("dominated", "alone"),
        ("dominated", "soft"),
        ("chosen", "alone"),
    ]
    assert [dot["kind"] for dot in plot(points, chosen=2)["dots"]] == ["dominated", "front", "chosen"]
    assert [dot["kind"] for dot in plot(points, chosen=None)["dots"]] == ["dominated", "dominated", "front"]


def test_the_front_is_listed_by_cost_with_the_chosen_one_even_where_it_is_dominated():
    points = [point([0, 1], 0.9, 7, rule="soft"), point([0], 0.7, 3, dominated=True), point([1], 0.8, 4)]
    front = plot(points, chosen=1)["front"]
    assert [(row["name"], row["chosen"]) for row in front] == [
        ("ada alone", True),
        ("bea alone", False),
        ("all by soft", False),
    ]
    assert [row["milliseconds"] for row in front] == [3, 4, 7]


def test_without_costs_members_are_counted():
    points = [point([0], 0.6, None), point([1], 0.7, None), point([0, 1], 0.8, None, rule="soft")]
    drawn = plot(points)
    assert drawn["x_title"] == "members"
    assert [tick["label"] for tick in drawn["x_ticks"]] == ["1", "2"]
    assert {dot["x"] for dot in drawn["dots"]} == {78.1, 677.9} == {tick["x"] for tick in drawn["x_ticks"]}
    assert plot([points[0]])["dots"][0]["x"] == 78.1


def test_rules_are_named_once_in_the_order_of_the_choices():
    points = [point([0], 0.6, 1), *(point([0, 1], 0.7, 2, rule=rule) for rule in ("soft", "borda", "soft"))]
    assert plot(points)["rules"] == ["alone", "soft", "borda"]


def test_only_single_members_are_labelled():
    assert [label["label"] for label in plot(THREE)["labels"]] == ["bea", "ada"]


@pytest.mark.parametrize("accuracy", [0.0, 0.5, 0.9999, 1.0])
def test_choices_that_are_all_as_good_and_as_dear_stay_inside_the_plot(accuracy):
    drawn = plot([point([0], accuracy, 5.0), point([1], accuracy, 5.0, dominated=True)])
    assert all(52 <= dot["x"] <= 704 and 14 <= dot["y"] <= 338 for dot in drawn["dots"])
    assert all(14 <= tick["y"] <= 338 for tick in drawn["y_ticks"])
    assert len(drawn["y_ticks"]) > 1


@pytest.mark.parametrize("cost", [0.0031, 2.2, 1.1, 37.0, 60000.0])
def test_a_scale_has_two_ticks_whatever_two_members_cost(cost):
    ticks = plot([point([0], 0.7, cost), point([1], 0.7, cost), point([0, 1], 0.7, 2 * cost, rule="soft")])["x_ticks"]
    assert len({tick["label"] for tick in ticks}) >= 2
    assert all(52 <= tick["x"] <= 704 for tick in ticks)


def test_a_choice_is_told_in_one_line():
    assert choice_text(THREE[2], ["ada", "bea"]) == "all by soft: 90.0 % (80.0 to 95.0), 100 ms, 1000 MB"
    assert choice_text(point([1], 0.625, None), ["ada", "bea"]) == "bea alone: 62.5 % (52.5 to 67.5)"


def boxes(labels: list[dict]) -> list[tuple[float, float, float, float]]:
    """The rectangles that the labels take: left, right, top, bottom."""
    return [
        (left, left + LETTER * len(label["label"]), label["y"] - 0.75 * LINE, label["y"] + 0.2 * LINE)
        for label in labels
        for left in [label["x"] - LETTER * len(label["label"]) * (label["anchor"] == "end")]
    ]


def seven(accuracies, costs) -> list[dict]:
    singles = [point([place], *values) for place, values in enumerate(zip(accuracies, costs, strict=True))]
    return [*singles, point(list(range(7)), max(accuracies) + 0.01, sum(costs), rule="soft")]


@pytest.mark.parametrize(
    "points",
    [
        seven([0.81, 0.79, 0.86, 0.9, 0.78, 0.84, 0.88], [20, 11, 15, 40, 12, 10, 18]),
        seven([0.84] * 7, [15] * 7),
        seven([0.84, 0.841, 0.842, 0.843, 0.844, 0.845, 0.846], [10, 11, 12, 13, 14, 15, 16]),
        seven([0.801] * 7, [15] * 7),
        seven([0.801] * 3 + [0.9] * 4, [15] * 6 + [900]),
        # Two that are close at the right end, of which one has its name on its left.
        [point([0], 0.7, 1.0), point([3], 0.9, 9.5), point([2], 0.899, 25.0)],
    ],
)
def test_labels_overlap_neither_each_other_nor_the_scale(points):
    found = boxes(plot(points, names=BACKBONES)["labels"])
    for place, (left, right, top, bottom) in enumerate(found):
        assert 0 <= left < right <= 720
        assert 0 <= top < bottom <= 345  # the numbers of the scale begin there
        for other_left, other_right, other_top, other_bottom in found[:place]:
            assert right <= other_left or other_right <= left or bottom <= other_top or other_bottom <= top


def bins(*rows: tuple[int, float, float]) -> list[dict]:
    return [
        {"images": count, "confidence": confidence, "accuracy": accuracy, "interval": [accuracy / 2, accuracy]}
        for count, confidence, accuracy in rows
    ]


def calibrated(name: str, before: list[dict], after: list[dict]) -> dict:
    return {
        "name": name,
        "temperature": 1.5,
        "before": {"expected_calibration_error": 0.1},
        "after": {"expected_calibration_error": 0.02},
        "reliability_before": before,
        "reliability_after": after,
    }


def test_a_reliability_diagram_is_a_square_of_confidence_and_accuracy():
    # 162 wide from 30 on, 162 high from 170 up.
    row = calibrated("ada", bins((25, 0.0, 0.0), (100, 0.5, 1.0)), bins((4, 1.0, 0.5)))
    [drawn] = reliability_plots({"rows": [row]})
    places = [[dot[key] for key in ("x", "y", "y0", "y1", "r")] for dot in drawn["before"]["dots"]]
    assert places == [[30, 170, 170, 170, 4.0], [111, 8, 89, 8, 6.0]]
    assert drawn["before"]["path"] == "M30.0 170.0L111.0 8.0"
    assert [[dot[key] for key in ("x", "y", "y0", "y1", "r")] for dot in drawn["after"]["dots"]] == [
        [192, 89, 129.5, 89, 6.0]
    ]
    assert drawn["before"]["dots"][1]["text"] == "100 images: 50 % sure, 100 % right"
    assert (drawn["name"], drawn["temperature"]) == ("ada", 1.5)
    assert (drawn["error_before"], drawn["error_after"]) == (0.1, 0.02)


def test_the_mean_of_the_members_is_drawn_first():
    rows = [calibrated(name, bins((1, 0.5, 0.5)), bins((1, 0.5, 0.5))) for name in ("ada", "bea", "mean of members")]
    assert [drawn["name"] for drawn in reliability_plots({"rows": rows})] == ["mean of members", "ada", "bea"]


def test_the_error_is_drawn_over_the_share_that_is_answered():
    # 652 wide from 52 on; 324 high, up to 8 %: the next round number above 7 %.
    drawn = risk_plot({"coverage": [0.25, 0.5, 1.0], "risk": [0.0, 0.02, 0.07]})
    assert drawn["path"] == "M215.0 338.0L378.0 257.0L704.0 54.5"
    assert [(tick["x"], tick["label"]) for tick in drawn["x_ticks"]] == [
        (52, "0"),
        (215, "25"),
        (378, "50"),
        (541, "75"),
        (704, "100"),
    ]
    assert [(tick["y"], tick["label"]) for tick in drawn["y_ticks"]] == [(338, "0"), (176, "4"), (14, "8")]


@pytest.mark.parametrize(("risk", "top"), [(0.0, "0.1"), (0.04, "4"), (0.41, "50"), (1.0, "100")])
def test_the_scale_of_the_error_ends_at_a_round_number(risk, top):
    assert risk_plot({"coverage": [1.0], "risk": [risk]})["y_ticks"][-1]["label"] == top
