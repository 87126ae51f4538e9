import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from functools import cache
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from composed import settings_of
from mlflow.exceptions import MlflowException
from processes import wait_for_server

from facemask_ensemble import tracking
from facemask_ensemble.data.manifest import COLUMNS, Manifest
from facemask_ensemble.errors import InputError
from facemask_ensemble.settings.ship import ShipSettings
from facemask_ensemble.ship import common_answers, ship
from facemask_ensemble.tracking import registry

CLASSES = ["none", "all", "some"]
ENSEMBLE = ("ensemble.json", "card.json", "card.html", "answers.parquet")


def answers(right, wrong, start=0):
    """Answer images `start` and on: the first rightly, then the wrong ones, every second of those not at all."""
    count = right + wrong
    labels = (start + np.arange(count)) % 3
    predictions = np.where(np.arange(count) < right, labels, np.where(np.arange(count) % 2, -1, (labels + 1) % 3))
    hashes = [f"{start + place:064x}" for place in range(count)]
    return pd.DataFrame({"sha256": hashes, "label": labels, "prediction": predictions})


def member(store, folder, name):
    """Log a member as a training does, its model a file of a few bytes; return its run."""
    tags = {"kind": "member", "backbone": name, "image_size": "32", "parameters": "9", "init": "random initialisation"}
    run_id = tracking.start_run(store, "members", name, tags, {})
    model = folder / f"files-{run_id}" / "model.keras"
    model.parent.mkdir()
    model.write_bytes(name.encode())
    tracking.finish_run(store, run_id, files=model.parent, metrics={})
    return run_id


def log_report(store, folder, right=90, wrong=10, study="masks", start=0, classes=CLASSES, files=ENSEMBLE, without=()):
    """Log a report as an evaluation does, with an ensemble that answered so many images rightly; return its run."""
    judged = answers(right, wrong, start)
    members = [{"name": name, "run_id": member(store, folder, name), "weight": 0.5} for name in ("ada", "bea")]
    about = {
        "name": "masks", "task": "masks", "rule": "greedy", "ties": "mean_probability", "tie_arguments": {},
        "learned": {"weights": [0.5, 0.5]}, "temperatures": None, "class_names": classes, "members": members,
        "fingerprint": "f1", "study": study,
    }  # fmt: skip
    about = {key: value for key, value in about.items() if key not in without}
    share = right / (right + wrong)
    card = {"accuracy": share, "accuracy_interval": [share - 0.05, share + 0.05], "images": right + wrong}
    card["sentence"] = f"The greedy vote of two members is right on {right} images."
    page = folder / f"page-{time.monotonic_ns()}"
    (page / "ensemble").mkdir(parents=True)
    (page / "report.html").write_text("the page")
    written = {
        "ensemble.json": json.dumps(about).encode(), "card.json": json.dumps(card).encode(), "card.html": b"the card",
        "answers.parquet": judged.to_parquet(index=False),
    }  # fmt: skip
    for name in files:
        (page / "ensemble" / name).write_bytes(written[name])
    rows = [(f"{place}.png", f"{place}", 0, "", split, "", "") for place, split in enumerate(("validation", "test"))]
    quarantine = pd.DataFrame(columns=["path", "reason"])
    manifest = Manifest("masks", folder, tuple(classes), pd.DataFrame(rows, columns=COLUMNS), quarantine)
    return tracking.log_report(store, study, manifest, page, {"greedy": {"accuracy": share}})


@cache
def usual():
    return settings_of(ShipSettings, "ship")


def config(output_dir, **given):
    return replace(usual(), output_dir=Path(output_dir), **given)


def champion(store):
    found = registry.champion(store, "facemask-masks")
    return found and found.number


def versions(store):
    return sorted(int(found.version) for found in store.client.search_model_versions("name = 'facemask-masks'"))


@pytest.mark.heavy
def test_the_first_one_shipped_is_the_champion_and_carries_its_evidence(store, tmp_path, capsys):
    run_id = log_report(store, tmp_path)
    version = ship(config(tmp_path))
    assert (version.name, version.number, version.run_id) == ("facemask-masks", 1, run_id)
    said = capsys.readouterr().out
    assert "facemask-masks version 1: greedy vote of 2 members, 90.0 % of 100 test images right" in said
    assert "95 % interval 85.0 to 95.0" in said
    assert "champion: now version 1, there was no champion before" in said
    assert "#/models/facemask-masks/versions/1" in said
    found = store.client.get_model_version_by_alias("facemask-masks", "champion")
    assert found.description == "The greedy vote of two members is right on 90 images."
    assert found.tags == {
        "rule": "greedy", "members": "ada, bea", "accuracy": "0.9", "fingerprint": "f1", "study": "masks"
    }  # fmt: skip
    assert (found.run_id, found.source) == (run_id, f"runs:/{run_id}/ensemble")


