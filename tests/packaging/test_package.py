"""A shipped ensemble's folder: written, read, asked again, and refused where it is not what was packed."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from facemask_ensemble.ensemble import learning, voting
from facemask_ensemble.ensemble.rule_io import restored
from facemask_ensemble.ensemble.rule_settings import chosen_rule, described
from facemask_ensemble.errors import InputError
from facemask_ensemble.packaging.package import PackagedMember, read_package, write_package
from facemask_ensemble.prediction.shipped import shipped_choice
from facemask_ensemble.search_path import ENVIRONMENT
from facemask_ensemble.settings import read
from facemask_ensemble.settings.answering import Ties, Voting

CLASSES = ["none", "all", "some"]
PARTIAL = {"_partial_": True}
RULES = {
    "majority": {"_target_": "facemask_ensemble.ensemble.voting.majority", **PARTIAL},
    "borda": {"_target_": "facemask_ensemble.ensemble.voting.borda", **PARTIAL},
}
TIES = {
    "mean_probability": {},
    "abstain": {},
    "safest_class": {"order": ["some", "none", "all"]},
    "validation_weight": {"weights": "validation"},
}
LEARNING = {
    "weighted": (voting.weighted, learning.by_skill),
    "greedy": (voting.weighted, learning.greedy),
    "stacking": (voting.stacked, learning.logistic),
}


def random_answers(seed, images=200):
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.ones(3), size=(3, images)).astype(np.float32)
    return probs, rng.integers(0, 3, images)


def rule_of(name, ties):
    """Make a rule as a command makes it of its config, fitted on random images."""
    if name in RULES:
        config = RULES[name]
    else:
        rule, learn = LEARNING[name]
        config = {
            "rule": {"_target_": f"{rule.__module__}.{rule.__name__}", **PARTIAL},
            "learn": {"_target_": f"{learn.__module__}.{learn.__name__}", **PARTIAL},
        }
    tie = {**TIES[ties], "break_tie": {"_target_": f"facemask_ensemble.ensemble.voting.{ties}", **PARTIAL}}
    probs, labels = random_answers(1)
    return chosen_rule(name, read(Voting, config), read(Ties, tie), CLASSES, np.array([0.5, 0.7, 0.6])).fit(
        probs, labels
    )


@pytest.fixture
def about():
    """What a report says of a majority whose ties go to the safest class."""
    members = [("ada", "run-ada"), ("bea", "run-bea"), ("cleo", "run-cleo")]
    return described(rule_of("majority", "safest_class"), "safest_class", members, CLASSES) | {"name": "masks"}


@pytest.fixture
def package(about, tmp_path):
    members = []
    for place, known in enumerate(about["members"]):
        file = tmp_path / known["run_id"] / "model.keras"
        file.parent.mkdir()
        file.write_bytes(known["name"].encode())
        members.append(PackagedMember(file, 32, 3.0 - place, "random initialisation"))
    for name in ("card.json", "card.html"):
        (tmp_path / name).write_text("the card")
    write_package(about, members, tmp_path, tmp_path / "package")
    return tmp_path / "package"


def change(package, **changes):
    file = package / "ensemble.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.mark.parametrize("ties", TIES)
@pytest.mark.parametrize("name", [*RULES, *LEARNING])
def test_a_rule_that_was_kept_answers_as_before(name, ties):
    fitted = rule_of(name, ties)
    kept = json.loads(json.dumps(described(fitted, ties, [("a", "1"), ("b", "2"), ("c", "3")], CLASSES)))
    probs, _ = random_answers(2)
    probs[:, :50] = probs[[0, 1, 2]][:, :50].round(1)  # ties among them
    again = restored(kept)
    assert (again.name, again(probs).tolist()) == (name, fitted(probs).tolist())
    assert again.ties(probs).tolist() == fitted.ties(probs).tolist()


OWN_RULES = """
import numpy as np
from facemask_ensemble.ensemble.learning import Learned

def power_mean(probs, power):
    return (probs**power).sum(axis=0).argmax(axis=1)

def nearest(probs, reach, centre):
    return np.abs(probs.mean(axis=0) - centre).argmin(axis=1) if reach else np.zeros(probs.shape[1], int)

def learn(probs, labels):
    return Learned({"centre": probs.mean()}, np.full(len(probs), 1 / len(probs)))

def last(probs, leading, back):
    return leading.shape[1] - 1 - leading[:, ::-1].argmax(axis=1) * back
