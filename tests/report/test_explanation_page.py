import json
import re

import numpy as np
import pytest
from html_page import Page
from PIL import Image

from facemask_ensemble.data.boxes import Box, regions_of
from facemask_ensemble.evaluation.rule_predictions import Judged
from facemask_ensemble.explanation.explanation_report import TOGETHER, explanation_report, rank
from facemask_ensemble.explanation.localization import ground
from facemask_ensemble.explanation.overlay import overlay
from facemask_ensemble.report.explanation_cards import explanation_cards, gallery_overlays
from facemask_ensemble.report.explanation_page import remove_explanation_page, with_boxes, write_explanation_page
from facemask_ensemble.task import task_named

NAMES = ("none", "all", "some")
MEMBERS = ["ada", "bea<b>"]
BOXES = {f"{place}.png": [Box((0.0, 0.0, 0.5, 0.5), "masked")] for place in range(4)}
WORDS, NO_WORDS = task_named("masks").boxes, task_named("generic").boxes
DATA = {"name": "tiny & <odd>", "judged_on": "test", "fingerprint": "f" * 64}
SILENT = "its map is zero everywhere: nothing in the image speaks for this class"


class Explained:
    """What explaining four images gives: the maps of two members, the last of which has none of the last image."""

    def __init__(self, why=None):
        on, off = np.zeros((8, 8), np.float32), np.zeros((8, 8), np.float32)
        on[1, 1] = off[6, 6] = 1
        self.maps = np.stack([[on, off, on, on], [on, off, off, np.zeros_like(on)]])
        self.why = why

    def of(self, index):
        return self.maps[:, index], [None, SILENT if index == 3 else None]


