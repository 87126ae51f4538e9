import io
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from html_page import Page
from rich.console import Console

from facemask_ensemble.data.manifest import COLUMNS, Manifest
from facemask_ensemble.ensemble import learning, voting
from facemask_ensemble.ensemble.predictions import MemberPredictions
from facemask_ensemble.ensemble.rules import Rule
from facemask_ensemble.errors import InputError
from facemask_ensemble.evaluation.gallery import choose
from facemask_ensemble.evaluation.verdict import judge
from facemask_ensemble.report import numbers, page
from facemask_ensemble.report.charts import dot_plot, learning_curves
from facemask_ensemble.report.tables import terminal_table

NASTY = "test/<script>alert(\"1\")</script> & '日本' überlang_" + "x" * 200 + ".png"
SEVEN = [f"member{index}" for index in range(7)]


@pytest.fixture(autouse=True)
def without_figures(request, monkeypatch):
    """Spare the seconds that drawing takes: the figures have tests of their own."""
    if "heavy" not in request.keywords:
        monkeypatch.setattr(page, "write_figures", lambda report, folder: [])


def history(epochs: int = 4) -> dict[str, list[float]]:
    rising = np.linspace(0.4, 0.9, epochs).tolist()
    return {
        "accuracy": rising,
        "val_accuracy": rising,
        "loss": rising[::-1],
        "val_loss": rising[::-1],
        "learning_rate": [0.001] * epochs,
    }


def judged(
    names=SEVEN,
    classes=("none", "all", "some"),
    images=60,
    about=None,
    quarantine=(),
    path=NASTY,
    skills=None,
    **more,
):
    """Judge members that are right on most images; give the report and the gallery."""
    generator = np.random.default_rng(0)
    labels = np.arange(images) % len(classes)
    rows = [
        (f"{split}/{place}.png", f"{split}{place}", int(label), f"{split}{place}", split)
        for split in ("train", "validation", "test")
        for place, label in enumerate(labels)
    ]
    rows[-1] = (path, *rows[-1][1:])
    manifest = Manifest(
        "tiny",
        Path("."),
        tuple(classes),
        pd.DataFrame(rows, columns=COLUMNS[:5]),
        pd.DataFrame(list(quarantine), columns=["path", "reason"]),
    )

    def probs(skill: float) -> np.ndarray:
        raw = generator.random((images, len(classes))) + 0.3
        raw[np.arange(images), labels] += skill
        return (raw / raw.sum(axis=1, keepdims=True)).astype("float32")

    if about is None:
        about = {"init": "random initialisation", "precision": "float32", "image_size": 64, "seconds": 75.4}
        about |= {"parameters": 20_861_480, "epochs": 4, "history": history()}
    members = [
        MemberPredictions(name, f"run-{name}", probs(skill), probs(skill), about)
        for name, skill in zip(names, skills or [0.35] * len(names), strict=True)
    ]
    report = judge(members, manifest, **more)
    stacked = np.stack([member.test_probs for member in members])
    test = manifest.split("test")
    gallery = choose(stacked, labels, voting.majority(stacked), test["path"].tolist(), names, classes, per_kind=4)
    return report, gallery


def image(seed: int = 0, size: int = 32) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)


RULES = (
    Rule("majority", voting.majority),
    Rule("weighted", voting.weighted, learning.by_skill),
    Rule("greedy", voting.weighted, learning.greedy),
)
COSTS = {name: {"milliseconds": 3.0, "megabytes": 40.0, "measured": "a made-up machine"} for name in SEVEN}


def fully_judged(images: int, rules=RULES) -> tuple[dict, list[dict]]:
    """Judge with an analysis members of which the last has no skill, as `evaluate` does."""
    analysis = {"costs": COSTS, "conformal_error": 0.1, "resamples": 0}
    skills = [0.6, 0.5, 0.4, 0.3, 0.3, 0.2, -0.2]
    report, gallery = judged(images=images, skills=skills, rules=rules, analysis=analysis)
    report |= {"break_tie": "mean_probability", "shift": None}
    report["dataset"] |= {"changed": ["dataset.limit=99"], "seen": 2}
    return report, gallery


@pytest.fixture(scope="module")
def full():
    return fully_judged(150)