def test_mlflow_hands_out_the_champions_folder(store, tmp_path):
    log_report(store, tmp_path)
    ship(config(tmp_path))
    folder = mlflow.artifacts.download_artifacts("models:/facemask-masks@champion", dst_path=str(tmp_path / "got"))
    assert {*ENSEMBLE, "MLmodel", "model.py", "artifacts"} <= {path.name for path in Path(folder).iterdir()}


def test_a_report_shipped_twice_has_one_version(store, tmp_path, capsys):
    log_report(store, tmp_path)
    ship(config(tmp_path))
    assert ship(config(tmp_path)).number == 1
    said = capsys.readouterr().out
    assert "version 1 (registered before)" in said
    assert "champion: already version 1" in said
    assert versions(store) == [1]


def test_one_that_is_not_worse_takes_the_champions_place(store, tmp_path, capsys):
    log_report(store, tmp_path, 900, 100)
    ship(config(tmp_path))
    log_report(store, tmp_path, 930, 70)
    ship(config(tmp_path))
    assert champion(store) == 2
    said = " ".join(capsys.readouterr().out.split())
    assert "replaces version 1: +3.0 points on 1000 common images" in said
    assert "95 % lower bound +2." in said


@pytest.mark.heavy
def test_one_that_may_be_worse_stays_a_version(store, tmp_path, capsys):
    log_report(store, tmp_path, 90, 10)
    ship(config(tmp_path))
    log_report(store, tmp_path, 85, 15)
    message = (
        r"facemask-masks version 2 may be worse than the champion, version 1, which stays: −5.0 points on 100 common "
        r"images, 95 % lower bound −[0-9.]+, and margin=0.02 allows −2.0; test both on more images, or .*margin"
    )
    for _ in range(2):
        with pytest.raises(InputError, match=message):
            ship(config(tmp_path))
    assert (champion(store), versions(store)) == (1, [1, 2])
    assert "facemask-masks version 2: " in capsys.readouterr().out
    ship(config(tmp_path, margin=0.2))
    assert champion(store) == 2


def test_too_few_common_images_prove_nothing(store, tmp_path):
    log_report(store, tmp_path, 100, 0)
    ship(config(tmp_path))
    log_report(store, tmp_path, 100, 0, start=90)
    with pytest.raises(InputError, match=r"0\.0 points on 10 common images"):
        ship(config(tmp_path))


def test_without_a_common_image_it_is_said_how_to_judge_both(store, tmp_path):
    log_report(store, tmp_path, study="old")
    ship(config(tmp_path))
    log_report(store, tmp_path, study="new", start=500)
    message = (
        r"share no test image; evaluate the new members on the dataset of study old .*: python -m "
        r"facemask_ensemble.evaluate 'members=\[[0-9a-f]{32},[0-9a-f]{32}\]' voting=greedy ties=mean_probability "
        r"dataset=… .*Version 2 is kept"
    )
    with pytest.raises(InputError, match=message):
        ship(config(tmp_path))
    assert (champion(store), versions(store)) == (1, [1, 2])


def test_an_image_counts_where_content_and_label_are_the_same_and_no_answer_is_not_right():
    new = pd.DataFrame({"sha256": list("abcdd"), "label": [0, 1, 2, 0, 0], "prediction": [0, -1, 2, 0, 0]})
    old = pd.DataFrame({"sha256": list("dcba"), "label": [0, 1, 1, 0], "prediction": [1, 1, 1, 0]})
    new_right, old_right = common_answers(new, old)
    # In common are a, b and d; c has another label.
    assert new_right.tolist() == [True, False, True]
    assert old_right.tolist() == [True, True, False]


@pytest.mark.heavy
def test_other_classes_are_refused_before_anything_is_registered(store, tmp_path):
    log_report(store, tmp_path)
    ship(config(tmp_path))
    log_report(store, tmp_path, classes=["all", "none", "some"])
    with pytest.raises(
        InputError, match="champion has the classes none, all, some, this ensemble has all, none, some; .*name="
    ):
        ship(config(tmp_path))
    assert versions(store) == [1]
    assert ship(config(tmp_path, name="moods")).name == "moods"