@pytest.fixture
def judged(tmp_path):
    """Give the contents of explanation.json, its cards, and what they were made from."""
    for place in range(4):
        pixels = np.random.default_rng(place).integers(0, 255, (60, 120, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{place}.png")
    probs = np.zeros((2, 4, 3), np.float32)
    probs[:, :, 1] = 0.75
    probs[:, :, 0] = 0.25
    test = Judged(probs, np.array([1, 1, 1, 0]), paths=list(BOXES))
    explained = Explained()
    answers, winners = probs.argmax(axis=2), np.ones(4, int)
    regions = regions_of(list(BOXES.values()), WORDS.kinds, 8, 8)
    controls = {"centre": np.repeat(explained.maps[0, 1][None], 4, axis=0), "random": explained.maps[0]}
    rows = [
        {"member": name, "method": method, **row}
        for name, maps in zip([*MEMBERS, TOGETHER], [*explained.maps, explained.maps[0]], strict=True)
        for method in ("gradcam", "layercam")
        for row in ground(maps, regions, ["all"] * 4, controls, WORDS.evidence, draws=50)
    ]
    ranked = rank(explained.maps, answers, winners, test, regions, np.arange(4))
    silent = [{"member": "bea<b>", "method": "gradcam", "count": 1, "reason": SILENT}]
    about = {"methods": ["gradcam", "layercam"], "images": 4, "boxes": True, "trusted": 0}
    why = explanation_report("gradcam", rows, ranked, silent, {}, WORDS.plural, **about)
    return why, explanation_cards(Explained(why), test, winners, MEMBERS, NAMES, tmp_path, BOXES, WORDS)


def written(judged, folder, words=WORDS, **changed):
    why, cards = judged
    page = write_explanation_page(why | changed, cards, DATA, words, True, "python -m x", folder)
    return Page(page.read_text(encoding="utf-8"))


def test_the_page_says_whether_maps_point_at_faces_and_shows_every_member_and_class(judged, tmp_path):
    shown = written(judged, tmp_path / "report")
    assert judged[0]["beyond_controls"]["sentence"] in shown.text
    for words in (
        "ada",
        "bea<b>",
        TOGETHER,
        "all",
        "layercam: points",
        "tiny & <odd>",
        SILENT,
        "Random initialisation.",
    ):
        assert words in shown.text
    # Of the four maps of ada three have their peak on the face.
    assert "75.0" in shown.text


def test_ranked_images_are_shown_with_their_notes_maps_and_answers(judged, tmp_path):
    shown = written(judged, tmp_path / "report")
    assert "0.0 % of the joint map lies on faces." in shown.text
    assert "on 1 of them the joint map of the members behind it peaks outside every face." in shown.text
    assert "The maps of two members overlap by 0.0 % on average." in shown.text
    assert "✗ all 75 %" in shown.text
    assert all(image["src"].startswith("data:image/webp") and image["alt"] for image in shown.all("img"))


def test_maps_are_also_written_over_images_of_their_own_size(judged, tmp_path):
    written(judged, tmp_path / "report")
    names = sorted(file.name for file in (tmp_path / "report" / "explanations").iterdir())
    assert "00001_1--consensus.jpg" in names
    assert "00003_3--ada.jpg" in names
    assert "00003_3--bea<b>.jpg" not in names  # it has no map
    assert not any("losers" in name for name in names)  # nobody lost
    assert Image.open(tmp_path / "report" / "explanations" / "00001_1--consensus.jpg").size == (120, 60)


def test_why_json_holds_the_same_and_the_page_needs_nothing_else(judged, tmp_path):
    written(judged, tmp_path / "report")
    assert json.loads((tmp_path / "report" / "explanation.json").read_text(encoding="utf-8")) == judged[0]
    text = (tmp_path / "report" / "explanation.html").read_text(encoding="utf-8")
    outside = re.findall(
        r'(?:src|href)="(?!data:image/webp;base64,|#|report\.html)[^"]*"|url\(|@import|https?://', text
    )
    assert outside == []


def test_without_boxes_the_page_says_so(judged, tmp_path):
    shown = written(judged, tmp_path / "report", grounding=[], beyond_controls=None, boxes=False, wrong_reason=None)
    assert "This dataset has no face boxes" in shown.text
    assert "wrong reason" not in shown.text.lower()


def test_a_page_of_another_task_has_its_words_for_what_is_boxed(judged, tmp_path):
    masks, other = written(judged, tmp_path / "masks"), written(judged, tmp_path / "other", NO_WORDS)
    assert (
        "in a box: of bare faces for none , of masked faces for all , of any kind for some , of any kind for"
        in masks.text
    )
    assert "Masked faces are boxed in blue, bare faces in orange with a bar below." in masks.text
    assert "points at objects" in other.text
    assert "its hottest cell has its centre in a box. Energy is" in other.text
    assert [cell for cell in other.words if cell.startswith("energy on")] == [
        "energy on objects",
        "energy on all objects",
    ]


def test_a_page_of_another_task_and_without_boxes_says_nothing_of_faces(judged, tmp_path):
    about = {"grounding": [], "beyond_controls": None, "boxes": False, "wrong_reason": None}
    why, cards = judged
    bare = {name: [card._replace(boxes=()) for card in found] for name, found in cards.items()}
    shown = written((why, bare | {"wrong_reason": []}), tmp_path / "report", NO_WORDS, **about)
    assert "This dataset has no object boxes" in shown.text
    assert not re.search(r"mask|\bface", re.sub("facemask.ensemble", "", shown.text), re.I)
    assert not any("boxed" in image["alt"] for image in shown.all("img"))


def test_a_page_of_other_answers_is_removed_and_nothing_else(judged, tmp_path):
    folder = tmp_path / "report"
    written(judged, folder)
    (folder / "explanations" / "mine.txt").write_text("kept")
    remove_explanation_page(folder)
    assert sorted(file.name for file in folder.rglob("*")) == ["explanations", "mine.txt"]
    remove_explanation_page(folder)  # and again, where there is nothing


def test_masked_and_bare_faces_are_told_apart_without_colour():
    image = np.zeros((64, 64, 3), np.uint8)
    box = (0.25, 0.25, 0.75, 0.75)
    masked, bare = (with_boxes(image, [Box(box, kind)], "masked").any(axis=2) for kind in ("masked", "bare"))
    assert masked[16].any() and bare[16].any()
    assert bare[44:48].sum() > masked[44:48].sum()
    assert not image.any()


def test_the_gallery_shows_each_members_map_or_why_there_is_none():
    images = {"3.png": np.zeros((16, 16, 3), np.uint8)}
    gallery = [{"index": 3, "path": "3.png", "votes": {"ada": "all", "bea": "all"}}]
    drawn = gallery_overlays(Explained(), gallery, images)
    np.testing.assert_array_equal(drawn["3.png", "ada"], overlay(images["3.png"], Explained().maps[0, 3]))
    assert drawn["3.png", "bea"] == SILENT


def trust(trusted="gradcam"):
    """Lay out what `measure_trust` gives of one member, as far as the page reads it."""
    curves = {"deletion_curve": [1.0, 0.5, 0.0], "insertion_curve": [0.0, 0.5, 1.0]}
    row = {"deletion": 0.25, "insertion": 0.75, "similarity_randomised": -0.04, "similarity_shifted": 0.9}
    methods = {
        "gradcam": row | {"verdict": "trusted", "reasons": []},
        "layercam": row | {"verdict": "excluded", "reasons": ["its maps do not depend on <b>what</b> was learned"]},
    }
    found = {"trusted": trusted, "rule": "A method qualifies if it is good.", "methods": methods}
    faithful = {"methods": {"gradcam": curves, "layercam": dict.fromkeys(curves)}, "controls": {"random": curves}}
    return {"trust": found, "faithfulness": faithful}


def test_the_trusted_method_is_named_with_the_reasons_against_the_others(judged, tmp_path):
    shown = written(judged, tmp_path / "report", trust={"ada": trust()}, trusted=24)
    assert "A method qualifies if it is good. Measured on 24 of the images." in shown.text
    assert "✓ trusted 25.0 75.0 −0.04 0.90" in shown.text
    assert "its maps do not depend on <b>what</b> was learned" in shown.text
    kinds = [path["class"] for path in shown.all("path") if path["class"].startswith("trust-line")]
    assert kinds == ["trust-line control random", "trust-line trusted"] * 2  # layercam has no curve
    assert shown.all("path")[0]["d"] == "M26.0 20.0L111.0 75.0L196.0 130.0"


def test_where_no_method_can_be_trusted_the_page_says_so(judged, tmp_path):
    shown = written(judged, tmp_path / "report", trust={"ada": trust("none")}, trusted=24)
    assert "none is trusted" in shown.text
