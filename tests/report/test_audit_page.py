import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from html_page import Page
from rich.console import Console

from facemask_ensemble.auditing.examples import shown_paths
from facemask_ensemble.auditing.report import Subject, report_on
from facemask_ensemble.report import audit_charts
from facemask_ensemble.report.audit_page import file_size, write_audit
from facemask_ensemble.report.audit_summary import summary
from facemask_ensemble.report.numbers import pvalue

NASTY = "<script>alert(\"1\")</script> & '日本' {{ report }} " + "x" * 120


def findings_of(count, classes):
    generator = np.random.default_rng(0)
    hashes = [f"{value:016x}" for value in generator.integers(0, 2**63, 2 * count)]
    rows = pd.DataFrame(
        {
            "path": [f"{place % len(classes)}/{NASTY} {place}.jpg" for place in range(count)],
            "label": np.arange(count) % len(classes),
            "group": "",
            "split": "",
            "size": generator.integers(5_000, 50_000, count),
            "mtime_ns": 0,
            "sha256": [f"{place // 2 if place < count // 4 else place:064x}" for place in range(count)],
            "width": generator.integers(20, 1400, count),
            "height": generator.integers(20, 400, count),
            "format": "JPEG",
            "odd": np.where(np.arange(count) % 3 == 0, f"odd: {NASTY}", ""),
            "look": hashes[:count],
            "mirrored": hashes[count:],
            "red": generator.normal(120, 30, count),
            "green": 120.0,
            "blue": 120.0,
            "reason": "",
        }
    )
    rows.loc[rows["label"] == 0, ["width", "height"]] = [301, 400]
    return rows


def written(folder, count=240, classes=("none", NASTY, "some"), readable=True, thumbnail=None):
    rows = findings_of(count, classes)
    if not readable:
        rows = rows.assign(
            reason=f"damaged: {NASTY}", look="", mirrored="", sha256="", width=0, height=0, format="", odd=""
        )
    used = rows[rows["reason"] == ""].assign(split="train")[["path", "split"]]
    quarantine = pd.DataFrame({"path": [f"{NASTY}.jpg"] * 90, "reason": f"damaged: {NASTY}"})
    subject = Subject(NASTY, Path("/") / NASTY, classes, rows, used, quarantine, "" if readable else NASTY, 8, 0.3)
    report, _ = report_on(subject)
    thumbnail = np.zeros((24, 32, 3), np.uint8) if thumbnail is None else thumbnail
    images = dict.fromkeys(shown_paths(report)[1:], thumbnail)
    page = write_audit(report, images, f"python -m facemask_ensemble.audit {NASTY}", folder)
    return report, page.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def audit(tmp_path_factory):
    folder = tmp_path_factory.mktemp("audit")
    report, text = written(folder)
    return report, text, Page(text), folder


def test_the_verdict_and_every_finding_stand_on_the_page(audit):
    report, _, page, _ = audit
    assert report["verdict"] in page.text
    assert {found["level"] for found in report["findings"]} >= {"fix", "note"}
    for found in report["findings"]:
        assert " ".join(found["text"].split()) in page.text
        assert {"href": f"#{found['section']}"} in page.all("a")
        assert any(section.get("id") == found["section"] for section in page.all("section"))


def test_hostile_names_are_text_and_nothing_is_loaded_from_elsewhere(audit):
    _, text, page, _ = audit
    assert NASTY.split("{")[0].strip() in page.text
    assert "<script>alert" not in text
    assert len(page.all("script")) == 1
    assert all(image["src"].startswith("data:image/") and image["alt"] for image in page.all("img"))
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)", text)
    assert "http:" not in text
    assert "https:" not in text


def test_an_image_that_went_away_is_named_in_its_place(audit):
    assert "not available" in audit[2].text


def test_the_numbers_lie_beside_the_page_without_images(audit):
    report, _, _, folder = audit
    text = (folder / "audit.json").read_text(encoding="utf-8")
    assert json.loads(text) == report
    assert "data:image" not in text


def test_what_is_too_much_to_show_is_counted(audit):
    assert "30 more in audit.json and quarantine.csv" in audit[2].text


def test_a_size_of_one_class_is_shown_with_its_images(audit):
    report, _, page, _ = audit
    assert report["shortcuts"]["shortcut_values"][0]["value"] == "301x400"
    assert "80 none, 0" in page.text


def test_a_set_of_which_nothing_can_be_read_has_a_page(tmp_path):
    _, text = written(tmp_path, readable=False)
    assert "No model can be trained on this dataset yet." in Page(text).text


@pytest.mark.parametrize("classes", [2, 9, 40])
def test_the_page_holds_for_any_number_of_classes(classes, tmp_path):
    _, text = written(tmp_path, count=20 * classes, classes=tuple(f"class {place}" for place in range(classes)))
    page = Page(text)
    assert all(f"class {place}" in page.text for place in range(classes))


@pytest.mark.heavy
def test_the_page_of_ten_thousand_noisy_images_stays_under_ten_megabytes(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    _, text = written(tmp_path, count=10_000, classes=tuple(f"class {place}" for place in range(30)), thumbnail=noise)
    assert len(text.encode()) < 10e6


def test_bars_of_a_histogram_add_up_to_the_height_of_their_counts():
    found = {"edges": [1.0, 10.0, 100.0], "counts": {"a": [3, 1], "b": [1, 0]}}
    chart = audit_charts.histogram(found, [(10.0, "10")])
    heights = [bar["height"] for bar in chart["bars"]]
    whole = audit_charts.HEIGHT - audit_charts.TOP - audit_charts.BOTTOM
    assert heights == pytest.approx([whole * 3 / 4, whole / 4, whole / 4], abs=0.1)
    assert chart["bars"][1]["y"] == pytest.approx(audit_charts.TOP)
    middle = (audit_charts.LEFT + audit_charts.WIDTH - audit_charts.RIGHT) / 2
    assert chart["x_ticks"] == [{"x": middle, "label": "10"}]


def test_a_bubble_is_as_large_as_its_size_is_common_and_coloured_by_its_commonest_class():
    drawn = [
        {"width": 301, "height": 400, "images": 100, "counts": {"a": 20, "b": 80}},
        {"width": 600, "height": 400, "images": 25, "counts": {"a": 25, "b": 0}},
    ]
    first, second = audit_charts.bubbles(drawn)["circles"]
    assert first["r"] == audit_charts.RADIUS == 2 * second["r"]
    assert (first["colour"], second["colour"]) == (1, 0)
    assert first["x"] < second["x"]
    assert first["y"] == second["y"]


@pytest.mark.parametrize(("count", "text"), [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (2.4e7, "24 MB")])
def test_file_sizes_are_written_as_people_read_them(count, text):
    assert file_size(count) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (0.25, "0.250"), (1e-4, "below 10⁻³"), (1e-20, "below 10⁻¹²")]
)
def test_p_values_are_written_with_their_power_of_ten(value, text):
    assert pvalue(value) == text


def test_the_terminal_says_the_verdict_the_warnings_and_the_counts_in_eighty_columns(audit):
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(summary(audit[0]))
    text = console.export_text()
    assert text.index("fix first") < text.index("good to know")
    assert audit[0]["verdict"] in " ".join(text.split())
    assert "240 labelled, 240 used" in text
    assert max(map(len, text.splitlines())) <= 80
