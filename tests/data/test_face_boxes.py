import numpy as np
import pytest

from facemask_ensemble.data.boxes import Box, regions_of
from facemask_ensemble.data.face_boxes import annotated_faces, drawn_faces
from facemask_ensemble.errors import InputError
from facemask_ensemble.scenes.folder import draw_folder
from facemask_ensemble.scenes.scene import draw_scene

VOC = """<annotation><size><width>200</width><height>100</height></size>{objects}</annotation>"""
FACE = """<object><name>{state}</name><bndbox><xmin>{left}</xmin><ymin>{top}</ymin><xmax>{right}</xmax>
<ymax>{bottom}</ymax></bndbox></object>"""


def photographs(root, **annotations):
    for name in ("images", "annotations"):
        (root / name).mkdir()
    for name, objects in annotations.items():
        (root / "images" / f"{name}.png").write_bytes(b"is not opened")
        (root / "annotations" / f"{name}.xml").write_text(VOC.format(objects=objects))
    return root


def face(state, left=20, top=10, right=60, bottom=50):
    return FACE.format(state=state, left=left, top=top, right=right, bottom=bottom)


def test_faces_of_drawn_scenes_are_those_that_were_drawn(tmp_path):
    draw_folder(tmp_path / "scenes", 4, 64, 0, "easy")
    found = drawn_faces(tmp_path / "scenes")
    assert list(found) == ["00000.png", "00001.png", "00002.png", "00003.png"]
    scene = draw_scene(0, 2, 64, "easy", None)
    assert [one.kind == "masked" for one in found["00002.png"]] == [one.masked for one in scene.faces]
    corners = np.array([one.box for one in scene.faces]) / 64
    np.testing.assert_allclose([one.corners for one in found["00002.png"]], corners)


def test_a_folder_without_scenes_has_no_boxes(tmp_path):
    with pytest.raises(InputError, match="has no drawn scenes"):
        drawn_faces(tmp_path)


def test_annotated_boxes_become_shares_of_width_and_height(tmp_path):
    root = photographs(tmp_path, one=face("with_mask") + face("without_mask", 100, 50, 200, 100))
    assert annotated_faces(root) == {
        "images/one.png": [Box((0.1, 0.1, 0.3, 0.5), "masked"), Box((0.5, 0.5, 1.0, 1.0), "bare")]
    }


@pytest.mark.parametrize(("counts", "kind"), [("unmasked", "bare"), ("masked", "masked"), ("drop", None)])
def test_a_mask_worn_incorrectly_counts_as_the_dataset_says(tmp_path, counts, kind):
    root = photographs(tmp_path, one=face("mask_weared_incorrect"))
    assert [one.kind for one in annotated_faces(root, counts)["images/one.png"]] == [kind]


def test_an_image_whose_annotation_is_broken_has_no_entry(tmp_path):
    root = photographs(tmp_path, good=face("with_mask"), bad=face("a_scarf"))
    assert list(annotated_faces(root)) == ["images/good.png"]


def test_an_unknown_way_to_count_is_refused(tmp_path):
    with pytest.raises(InputError, match="dataset.worn_incorrectly=perhaps: must be one of unmasked, masked, drop"):
        annotated_faces(photographs(tmp_path), "perhaps")


def test_regions_are_the_cells_that_boxes_touch_by_kind():
    boxes = [Box((0.0, 0.0, 0.5, 0.25), "masked"), Box((0.6, 0.5, 1.0, 1.0), "bare"), Box((0.0, 0.9, 0.1, 1.0))]
    regions = regions_of([boxes, []], ["masked", "bare"], 4, 4)
    masked = np.zeros((4, 4), bool)
    masked[0, :2] = True
    bare = np.zeros((4, 4), bool)
    bare[2:, 2:] = True
    neither = np.zeros((4, 4), bool)
    neither[3, 0] = True
    np.testing.assert_array_equal(regions["masked"][0], masked)
    np.testing.assert_array_equal(regions["bare"][0], bare)
    np.testing.assert_array_equal(regions["any"][0], masked | bare | neither)
    assert not any(kind[1].any() for kind in regions.values())


def test_a_kind_that_the_task_does_not_know_is_a_box_all_the_same():
    regions = regions_of([[Box((0.0, 0.0, 0.5, 0.5), "masked")]], [], 4, 4)
    assert {kind: int(marked.sum()) for kind, marked in regions.items()} == {"any": 4}


def test_a_box_smaller_than_a_cell_still_marks_one():
    [marked] = regions_of([[Box((0.30, 0.30, 0.31, 0.31))]], [], 4, 4)["any"]
    assert np.argwhere(marked).tolist() == [[1, 1]]
