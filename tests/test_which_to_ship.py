"""From two trained members to a champion in the registry, through the command line."""

import json

import numpy as np
import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

SMALL = ("precision=float32", "image_size=32", "batch_size=8", "augmentation=none", "study=pair")
FOLDERS = ("dataset=folders", "dataset.root=masks")

pytestmark = pytest.mark.heavy


@pytest.fixture(scope="module")
def place(tmp_path_factory, make_place, command, draw_faces):
    """A place with two members of the study `pair`, one of them hardly trained, judged by a greedy vote."""
    place = make_place(tmp_path_factory.mktemp("ship"))
    draw_faces(place / "masks", ["bare", "masked"], 40)
    for backbone, epochs in (("deep_cnn", 6), ("basic_cnn", 1)):
        given = [f"backbone={backbone}", f"schedule.epochs={epochs}", "task=masks"]
        done = command("train", *given, *SMALL, *FOLDERS, cwd=place)
        assert done.returncode == 0, done.stderr
    judged = ("voting=greedy", "ties=abstain", "shift=4", "resamples=200", "heatmap=none", "dataset.limit=80")
    done = command("evaluate", *FOLDERS, *judged, "study=pair", cwd=place)
    assert (done.returncode, done.stderr) == (0, "")
    return place


def read(place, name):
    return json.loads((place / "outputs" / "pair" / name).read_text())


def test_every_rule_is_judged_and_the_weights_come_from_validation(place):
    report = read(place, "report.json")
    assert set(report["ensemble"]) == {"majority", "soft", "weighted", "borda", "maximum", "greedy", "stacking"}
    assert report["shipped"] == "greedy"
    weights = report["rules"]["greedy"]["weights"]
    assert set(weights) == {"deep_cnn", "basic_cnn"}
    assert sum(weights.values()) == pytest.approx(1)
    validation = sum(report["dataset"]["counts"]["validation"].values())
    assert report["rules"]["greedy"]["learned_from"] == f"{validation} validation images"


def test_costs_are_measured_and_images_made_worse_are_asked_about(place):
    report = read(place, "report.json")
    assert all(cost["milliseconds"] > 0 and cost["megabytes"] > 0 for cost in report["costs"].values())
    assert report["shift"]["images"] == 4
    assert len(report["shift"]["rows"]) == 21
    page = (place / "outputs" / "pair" / "report.html").read_text()
    assert "occluded" in page
    assert report["shift"]["sentence"] in page


def test_a_changed_dataset_is_named_on_the_page_and_on_the_card(place):
    assert read(place, "report.json")["dataset"]["changed"] == ["dataset.limit=80"]
    card = read(place, "ensemble/card.json")
    assert any("dataset.limit=80" in warning for warning in card["warnings"])
    assert any("random initialisation" in warning for warning in card["warnings"])
    assert "dataset.limit=80" in (place / "outputs" / "pair" / "report.html").read_text()


def test_the_kept_ensemble_answers_as_the_report_says(place):
    """Vote again from the kept weights and the members' own cached probabilities."""
    about, report = read(place, "ensemble/ensemble.json"), read(place, "report.json")
    answers = pd.read_parquet(place / "outputs" / "pair" / "ensemble" / "answers.parquet").set_index("sha256")
    probs = 0.0
    for member, weight in zip(about["members"], about["learned"]["weights"], strict=True):
        (file,) = (place / "outputs" / "mlruns" / "pair" / member["run_id"]).rglob("probabilities.parquet")
        table = pd.read_parquet(file).drop_duplicates("sha256").set_index("sha256").loc[answers.index]
        probs = probs + weight * table[["p_bare", "p_masked"]].to_numpy(float)
    np.testing.assert_array_equal(np.argmax(probs, axis=1), answers["prediction"])
    right = (answers["prediction"] == answers["label"]).mean()
    assert report["ensemble"]["greedy"]["accuracy"] == pytest.approx(right)


@pytest.fixture(scope="module")
def learned(place, command):
    """What `predict` answers with the members of the study, its weights learned anew."""
    given = ("input=masks", "study=pair", "voting=greedy", "ties=abstain", "output=store.csv")
    done = command("predict", *given, cwd=place)
    assert done.returncode == 0, done.stderr
    return pd.read_csv(place / "store.csv")


def test_predict_learns_the_same_weights_from_the_members_own_validation_images(place, learned):
    heavier = max(read(place, "report.json")["rules"]["greedy"]["weights"].items(), key=lambda item: item[1])[0]
    both = learned["vote_deep_cnn"] == learned["vote_basic_cnn"]
    assert (learned.loc[both, "prediction"] == learned.loc[both, "vote_deep_cnn"]).all()
    assert len(learned) == 80
    assert (learned["prediction"] == learned[f"vote_{heavier}"]).mean() > 0.5


def test_predict_leaves_a_tie_without_an_answer_where_it_is_told_to_abstain(place, command):
    done = command("predict", "input=masks", "study=pair", "ties=abstain", cwd=place)
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(place / "outputs" / "predictions" / "predictions.csv")
    split = table["vote_deep_cnn"] != table["vote_basic_cnn"]
    assert table["prediction"].isna().equals(split)
    assert table["tie"].equals(split)


def test_what_is_judged_is_of_the_task_that_its_members_were_trained_for(place):
    assert read(place, "ensemble/ensemble.json")["task"] == "masks"  # `folders` alone would say nothing
    assert read(place, "ensemble/card.json")["name"] == "facemask-folders"


def test_the_judged_ensemble_becomes_champion_with_its_card(place, command):
    done = command("ship", "study=pair", cwd=place)
    assert (done.returncode, done.stderr) == (0, "")
    client = MlflowClient(f"sqlite:///{place}/outputs/mlflow.db")
    version = client.get_model_version_by_alias("facemask-folders", "champion")
    assert {item.path for item in client.list_artifacts(version.run_id, "ensemble")} >= {
        f"ensemble/{name}" for name in ("ensemble.json", "card.html", "card.json", "answers.parquet")
    }


def test_the_champion_answers_with_its_own_members_its_own_weights_and_its_own_way_with_ties(place, command, learned):
    shipped = "ensemble=models:/facemask-folders@champion"
    done = command("predict", "input=masks", shipped, "output=shipped.csv", cwd=place)
    assert done.returncode == 0, done.stderr
    assert "greedy vote as shipped: basic_cnn, deep_cnn" in done.stdout
    pd.testing.assert_frame_equal(pd.read_csv(place / "shipped.csv"), learned)
    refused = command("predict", "input=masks", shipped, "voting=soft", "output=other.csv", cwd=place)
    assert refused.returncode == 2
    assert "voting=soft: ensemble=models:/facemask-folders@champion has its own members" in refused.stderr
