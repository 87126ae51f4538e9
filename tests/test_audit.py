import json
import subprocess
import sys

import pandas as pd
import pytest
from PIL import Image


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory, draw_faces):
    """Two classes of 20 drawn images, with a contradiction, a broken file, a misnamed one and one with alpha."""
    folder = draw_faces(tmp_path_factory.mktemp("audit") / "images", ["bare", "masked"], 20)
    (folder / "masked" / "again.png").write_bytes((folder / "bare" / "3.png").read_bytes())
    (folder / "masked" / "empty.jpg").write_bytes(b"")
    Image.open(folder / "bare" / "4.png").save(folder / "bare" / "web.jpg", format="WEBP", lossless=True)
    Image.open(folder / "bare" / "5.png").convert("RGBA").save(folder / "bare" / "clear <b>.png")
    return folder


def audited(command, place, folder, *more):
    done = command("audit", "dataset=folders", f"dataset.root={folder}", *more, cwd=place)
    assert done.returncode == 0, done.stderr
    report = json.loads((place / "outputs" / "audit-folders" / "audit.json").read_text(encoding="utf-8"))
    return done, report, place / "outputs" / "audit-folders"


@pytest.fixture(scope="module")
def found(command, make_place, tmp_path_factory, spoilt):
    """The place of the spoilt folder's audit, how that ended, what it found and where; the folder is as before."""
    place, before = make_place(tmp_path_factory.mktemp("found")), {path: path.read_bytes() for path in files(spoilt)}
    done, report, folder = audited(command, place, spoilt)
    assert {path: path.read_bytes() for path in files(spoilt)} == before
    return place, done, report, folder


def files(folder):
    return folder.rglob("*.*")


@pytest.mark.heavy
def test_a_spoilt_folder_is_audited_and_nothing_of_it_is_changed(found):
    _, done, report, folder = found
    assert "The same image has two labels" in done.stdout
    assert str(folder / "audit.html") in "".join(done.stdout.split("\n"))
    assert {path.name for path in folder.iterdir()} == {"audit.html", "audit.json", "copies.csv", "quarantine.csv"}
    quarantine = pd.read_csv(folder / "quarantine.csv").set_index("path")["reason"]
    assert set(quarantine.index) == {"bare/3.png", "masked/again.png", "masked/empty.jpg"}
    assert "has another label" in quarantine["masked/again.png"]
    odd = " ".join(kind["finding"] for kind in report["files"]["odd"])
    assert "WEBP" in odd
    assert "transparent" in odd
    copies = pd.read_csv(folder / "copies.csv").set_index("path")
    assert copies.loc["bare/web.jpg", ["kind", "nearest"]].tolist() == ["near", "bare/4.png"]
    assert copies.loc["masked/again.png", ["kind", "split"]].tolist() == ["exact", "left out"]


@pytest.mark.heavy
def test_the_audit_is_logged_as_a_run_of_its_kind(found):
    from mlflow.tracking import MlflowClient

    place, _, report, _ = found
    client = MlflowClient(f"sqlite:///{place}/outputs/mlflow.db")
    experiment = client.get_experiment_by_name("folders")
    (run,) = client.search_runs([experiment.experiment_id], "tags.kind = 'audit'")
    assert run.data.metrics["images"] == report["images"]["labelled"] == 44
    assert {file.path for file in client.list_artifacts(run.info.run_id)} >= {"audit.html", "audit.json"}


@pytest.mark.heavy
def test_a_set_that_cannot_be_split_is_audited_all_the_same(command, place_with_store, tmp_path, draw_faces):
    folder = draw_faces(tmp_path / "few", ["bare", "masked"], 2)
    done, report, _ = audited(command, place_with_store, folder)
    assert "No model can be trained on this dataset yet." in done.stdout
    assert "split has no image of class" in report["refusal"]
    assert report["balance"]["counts"] == {"bare": 2, "masked": 2}


@pytest.mark.heavy
def test_a_dead_server_does_not_cost_the_audit(command, tmp_path, spoilt, closed_port):
    uri = f"http://127.0.0.1:{closed_port}"
    done, _, folder = audited(command, tmp_path, spoilt, "tracking=server", f"tracking.uri={uri}")
    assert "could not be logged to MLflow" in done.stdout
    assert (folder / "audit.html").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["dataset=folders"], ["dataset.root=null"]),
        (["dataset.root=nowhere"], ["nowhere", "no such folder"]),
        (["dataset.limit=0"], ["dataset.limit=0", "at least 1"]),
        (["voting=soft"], ["voting"]),
    ],
)
def test_an_audit_of_nothing_is_refused_in_one_line(arguments, words, command, tmp_path, assert_refused):
    assert_refused(command("audit", *arguments, cwd=tmp_path), *words)


@pytest.mark.heavy
def test_the_help_of_the_audit_teaches_without_importing_tensorflow(tmp_path):
    script = (
        "import sys; sys.argv = ['audit', '--help']\n"
        "from facemask_ensemble.audit import main\n"
        "main()\n"
        "assert not {'tensorflow', 'keras', 'mlflow', 'sklearn'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "dataset=folders dataset.root=IMAGES" in done.stdout
    assert list(tmp_path.iterdir()) == []


def real(command, place, real_data, folder, dataset):
    done = command("audit", f"dataset={dataset}", f"dataset.root={real_data / folder}", cwd=place)
    assert done.returncode == 0, done.stderr
    return json.loads((place / "outputs" / f"audit-{dataset}" / "audit.json").read_text(encoding="utf-8"))


@pytest.mark.heavy
def test_the_series_of_the_street_photographs_is_found(command, place_with_store, real_data):
    report = real(command, place_with_store, real_data, "street_masks", "street_masks")
    told = report["shortcuts"]["shortcut_values"][0]
    assert (told["value"], told["images"], told["kept_together"]) == ("301x400", 184, True)
    assert told["counts"]["some"] == 0
    assert any("301x400" in found["text"] for found in report["findings"])


@pytest.mark.heavy
def test_a_random_split_of_the_hands_would_leak_some_31_percent(command, place_with_store, real_data):
    report = real(command, place_with_store, real_data, "rock_paper_scissors", "folders")
    assert report["copies"]["random_split"] == pytest.approx(0.31, abs=0.03)
    assert report["copies"]["given_split"]["parts"]["test"]["held_out"] == 210


@pytest.mark.heavy
def test_alpha_and_near_copies_of_the_faces_are_found(command, place_with_store, real_data):
    report = real(command, place_with_store, real_data, "faces", "folders")
    odd = {kind["finding"]: kind["files"] for kind in report["files"]["odd"]}
    assert any("transparent" in finding and files == 60 for finding, files in odd.items())
    assert report["copies"]["groups"] > 25
