"""Boxes beside annotated ones, counted by hand."""

import json

import pandas as pd
import pytest

from facemask_ensemble.faces.judging import held_out_photographs, judge_faces, main, overlap

ANNOTATION = """<annotation><size><width>200</width><height>100</height></size>{faces}</annotation>"""
FACE = (
    "<object><name>{state}</name><bndbox>"
    "<xmin>{0}</xmin><ymin>{1}</ymin><xmax>{2}</xmax><ymax>{3}</ymax></bndbox></object>"
)


@pytest.fixture
def annotations(tmp_path):
    """Three faces: one of 40 px with a mask, one of 20 px without, one of 10 px with one worn wrongly."""
    states = {"with_mask": (10, 10, 50, 50), "without_mask": (100, 20, 120, 40),
              "mask_weared_incorrect": (150, 60, 160, 70)}  # fmt: skip
    faces = "".join(FACE.format(*box, state=state) for state, box in states.items())
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "a.xml").write_text(ANNOTATION.format(faces=faces))
    return tmp_path / "annotations"


def test_boxes_that_share_a_third_of_their_union():
    assert overlap((0, 0, 2, 1), (1, 0, 3, 1)) == pytest.approx(1 / 3)
    assert overlap((0, 0, 1, 1), (5, 5, 6, 6)) == 0


def test_every_face_is_found_once_and_every_other_box_is_false(annotations):
    faces = [
        {"box": [10, 10, 40, 40], "mask": True},  # the first face
        {"box": [12, 10, 40, 40], "mask": False},  # the same face once more
        {"box": [100, 20, 20, 20], "mask": True},  # the second, answered wrongly
        {"box": [0, 80, 10, 10], "mask": False},  # nobody
    ]
    table = pd.DataFrame({"path": ["photos/a.jpg"], "prediction": ["some"], "boxes": [json.dumps(faces)]})
    found = judge_faces(table, annotations)
    assert (found.boxes, found.false, found.found, found.faces) == (4, 2, 2, 3)
    assert (found.large_found, found.large, found.right) == (1, 1, 1)
    assert (found.scenes_right, found.scenes) == (1, 1)
    assert found.row() == "| 4 | 2 | 2 of 3 | 1 of 1 | 1 of 2 | 1 of 1 |"


def test_a_photograph_counts_for_the_test_split_when_all_of_its_faces_do(tmp_path, annotations, capsys):
    rows = [("mask/a-0.png", "test"), ("no_mask/a-1.png", "test"), ("mask/b-0.png", "test"), ("mask/b-1.png", "train")]
    pd.DataFrame(rows, columns=["path", "split"]).to_csv(tmp_path / "manifest.csv", index=False)
    assert held_out_photographs(tmp_path / "manifest.csv") == ["a"]
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.jpg").write_bytes(b"")
    main([str(tmp_path / "manifest.csv"), str(tmp_path / "images")])
    assert capsys.readouterr().out == f"{tmp_path}/images/a.jpg\n"
    with pytest.raises(SystemExit):
        main([str(tmp_path / "gone.csv"), str(tmp_path / "images")])
    assert "gone.csv: there is no such file or folder" in capsys.readouterr().err