def written(folder: Path, report, gallery=(), *, images=None, overlays=None, contact=(), command="python -m x") -> Page:
    shown = {item["path"]: image() for item in gallery} if images is None else images
    target = folder / "reports" / "one"
    file = page.write_report(report, gallery, shown, overlays or {}, contact, command, target)
    assert file == target / "report.html"
    return Page(file.read_text(encoding="utf-8"))


def test_the_page_opens_with_the_votes_accuracy_and_the_plain_sentence(tmp_path):
    report, gallery = judged()
    shown = written(tmp_path, report, gallery)
    vote = report["ensemble"]["majority"]
    assert f"{100 * vote['accuracy']:.1f}" in shown.text[:200]
    assert report["comparison"]["sentence"] in shown.text[:700]
    assert "60 test images answered correctly by the majority vote of 7 members" in shown.text


def test_the_page_needs_nothing_but_itself(tmp_path):
    report, gallery = judged()
    written(tmp_path, report, gallery, contact=[(image(), "all")])
    text = (tmp_path / "reports/one/report.html").read_text(encoding="utf-8")
    outside = re.findall(r'(?:src|href|action)="(?!data:image/webp;base64,|#)[^"]*"|url\(|@import|https?://', text)
    assert outside == []
    assert "default-src 'none'" in text


def test_report_json_holds_the_same_numbers(tmp_path):
    report, gallery = judged()
    written(tmp_path, report, gallery)
    assert json.loads((tmp_path / "reports/one/report.json").read_text(encoding="utf-8")) == report


def test_every_member_and_vote_stands_in_the_table_with_its_scores(tmp_path):
    report, gallery = judged()
    shown = written(tmp_path, report, gallery)
    for member in report["members"]:
        assert member["backbone"] in shown.text
        assert numbers.interval(member["accuracy_interval"]) in shown.text
        assert numbers.percent(member["balanced_accuracy"]) in shown.text
        assert member["run_id"] in shown.text
    assert shown.text.count("20.9 M") == 7
    assert "1 min 15 s" in shown.text


def test_random_initialisation_is_named_in_a_banner(tmp_path):
    report, gallery = judged()
    assert "Every member started from random weights and learned from 60 training" in written(tmp_path, report).text


def test_only_the_members_that_started_at_random_are_named_in_the_banner(tmp_path):
    report, _ = judged()
    for member in report["members"][2:]:
        member["init"] = "imagenet"
    assert "member0, member1 started from random weights" in written(tmp_path, report).text


def test_members_that_went_on_from_a_random_one_are_named_with_it(tmp_path):
    report, _ = judged(about={"init": "scenes member 0123abcd (random initialisation)"})
    text = written(tmp_path, report).text
    assert "Random initialisation, one training earlier." in text
    assert "Every member started from the weights of another member" in text
    assert "which was trained from random weights on scenes. These numbers" in " ".join(text.split())
    assert "started from random weights and learned from" not in text


def test_starts_that_lie_several_trainings_back_are_counted_and_their_chart_is_drawn(tmp_path, recwarn):
    report, _ = judged()
    for number, member in enumerate(report["members"]):
        member["init"] = f"faces member 0123ab{number:02d} (scenes member 4567cd{number:02d} (random initialisation))"
    text = " ".join(written(tmp_path, report).text.split())
    assert "Random initialisation, 2 trainings earlier." in text
    assert "which was trained from random weights on scenes. These numbers" in text
    assert "faces member 0123ab00 (random initialisation, 2 trainings earlier)" in text
    assert not [warning for warning in recwarn if "constrained_layout" in str(warning.message)]


def test_pretrained_members_bring_no_banner(tmp_path):
    report, _ = judged(about={"init": "imagenet"})
    assert "Random initialisation." not in written(tmp_path, report).text


def test_file_names_and_classes_are_escaped(tmp_path):
    quarantine = [("<b>bad</b>.png", 'reason with "quotes" & <i>')]
    report, gallery = judged(classes=("<none>", "a&b", "ünï"), quarantine=quarantine)
    gallery = [{**gallery[0], "path": NASTY}, *gallery[1:]]
    shown = written(tmp_path, report, gallery, command="python -m x a='<u>'")
    assert len(shown.all("script")) == 1
    assert not shown.all("i") or all("style" in tag or "class" in tag for tag in shown.all("i"))
    assert not shown.all("u")
    assert NASTY in shown.text
    assert 'reason with "quotes" & <i>' in shown.text
    assert "python -m x a='<u>'" in shown.text