def test_champion_false_keeps_a_version_and_leaves_the_champion(store, tmp_path, capsys):
    log_report(store, tmp_path)
    ship(config(tmp_path, champion=False))
    assert champion(store) is None
    assert "champion: none (champion=false)" in capsys.readouterr().out
    ship(config(tmp_path))
    log_report(store, tmp_path, 99, 1)
    ship(config(tmp_path, champion=False))
    assert (champion(store), versions(store)) == (1, [1, 2])
    assert "champion: still version 1 (champion=false)" in capsys.readouterr().out


def test_the_newest_report_is_shipped_of_a_study_or_of_any_and_a_run_named_wins(store, tmp_path):
    here = log_report(store, tmp_path, study="here")
    there = [log_report(store, tmp_path, study="there") for _ in range(2)]
    log_member = tracking.start_run(store, "here", "xception", {"kind": "member"}, {})
    store.client.set_terminated(log_member)
    shipped = [config(tmp_path), config(tmp_path, study="here"), config(tmp_path, study="here", report=there[0])]
    assert [ship(replace(one, champion=False)).run_id for one in shipped] == [there[1], here, there[0]]


def test_a_report_shipped_under_two_names_is_a_version_of_each(store, tmp_path):
    run_id = log_report(store, tmp_path)
    assert [ship(config(tmp_path, name=name)).number for name in ("one", "other", "one")] == [1, 1, 1]
    assert len(store.client.search_model_versions(f"run_id = '{run_id}'")) == 2


@pytest.mark.parametrize("missing", ENSEMBLE)
def test_a_report_without_its_ensemble_is_refused_with_the_command_that_writes_it(missing, store, tmp_path):
    run_id = log_report(store, tmp_path, files=[name for name in ENSEMBLE if name != missing])
    message = f"report={run_id}: ensemble/{missing} is not in .*python -m facemask_ensemble.evaluate study=masks"
    with pytest.raises(InputError, match=message):
        ship(config(tmp_path))
    assert versions(store) == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "there is no report in sqlite.*evaluate study=STUDY"),
        ({"study": "masks"}, "study=masks: it has no report .*studies there: none.*evaluate study=masks"),
        ({"report": "0123"}, "report=0123: no such run in sqlite"),
    ],
)
def test_without_a_report_the_next_command_is_named(given, message, store, tmp_path):
    with pytest.raises(InputError, match=message):
        ship(config(tmp_path, **given))


@pytest.mark.parametrize(("kind", "status"), [("member", "FINISHED"), ("report", "FAILED")])
def test_a_run_that_is_no_finished_report_is_refused(kind, status, store, tmp_path):
    run_id = tracking.start_run(store, "masks", "run", {"kind": kind}, {})
    store.client.set_terminated(run_id, status)
    with pytest.raises(
        InputError, match=rf"report={run_id}: .*not a finished report \(it is {kind}, active, {status}\)"
    ):
        ship(config(tmp_path, report=run_id))


def test_a_report_of_an_older_version_is_refused_before_anything_is_registered(store, tmp_path):
    log_report(store, tmp_path, without=["tie_arguments"])
    with pytest.raises(
        InputError, match="has no tie_arguments: it was written by an older version .*facemask_ensemble.evaluate"
    ):
        ship(config(tmp_path))
    assert versions(store) == []


def test_a_report_whose_member_is_lost_is_refused_before_anything_is_registered(store, tmp_path):
    log_report(store, tmp_path)
    for model in tmp_path.glob("mlruns/members/*/artifacts/model.keras"):
        model.unlink()
    with pytest.raises(InputError, match="members=[0-9a-f]{32}: model.keras cannot be downloaded from .*train that"):
        ship(config(tmp_path))
    assert versions(store) == []
    assert not list(tmp_path.glob("ship-*"))


def test_an_ensemble_registered_without_its_members_gets_them_when_it_is_shipped_again(store, tmp_path):
    run_id = log_report(store, tmp_path)
    version, _ = registry.register(store, "facemask-masks", run_id, {}, "as older versions did it")
    cache = tmp_path / "cache"
    with pytest.raises(
        InputError, match=f"the files of its members are missing; ship it again: .*report={run_id} name="
    ):
        registry.version_folder(store, "models:/facemask-masks/1", cache)
    assert ship(config(tmp_path)).number == version.number == 1
    package = registry.version_folder(store, "models:/facemask-masks@champion", cache) / "artifacts" / "ensemble"
    assert {file.name for file in (package / "members").iterdir()} == {"ada.keras", "bea.keras"}
    assert (package / "members" / "ada.keras").read_bytes() == b"ada"


