import json
import re
import shutil
import subprocess

import pytest
from html_page import Page
from processes import HANG

from facemask_ensemble.report.card import figure, significance, write_card
from facemask_ensemble.report.numbers import points

NASTY = "<script>alert(\"1\")</script> & '日本' überlang"
SEVEN = ("densenet201", "efficientnetb3", "inceptionresnetv2", "inceptionv3", "resnet50v2", "vgg16", "xception")
CARD = {
    "name": "kaggle_masks",
    "study": "seven_backbones",
    "rule": "greedy",
    "ties": "mean_probability",
    "class_names": ["none", "all", "some"],
    "members": [
        {"name": name, "weight": place / 28, "init": "random initialisation"} for place, name in enumerate(SEVEN, 1)
    ],
    "left_out": [{"name": "deep_cnn", "reason": "no better than always answering the most frequent class"}],
    "accuracy": 0.9731,
    "accuracy_interval": [0.95, 0.986],
    "images": 1320,
    "sentence": "No evidence that seven members are better than xception alone: the greedy vote differs by +0.6 points "
    "(95 % interval −0.3 to 1.6, p = 0.25).",
    "best_member": "xception",
    "difference": 0.006,
    "difference_interval": [-0.003, 0.016],
    "p_value": 0.25,
    "milliseconds": 412.3,
    "megabytes": 1623.1,
    "measured": "two cores, batches of 32, float32",
    "tie_rate": 0.013,
    "abstention_rate": 0.021,
    "coverage": "Sets of classes that miss the truth in one image of ten name 1.08 classes on average.",
    "send": "A person who looks at the 4.2 % least sure images leaves 0.9 % mistakes among the rest.",
    "log_loss": 0.1034,
    "expected_calibration_error": 0.0123,
    "temperature": 1.34,
    "fingerprint": "0123456789abcdef" * 4,
    "dataset": "kaggle_masks",
    "dataset_images": 10432,
    "warnings": ["Every member started from random weights.", "The dataset was cut to 2,000 images."],
    "must_not": ["Deciding about a person without a person looking.", "Telling who somebody is."],
    "per_class_recall": {"none": 0.99, "all": 0.97, "some": 0.813},
    "command": "python -m facemask_ensemble.evaluate study=seven_backbones voting=greedy",
    "written": "2026-11-21 15:02 UTC",
}


def drawn(folder, **changed):
    return Page(write_card(CARD | changed, folder).read_text(encoding="utf-8"))


def test_the_page_says_what_is_known(tmp_path):
    text = drawn(tmp_path).text
    expected = (
        "97.3 % of 1 320 test images answered correctly, 95 % interval 95.0 to 98.6 %", CARD["sentence"],
        "Every member started from random weights.", "xception random initialisation 0.250", "deep_cnn (no better",
        "Rule greedy", "Ties decided by mean probability", "Tied images 1.3 %", "No answer 2.1 %",
        "Best member xception", "Difference +0.6 points −0.3 to 1.6, p = 0.25", "412 ms", "1 623 MB", "Log loss 0.103",
        "Calibration error 1.2 % expected", "Temperature 1.34", CARD["coverage"], CARD["send"], "some 81.3",
        "Telling who somebody is.", "kaggle_masks 10 432 images", CARD["fingerprint"], CARD["command"],
    )  # fmt: skip
    for words in expected:
        assert words in text


def test_the_numbers_lie_beside_it(tmp_path):
    page = write_card(CARD | {"log_loss": float("nan")}, tmp_path / "new" / "ensemble")
    assert page == tmp_path / "new" / "ensemble" / "card.html"
    assert json.loads((page.parent / "card.json").read_text(encoding="utf-8")) == CARD | {"log_loss": None}


def test_what_is_not_known_is_a_dash(tmp_path):
    nothing = Page(write_card({}, tmp_path / "nothing").read_text(encoding="utf-8"))
    unknown = drawn(tmp_path / "unknown", **dict.fromkeys(CARD))
    assert nothing.text == unknown.text
    for words in ("Rule –", "Time per image –", "Log loss –", "Difference –", "Dataset –", "Command –"):
        assert words in nothing.text
    for words in ("None", "nan", "Read before use", "Left out", "points", "ms", "MB", "expected"):
        assert words not in nothing.text.split()