def test_the_gallery_shows_each_answer_with_a_symbol_beside_the_colour(tmp_path):
    report, gallery = judged()
    shown = written(tmp_path, report, gallery)
    chips = [tag["class"] for tag in shown.all("span") if "chip" in (tag.get("class") or "")]
    right = sum(answer == item["truth"] for item in gallery for answer in item["votes"].values())
    assert chips.count("chip right") >= right > 0
    symbols = [tag["aria-label"] for tag in shown.all("span") if tag.get("aria-label")]
    assert len(symbols) >= 8 * len(gallery)
    assert {"right", "wrong"} == set(symbols)
    assert "✓" in shown.text
    assert "✗" in shown.text


def test_a_heatmap_that_says_nothing_is_named_not_drawn(tmp_path):
    report, gallery = judged()
    path = gallery[0]["path"]
    overlays = {(path, name): image(1) for name in SEVEN[:6]} | {(path, SEVEN[6]): "its last map has one cell"}
    shown = written(tmp_path, report, gallery, overlays=overlays)
    assert "its last map has one cell" in shown.text
    assert len([tag for tag in shown.all("img") if tag["alt"].startswith("Heatmap")]) == 6


def test_without_heatmaps_the_answers_alone_are_shown(tmp_path):
    report, gallery = judged()
    shown = written(tmp_path, report, gallery)
    assert "no map" not in shown.text
    assert "heatmap" not in shown.text.lower()


def test_every_image_has_an_alternative_text(tmp_path):
    report, gallery = judged()
    shown = written(tmp_path, report, gallery, contact=[(image(), "all")])
    small = {tie["path"] for tie in report["ensemble"]["majority"]["tied"]} & {item["path"] for item in gallery}
    assert len(shown.all("img")) == len(gallery) + len(small) + 1
    assert all(tag["alt"] for tag in shown.all("img"))
    assert all(tag["aria-label"] for tag in shown.all("svg"))


def test_ties_are_listed_with_who_answered_what(tmp_path):
    report, _ = judged()
    tie = report["ensemble"]["majority"]["tied"][0]
    shown = written(tmp_path, report)
    assert tie["path"] in shown.text
    assert f"On {report['ensemble']['majority']['ties']} images" in shown.text
    voters = [name for name, answer in tie["votes"].items() if answer == tie["prediction"]]
    assert f"{len(voters)} {tie['prediction']} {', '.join(voters)}" in shown.text


def test_files_left_out_are_listed(tmp_path):
    report, _ = judged(quarantine=[("raw/a.jpg", "truncated"), ("raw/b.jpg", "empty file")])
    shown = written(tmp_path, report)
    assert "2 files left out" in shown.text
    assert "raw/b.jpg empty file" in shown.text


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        (["alone"], ("no", "yes")),
        (SEVEN[:2], ("no", "yes")),
        (SEVEN, [f"a long class name {index}" for index in range(20)]),
    ],
)
def test_one_member_and_two_or_twenty_classes_make_a_page(tmp_path, names, classes):
    report, gallery = judged(names=names, classes=classes, images=100)
    shown = written(tmp_path, report, gallery)
    assert ("Who agrees with whom" in shown.text) == (len(names) > 1)
    assert classes[-1] in shown.text


@pytest.mark.parametrize(
    "about",
    [
        {},
        {"history": {}},
        {"history": {"loss": [1.0, None], "accuracy": [0.5, 0.6]}},
        {"history": {"loss": [1.0], "accuracy": [0.5], "val_accuracy": [0.4], "val_loss": [None]}},
        {"history": {"loss": [None, None], "accuracy": [0.0, 0.0]}},
    ],
)
def test_what_is_not_known_of_a_member_is_left_out(tmp_path, about):
    report, gallery = judged(about=about, images=30)
    shown = written(tmp_path, report, gallery, images={})
    assert "None" not in shown.text
    assert "nan" not in shown.text.replace("nance", "")
    assert ("How each member learned" in shown.text) == bool(about.get("history"))