def test_a_champion_whose_files_are_gone_is_named(store, tmp_path):
    first = log_report(store, tmp_path)
    ship(config(tmp_path))
    shutil.rmtree(tmp_path / "mlruns" / "masks" / first / "artifacts" / "ensemble")
    log_report(store, tmp_path)
    with pytest.raises(InputError, match="it is the champion, facemask-masks version 1: restore it, or move the alias"):
        ship(config(tmp_path))
    assert ship(config(tmp_path, champion=False)).number == 2


def test_a_champion_registered_by_hand_is_named(store, tmp_path):
    store.client.create_registered_model("facemask-masks")
    store.client.create_model_version("facemask-masks", source=str(tmp_path))
    store.client.set_registered_model_alias("facemask-masks", "champion", "1")
    log_report(store, tmp_path)
    with pytest.raises(InputError, match="it is the champion, facemask-masks version 1"):
        ship(config(tmp_path))


def test_a_name_that_mlflow_refuses_is_one_line(store, tmp_path):
    log_report(store, tmp_path)
    with pytest.raises(InputError, match="name=a/b: the model registry of .*cannot contain '/' or ':'.*another name"):
        ship(config(tmp_path, name="a/b"))
    with pytest.raises(MlflowException):
        store.client.get_registered_model("a/b")


@pytest.mark.parametrize(
    ("uri", "there"),
    [
        ("http://host:5000/", "http://host:5000/#/models/a%20b/versions/2"),
        ("postgresql://user:secret@host/runs", "#/models/a%20b/versions/2 on the page of the MLflow server"),
    ],
)
def test_it_is_said_where_a_version_can_be_seen_and_no_password(uri, there, tmp_path):
    store = tracking.Store(None, uri, None if uri.startswith("http") else tmp_path)
    said = registry.page_of(store, registry.Version("a b", 2, "run"))
    assert said.startswith(there)
    assert "secret" not in said


@pytest.mark.heavy
def test_help_teaches_without_importing_mlflow(tmp_path):
    script = (
        "import sys; sys.argv = ['ship', '--help']\n"
        "from facemask_ensemble.ship import main\n"
        "main()\n"
        "assert not {'tensorflow', 'keras', 'mlflow'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "python -m facemask_ensemble.ship study=quickstart" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"margin": 1}, "margin=1: must be a share from 0 to below 1"),
        ({"margin": -0.1}, "margin=-0.1: must be a share"),
        ({"margin": "much"}, "margin=much: must be a share"),
        ({"margin": True}, "margin=true: must be a share"),
        ({"champion": "perhaps"}, "champion=perhaps: must be true or false"),
    ],
)
def test_values_that_cannot_be_are_refused(given, message):
    with pytest.raises(InputError, match=message):
        settings_of(ShipSettings, "ship", *(f"{key}={value}" for key, value in given.items()))


@pytest.mark.heavy
def test_the_command_ships_and_ends_with_2_where_the_champion_stays(command, place_with_store, assert_refused):
    outputs = place_with_store / "outputs"
    store = tracking.open_store(None, outputs)
    log_report(store, place_with_store, 95, 5)
    shipped = command("ship", "study=masks", cwd=place_with_store)
    assert shipped.returncode == 0, shipped.stderr
    assert "champion: now version 1" in shipped.stdout
    log_report(store, place_with_store, 80, 20)
    done = command("ship", "study=masks", cwd=place_with_store)
    assert_refused(done, "version 2 may be worse than the champion, version 1", "margin=")
    assert "facemask-masks version 2" in done.stdout


@pytest.mark.heavy
def test_a_server_takes_an_ensemble_and_hands_out_its_champions_answers(tmp_path, new_store, closed_port, capsys):
    shutil.copy(new_store / "mlflow.db", tmp_path / "server.db")
    uri = f"http://127.0.0.1:{closed_port}"
    start = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(closed_port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{tmp_path}/server.db", "--artifacts-destination", str(tmp_path / "kept"),
    ]  # fmt: skip
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(start, cwd=tmp_path, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_for_server(f"{uri}/health", process, tmp_path / "log")
        store = tracking.open_store(uri, tmp_path / "here")
        log_report(store, tmp_path, 900, 100)
        ship(config(tmp_path / "here", tracking={"uri": uri}))
        log_report(store, tmp_path, 950, 50)
        elsewhere = config(tmp_path / "elsewhere", tracking={"uri": uri})
        assert [ship(elsewhere).number for _ in range(2)] == [2, 2]
        said = capsys.readouterr().out
        assert f"to see it: {uri}/#/models/facemask-masks/versions/2" in said
        assert "replaces version 1: +5.0 points on 1000 common images" in said
        assert champion(store) == 2
    finally:
        os.killpg(process.pid, 9)
        process.wait()