def test_members_without_weights_have_a_dash_and_no_bar(tmp_path):
    members = [{"name": "ada", "weight": None, "init": None}, {"name": "bea", "weight": 0.0, "init": "imagenet"}]
    page = drawn(tmp_path, members=members, per_class_recall={})
    assert "ada – –" in page.text
    assert "bea imagenet 0.000" in page.text
    assert [tag for tag, about in page.tags if about.get("class") == "bar"] == ["i"]


def test_the_longest_bar_is_the_heaviest_member_and_recalls_are_drawn_as_shares(tmp_path):
    members = [{"name": "ada", "weight": 0.2, "init": ""}, {"name": "bea", "weight": 0.05, "init": ""}]
    page = drawn(tmp_path, members=members)
    widths = [about["style"] for tag, about in page.tags if tag == "i" and "style" in about]
    assert widths == [f"width:{share}%" for share in ("100.0", "25.0", "99.0", "97.0", "81.3")]


def test_of_many_classes_the_lowest_are_drawn(tmp_path):
    page = drawn(tmp_path, per_class_recall={f"class{place}": 1 - place / 100 for place in range(40)} | {"never": None})
    assert page.text.index("never –") < page.text.index("class39 61.0") < page.text.index("class38 62.0")
    assert "class20" not in page.text
    assert "The lowest of 41 classes" in page.text


def test_hostile_names_are_text_and_nothing_is_loaded_from_elsewhere(tmp_path):
    texts = {key: NASTY for key, value in CARD.items() if isinstance(value, str)}
    lists = {"warnings": [NASTY], "must_not": [NASTY], "per_class_recall": {NASTY: 1.0}}
    hostile = {"members": [{"name": NASTY, "weight": 1, "init": NASTY}], "left_out": [{"name": NASTY, "reason": NASTY}]}
    page = drawn(tmp_path, **texts, **lists, **hostile)
    text = (tmp_path / "card.html").read_text(encoding="utf-8")
    assert page.text.count("überlang") == len(texts) + 8
    assert not {"script", "img", "link"} & {tag for tag, _ in page.tags}
    assert not re.findall(r"(?:src|href|url)[=(]", text)
    assert "http:" not in text
    assert "https:" not in text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0, "0"), (0.10345, "0.103"), (12.34, "12.3"), (999.6, "1\u202f000"), (1234.5, "1\u202f234")],
)
def test_figures_have_three_significant_digits(value, text):
    assert figure(value) == text


@pytest.mark.parametrize(("share", "text"), [(None, "–"), (0.0123, "+1.2"), (-0.05, "−5.0"), (-0.0001, "0.0")])
def test_differences_are_points_with_their_sign(share, text):
    assert points(share) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (1e-9, "p < 0.001"), (0.0213, "p = 0.021"), (0.5, "p = 0.50")]
)
def test_p_values_are_short(value, text):
    assert significance(value) == text


@pytest.mark.heavy
@pytest.mark.skipif(not shutil.which("chromium"), reason="there is no chromium to print with")
@pytest.mark.parametrize(
    "more",
    [
        {},
        {
            "per_class_recall": {f"a long class name {place}": place / 20 for place in range(20)},
            "warnings": CARD["warnings"] * 2,
            "must_not": CARD["must_not"] * 2,
            "members": [member | {"init": "other_study member xception, imagenet"} for member in CARD["members"]],
        },
    ],
)
def test_it_is_printed_on_one_page(more, tmp_path):
    page = write_card(CARD | more, tmp_path)
    printer = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    printed = [*printer, "--no-pdf-header-footer", f"--print-to-pdf={tmp_path / 'card.pdf'}", page.as_uri()]
    subprocess.run(printed, capture_output=True, timeout=HANG, check=True)
    assert len(re.findall(rb"/Type\s*/Page\b", (tmp_path / "card.pdf").read_bytes())) == 1