def test_a_gallery_of_twelve_images_and_seven_members_stays_under_ten_megabytes(tmp_path):
    report, gallery = judged(images=120)
    gallery = gallery[:12]
    assert len(gallery) == 12
    # Noise is the hardest to compress; photographs take a fraction of it.
    noise = {(item["path"], name): image(index, 224) for index, item in enumerate(gallery) for name in SEVEN}
    written(tmp_path, report, gallery, images={item["path"]: image(2, 224) for item in gallery}, overlays=noise)
    assert (tmp_path / "reports/one/report.html").stat().st_size < 10e6


def test_the_page_says_which_subset_was_chosen_and_what_else_could_be_shipped(tmp_path, full):
    report, _ = full
    shown = written(tmp_path, report)
    assert " ".join(report["frontier"]["sentence"].split()) in shown.text
    assert re.search(r"Of \d+ choices, validation picks ", shown.text)
    assert len([tag for tag in shown.all("circle") if tag.get("class") == "chosen" and tag.get("data-rule")]) == 1
    assert all(entry["sentence"] in shown.text for entry in report["worth"]["comparisons"])
    assert report["diversity"]["drop_one"]["sentence"] in shown.text
    assert report["abstention"]["conformal"]["sentence"] in shown.text
    assert "The dataset was changed: dataset.limit=99." in shown.text
    assert "2 images left out of the evaluation" in shown.text


def test_every_tie_is_listed_with_its_image(tmp_path, full):
    report, _ = full
    tied = report["ensemble"]["majority"]["tied"]
    assert len(tied) > 3
    shown = written(tmp_path, report, images={tie["path"]: image() for tie in tied})
    assert f"On {len(tied)} images the majority vote is tied" in shown.text
    alternatives = [tag["alt"] for tag in shown.all("img")]
    assert [text for text in alternatives if text.startswith("Tied image")] == [
        f"Tied image {tie['path']}" for tie in tied
    ]


def test_what_each_rule_learned_is_shown_and_why_a_member_was_left_out(tmp_path, full):
    report, _ = full
    shown = written(tmp_path, report)
    for rule in ("weighted", "greedy"):
        weights = report["rules"][rule]["weights"].values()
        texts = ["–" if weight == 0 else f"{100 * weight:.0f}" if weight >= 0.005 else "below 1" for weight in weights]
        assert f"{rule} 150 validation images {' '.join(texts)}" in shown.text
        reason = report["rules"][rule]["left_out"]["member6"]
        assert f"{rule} leaves out" in shown.text
        assert f"member6 : {reason}" in shown.text


def test_the_full_page_needs_nothing_but_itself(tmp_path, full):
    report, gallery = full
    written(tmp_path, report, gallery)
    text = (tmp_path / "reports/one/report.html").read_text(encoding="utf-8")
    outside = re.findall(r'(?:src|href|action)="(?!data:image/webp;base64,|#)[^"]*"|url\(|@import|https?://', text)
    assert outside == []


def test_images_without_an_answer_are_named_so(tmp_path):
    report, _ = fully_judged(60, [Rule("majority", voting.majority, None, voting.abstain)])
    report["break_tie"] = "abstain"
    scores = report["ensemble"]["majority"]
    assert scores["abstained"] == scores["ties"] > 0
    shown = written(tmp_path, report)
    assert shown.text.count("no answer") >= scores["ties"]
    assert "The vote gives no answer, which counts as wrong." in shown.text


@pytest.mark.heavy
def test_the_page_of_ten_thousand_images_stays_under_ten_megabytes(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "write_figures", lambda report, folder: [])
    report, gallery = fully_judged(10_000, RULES[:2])
    tied = [tie["path"] for tie in report["ensemble"]["majority"]["tied"]]
    assert len(tied) > 300
    doubtful = [one["path"] for found in report["suspects"].values() for one in found]
    small = {path: image(place, 96) for place, path in enumerate(tied[:60] + doubtful)}
    shown = written(tmp_path, report, gallery, images=small | {item["path"]: image(2, 320) for item in gallery})
    assert all(path in shown.text for path in tied)
    assert (tmp_path / "reports/one/report.html").stat().st_size < 10e6