"""
OWN = {
    "power_mean": {"_target_": "own_rules_of_packages.power_mean", "power": 1, **PARTIAL},
    "nearest": {
        "rule": {"_target_": "own_rules_of_packages.nearest", "reach": 0, **PARTIAL},
        "learn": {"_target_": "own_rules_of_packages.learn", **PARTIAL},
    },
}
LAST = {"break_tie": {"_target_": "own_rules_of_packages.last", "back": 0, **PARTIAL}}


@pytest.fixture
def own_folder(tmp_path, monkeypatch):
    """A folder with rules of one's own, one of which learns, and what breaks ties; the environment names it."""
    folder = tmp_path / "mine"
    for name, config in {**{f"voting/{name}": config for name, config in OWN.items()}, "ties/last": LAST}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.yaml").write_text(json.dumps(config))
    (folder / "own_rules_of_packages.py").write_text(OWN_RULES)
    monkeypatch.setattr(sys, "path", [*sys.path, str(folder)])
    monkeypatch.setenv(ENVIRONMENT, str(folder))
    return folder


@pytest.mark.parametrize("name", OWN)
def test_a_rule_of_ones_own_is_kept_with_its_settings_and_found_in_its_folder(name, own_folder, monkeypatch):
    given = {"power_mean": {"power": 3}, "nearest": {"reach": 1}}[name]
    chosen = replace(read(Voting, OWN[name]), rule=read(Voting, OWN[name]).rule.changed(**given))
    probs, labels = random_answers(1)
    tie = {"break_tie": {**LAST["break_tie"], "back": 1}}
    fitted = chosen_rule(name, chosen, read(Ties, tie), CLASSES, None).fit(probs, labels)
    kept = json.loads(json.dumps(described(fitted, "last", [("a", "1"), ("b", "2"), ("c", "3")], CLASSES)))
    assert (kept["rule_settings"], kept["tie_arguments"]) == (given, {"back": 1})
    others, _ = random_answers(2)
    again = restored(kept)
    assert again(others).tolist() == fitted(others).tolist()
    assert again.rule.break_tie.keywords == {"back": 1}
    plain = chosen_rule(name, read(Voting, OWN[name]), read(Ties, LAST), CLASSES, None).fit(probs, labels)
    assert fitted(others).tolist() != plain(others).tolist()
    monkeypatch.delenv(ENVIRONMENT)
    message = f"voting={name}: there is no such voting here, only .*majority.* needs the folder that has voting/{name}"
    with pytest.raises(InputError, match=message):
        restored(kept)


@pytest.mark.parametrize("settings", [{}, {"power": 2, "more": 1}, {"power": {"a": 1}}, {"power": "${oc.env:HOME}"}])
def test_settings_that_the_rules_own_file_does_not_know_or_that_are_no_data_are_refused(settings, own_folder):
    probs, labels = random_answers(1)
    fitted = chosen_rule("power_mean", read(Voting, OWN["power_mean"]), read(Ties, LAST), CLASSES, None).fit(
        probs, labels
    )
    kept = described(fitted, "last", [("a", "1"), ("b", "2"), ("c", "3")], CLASSES)
    with pytest.raises(InputError, match="voting=power_mean: its config sets power, but the description has .*again"):
        restored(kept | {"rule_settings": settings})


def test_a_package_is_a_choice_with_its_members_in_order(package):
    choice = shipped_choice(str(package))
    assert choice.class_names == CLASSES
    assert [(source.name, source.file.read_bytes()) for source in choice.sources] == [
        ("ada", b"ada"), ("bea", b"bea"), ("cleo", b"cleo")
    ]  # fmt: skip
    assert {source.judged for source in choice.sources} == {None}
    assert (choice.price, choice.dataset, choice.vote.name) == ([3.0, 2.0, 1.0], "masks", "majority")
    assert "3 members trained on masks (random initialisation), majority vote as shipped: ada" in choice.introduction
    json.dumps(choice.about)
    # One vote each, and `some` is the safest.
    assert choice.vote(np.eye(3)[:, None, :]).tolist() == [2]


def test_a_package_holds_nothing_but_what_it_needs(package):
    assert sorted(str(file.relative_to(package)) for file in package.rglob("*") if file.is_file()) == [
        "card.html", "card.json", "ensemble.json", "members/ada.keras", "members/bea.keras", "members/cleo.keras"
    ]  # fmt: skip
    assert read_package(package).card == package / "card.html"


def test_a_package_that_was_moved_is_the_same(package, tmp_path):
    before = shipped_choice(str(package)).about
    shutil.move(package, tmp_path / "elsewhere")
    assert shipped_choice(str(tmp_path / "elsewhere")).about == before


def test_conversions_that_lie_beside_a_member_come_along(about, package, tmp_path):
    sha256 = json.loads((package / "ensemble.json").read_text())["members"][0]["sha256"][:20]
    beside = tmp_path / "run-ada" / "openvino"
    for name in (f"{sha256}-float32", f"{sha256}-float32.0123.part", "0" * 20 + "-float32"):
        (beside / name).mkdir(parents=True)
        (beside / name / "network.xml").write_text("<net/>")
    (beside / f"{sha256}-float32.json").write_text("{}")
    files = [tmp_path / known["run_id"] / "model.keras" for known in about["members"]]
    write_package(about, [PackagedMember(file, 32, 1.0, "") for file in files], tmp_path, tmp_path / "other")
    there = tmp_path / "other" / "members" / "openvino"
    assert sorted(path.name for path in there.iterdir()) == [f"{sha256}-float32", f"{sha256}-float32.json"]


