import json
import os

import pandas as pd

from facemask_ensemble.training.member_process import Outcome
from facemask_ensemble.training.sweep_jobs import labels_of, show, standing, standings


def begin(job, folder, epochs=None, seconds=(4.0, 2.0, 3.0), outcome=None):
    """Leave what a job and its training leave: a note, a run, a history and perhaps an outcome."""
    job.mkdir(parents=True)
    (folder / "files").mkdir(parents=True, exist_ok=True)
    (job / "member.txt").write_text(str(folder))
    if epochs:
        (folder / "run.json").write_text(json.dumps({"run_id": "a", "uri": None, "epochs": epochs}))
        table = pd.DataFrame({"val_accuracy": [0.5, 0.75, 0.625], "epoch_seconds": seconds})
        table.to_csv(folder / "files" / "history.csv", index=False)
    if outcome:
        outcome.write(folder)


def test_jobs_are_told_apart_by_what_differs_between_them_in_the_order_of_training():
    labels = labels_of(["backbone=xception,vgg16", "seed=0,1", "image_size=96"])
    assert labels == ["xception seed=0", "xception seed=1", "vgg16 seed=0", "vgg16 seed=1"]
    assert labels_of(["backbone=xception", "dataset.fold=0,1"]) == ["fold=0", "fold=1"]
    assert labels_of(["backbone=xception"]) == [""]


def test_a_label_has_the_value_however_the_key_is_written():
    given = ["++seed=0,1", "backbone@second=vgg16,xception", "~tags", "study='a=b, c'", "dataset.classes=[a,b],[c,d]"]
    assert labels_of(given)[:3] == [
        "seed=0 vgg16 classes=[a,b]",
        "seed=0 vgg16 classes=[c,d]",
        "seed=0 xception classes=[a,b]",
    ]


def test_a_training_job_tells_its_epoch_best_score_and_the_time_left(tmp_path):
    """Three of ten epochs, of 3 seconds each in the median: 21 seconds are left."""
    begin(tmp_path / "0_xception", tmp_path / "member", epochs=10)
    row = standing("xception", tmp_path / "0_xception")
    assert (row.state, row.epoch, row.epochs, row.best, row.seconds, row.left) == ("training", 3, 10, 0.75, 9.0, 21.0)


def test_every_job_has_a_line_also_one_that_has_not_begun(tmp_path):
    begin(tmp_path / "0_xception", tmp_path / "one", epochs=3, outcome=Outcome("xception", "stopped"))
    begin(tmp_path / "10_vgg16", tmp_path / "two")
    rows = standings(tmp_path, ["a", *[""] * 9, "k"])
    assert [row.state for row in rows] == ["stopped", *["waiting"] * 9, "training"]
    assert [row.label for row in rows] == ["a", *[""] * 9, "k"]


def test_a_job_without_a_label_is_called_by_its_backbone(tmp_path):
    begin(tmp_path / "0_deep_cnn", tmp_path / "one")
    assert [row.label for row in standings(tmp_path, [""])] == ["deep_cnn"]


def test_what_was_finished_before_the_sweep_is_called_so(tmp_path):
    summary = {"validation_accuracy": 0.5, "not_logged": None}
    for name, age in (("before", 60), ("now", -60)):
        begin(tmp_path / f"0_{name}", tmp_path / name, epochs=3, outcome=Outcome(name, "finished", summary=summary))
        stamp = (tmp_path / f"0_{name}" / "member.txt").stat().st_mtime - age
        os.utime(tmp_path / name / "outcome.json", (stamp, stamp))
    assert standing("x", tmp_path / "0_before").state == "finished before"
    assert standing("x", tmp_path / "0_now").state == "finished"


def test_the_end_of_a_sweep_shows_errors_and_how_to_send_what_was_not_logged(tmp_path, capsys):
    summary = {"validation_accuracy": 0.5, "not_logged": "connection refused"}
    begin(tmp_path / "0_xception", tmp_path / "one", epochs=3, outcome=Outcome("xception", "finished", summary=summary))
    begin(tmp_path / "1_deep_cnn", tmp_path / "two", outcome=Outcome("deep_cnn", "failed", "TypeError: x"))
    (tmp_path / "two" / "log.txt").touch()
    (tmp_path / "2_vgg16").mkdir()
    Outcome("vgg16", "refused", "image_size=8: too small").write(tmp_path / "2_vgg16")
    show(standings(tmp_path, ["xception", "deep_cnn", "vgg16", "resnet50v2"]))
    said = capsys.readouterr()
    assert f"facemask_ensemble.upload folder={tmp_path / 'one'}" in " ".join(said.out.split())
    assert said.err.splitlines() == [
        f"error: deep_cnn failed: TypeError: x (log: {tmp_path / 'two' / 'log.txt'})",
        "error: vgg16 refused: image_size=8: too small",
        "error: resnet50v2: not started",
    ]