@pytest.mark.parametrize(
    "pixels", [np.zeros((4, 4, 3), "float32"), np.zeros((4, 4), "uint8"), np.zeros((4, 4, 4), "uint8")]
)
def test_pixels_of_another_kind_are_refused(pixels):
    with pytest.raises(InputError, match=r"uint8 pixels of shape \(height, width, 3\), received"):
        page.encode(pixels)


def test_the_dot_plot_puts_the_best_first_and_every_interval_on_its_axis():
    report, _ = judged()
    plot = dot_plot(report)
    values = [row["value"] for row in plot["rows"]]
    assert values == sorted(values, reverse=True)
    assert len(values) == 9
    assert all(0 <= row["x0"] <= row["x"] <= row["x1"] <= 100 for row in plot["rows"])
    assert [row["name"] for row in plot["rows"] if row["kind"] == "vote"] == ["majority vote"]
    assert plot["ticks"][-1] == {"x": 100, "label": "100"}
    assert 0 <= plot["chance"]["x"] <= 100


def test_a_learning_curve_breaks_where_a_value_is_missing():
    (curve,) = learning_curves([{"backbone": "x", "history": {"loss": [4.0, None, 2.0, 1.0]}}])
    (panel,) = curve["panels"]
    assert panel["lines"]["train"].count("M") == 2
    assert panel["best"] is None


def test_the_best_epoch_is_the_highest_accuracy_and_the_lowest_loss():
    values = {"accuracy": [0.1] * 3, "val_accuracy": [0.2, 0.9, 0.4], "loss": [1] * 3, "val_loss": [3, 2, 1]}
    (curve,) = learning_curves([{"backbone": "x", "history": values}])
    assert [panel["best_text"] for panel in curve["panels"]] == ["0.90 in epoch 2", "1.00 in epoch 3"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "–"), (0.4, "0 s"), (59.6, "1 min 00 s"), (75.4, "1 min 15 s"), (7380, "2 h 03 min")]
)
def test_durations_read_like_a_clock(seconds, text):
    assert numbers.duration(seconds) == text


def test_the_terminal_table_fits_eighty_columns_and_ends_with_the_sentence():
    report, _ = judged(names=["inceptionresnetv2", *SEVEN[1:]])
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(terminal_table(report))
    lines = console.export_text().splitlines()
    text = " ".join(" ".join(lines).split())
    assert report["comparison"]["sentence"] in text
    assert any(line.split()[:3] == ["inceptionresnetv2", "random", "init"] for line in lines)
    vote = report["ensemble"]["majority"]
    row = next(line.split() for line in lines if line.strip().startswith("majority vote"))
    assert row[2:5] == [str(vote["ties"]), "ties", f"{100 * vote['accuracy']:.1f}"]


@pytest.mark.parametrize(
    ("init", "cell"),
    [
        ("faces member 0123abcd (scenes member 4567cdef (random initialisation))", "of 0123abcd"),
        ("weights_of_a_very_long_name.weights.h5", "weights_of_"),
    ],
)
def test_the_terminal_table_fits_whatever_the_members_started_from(init, cell):
    report, _ = judged(names=["inceptionresnetv2", *SEVEN[1:]], about={"init": init})
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(terminal_table(report))
    lines = console.export_text().splitlines()
    assert any(line.startswith(f" inceptionresnetv2  {cell}") for line in lines)
    assert any(line.rstrip().endswith("macro F1  seconds") for line in lines)
    assert report["comparison"]["sentence"] in " ".join(" ".join(lines).split())
    said = "of RUN: started from that run's weights; before that random initialisation"
    assert (said in [line.strip() for line in lines]) == ("member" in init)


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("names", "classes"), [(["alone"], ("no", "yes")), (SEVEN, [f"a long class name {index}" for index in range(20)])]
)
def test_the_figures_lie_beside_the_page_whatever_the_number_of_members_and_classes(tmp_path, names, classes):
    report, gallery = judged(names=names, classes=classes, images=100)
    written(tmp_path, report, gallery)
    assert len(list((tmp_path / "reports/one/figures").glob("*.png"))) == 5