def test_a_member_that_was_changed_or_lost_is_named(package):
    (package / "members" / "bea.keras").write_bytes(b"another")
    with pytest.raises(InputError, match=r"members/bea.keras is not the file that was shipped \(another sha256\)"):
        read_package(package)
    (package / "members" / "bea.keras").unlink()
    with pytest.raises(InputError, match="members/bea.keras is missing; ship it again"):
        read_package(package)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rule": "os.system"}, "voting=os.system: there is no such voting here, only .*majority.*--config-dir"),
        ({"rule": "../voting/majority"}, "voting=../voting/majority: there is no such voting here"),
        ({"rule": {"_target_": "os.system"}}, "has a _target_; code named in a file is never run"),
        ({"learned": {"deep": [{"_target_": "os.system"}]}}, "has a _target_"),
        (
            {"rule": ["majority"]},
            "members, their files or numbers are missing or not valid; evaluate and ship again",
        ),
        ({"ties": "coin"}, "ties=coin: there is no such ties here, only abstain, "),
        ({"tie_arguments": {}}, "ties=safest_class: it needs order, but the description has none"),
        ({"tie_arguments": {"order": [0, 0, 1]}}, r"ties=safest_class: order=\[0, 0, 1\] does not fit"),
        ({"ties": "abstain"}, "ties=abstain: it needs no argument, but the description has order"),
        ({"ties": "validation_weight", "tie_arguments": {"weights": [1, 2]}}, r"weights=\[1, 2\] does not fit"),
        ({"learned": {"weights": [1, 1, 1]}}, "rule=majority: its learned values must be none, .* has weights"),
        ({"rule": "weighted"}, "rule=weighted: its learned values must be weights, .* has nothing"),
        ({"rule": "weighted", "learned": {"weights": [1, 1]}}, "Weights must be 3 numbers"),
        ({"rule": "weighted", "learned": {"weights": [1, 1, None]}}, "all finite"),
        ({"rule": "weighted", "learned": {"weights": ["a", [1]]}}, "all finite"),
        ({"tie_arguments": {"order": "some"}}, "ties=safest_class: order=some does not fit"),
        ({"class_names": "none"}, "members, their files or numbers are missing"),
        ({"members": []}, "members, their files or numbers are missing"),
    ],
)
def test_a_description_that_cannot_be_trusted_is_refused(package, changes, message):
    change(package, **changes)
    with pytest.raises(InputError, match=message):
        read_package(package)


@pytest.mark.parametrize("file", ["../../ada.keras", "/etc/passwd", "ada.h5", "sub/ada.keras", "..", 3])
def test_a_member_is_a_keras_file_of_its_own_folder(package, file):
    members = json.loads((package / "ensemble.json").read_text())["members"]
    change(package, members=[members[0] | {"file": file}, *members[1:]])
    with pytest.raises(InputError, match="its members, their files or numbers are missing or not valid"):
        read_package(package)


@pytest.mark.parametrize("missing", ["tie_arguments", "class_names"])
def test_a_description_of_an_older_version_is_refused_with_the_next_step(package, about, tmp_path, missing):
    about.pop(missing)
    message = f"ensemble.json has no {missing}: it was written by an older version .*evaluate and ship again: python -m"
    with pytest.raises(InputError, match=message):
        write_package(about, [], tmp_path, tmp_path / "other")
    (package / "ensemble.json").write_text(json.dumps(about))
    with pytest.raises(InputError, match=message):
        read_package(package)


@pytest.mark.parametrize("text", ["", "no json", "[]", "\xff"])
def test_a_description_that_is_none_is_refused(package, text):
    (package / "ensemble.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match="ensemble.json: "):
        read_package(package)


@pytest.mark.parametrize("given", ["nowhere", "."])
def test_a_folder_without_an_ensemble_is_refused(given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=f"ensemble={given}: not a shipped ensemble; give models:/NAME@champion"):
        shipped_choice(given)


def test_a_models_folder_of_mlflow_is_as_good_as_the_package_in_it(package, tmp_path):
    inside = tmp_path / "model" / "artifacts" / "ensemble"
    inside.parent.mkdir(parents=True)
    shutil.move(package, inside)
    (tmp_path / "model" / "MLmodel").write_text("")
    assert shipped_choice(str(tmp_path / "model")).sources[0].file == Path(inside / "members" / "ada.keras")
