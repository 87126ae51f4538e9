"""Register the ensemble of a report, as champion if it is not worse: `python -m facemask_ensemble.ship`."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from omegaconf import DictConfig

from facemask_ensemble.command import run_command
from facemask_ensemble.config import read_settings
from facemask_ensemble.errors import InputError
from facemask_ensemble.report.numbers import interval, percent, points
from facemask_ensemble.settings.ship import ShipSettings

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from facemask_ensemble.settings.task import Task
    from facemask_ensemble.tracking import Store
    from facemask_ensemble.tracking.registry import Version

NO_RIVAL = "there was no champion before"


@dataclass(frozen=True)
class Shipment:
    """What a report's folder `ensemble` holds: ensemble.json, card.json, answers.parquet, and where the card lies."""

    about: dict[str, Any]
    card: dict[str, Any]
    answers: "pd.DataFrame"
    page: Path


def task(cfg: DictConfig) -> None:
    """Compose the config and ship."""
    ship(read_settings(ShipSettings, cfg))


def ship(settings: ShipSettings) -> "Version":
    """Register a report's ensemble, and make it the champion unless it may be worse than the current one.

    Raises:
        InputError: there is no report or no ensemble in it, or the champion stays.
    """
    from facemask_ensemble import tracking
    from facemask_ensemble.settings.task import GENERIC
    from facemask_ensemble.task import task_named
    from facemask_ensemble.tracking import registry

    output_dir, cache = settings.output_dir, settings.output_dir / "data" / "artifacts"
    store = tracking.open_store(settings.tracking.uri, output_dir)
    run_id, study = registry.find_report(store, settings.study, settings.report)
    again = f"write this report again: python -m facemask_ensemble.evaluate study={study}"
    new = read_shipment(registry.ensemble_folder(store, run_id, cache, again))
    task = task_named(new.about.get("task", GENERIC))
    name = settings.name or f"{task.model_prefix}{new.about['name']}"
    before, old = registry.champion(store, name), None
    if settings.champion and before and before.run_id != run_id:
        restore = f"it is the champion, {name} version {before.number}: restore it, or move the alias in MLflow by hand"
        old = read_shipment(registry.ensemble_folder(store, before.run_id, cache, restore))
        _refuse_other_classes(name, new, old)
    if not registry.has_model(store, run_id):
        keep_model(store, run_id, new, task, output_dir)
    version, made = registry.register(store, name, run_id, _tags(new), new.card["sentence"])
    print(f"{name} version {version.number}{'' if made else ' (registered before)'}: {_summary(new)}")
    print(f"card: {new.page}\nto see it: {registry.page_of(store, version)}")
    if not settings.champion:
        print(f"champion: {f'still version {before.number}' if before else 'none'} (champion=false)")
    elif before and before.run_id == run_id:
        print(f"champion: already version {version.number}")
    else:
        evidence = _defend(version, new, before, old, settings.margin) if before and old else NO_RIVAL
        registry.set_champion(store, version)
        print(f"champion: now version {version.number}, {evidence}\nto use it: models:/{name}@{registry.CHAMPION}")
    return version


def read_shipment(folder: Path) -> Shipment:
    """Read a report's folder `ensemble`."""
    import pandas as pd

    about, card = (json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in ("ensemble", "card"))
    return Shipment(about, card, pd.read_parquet(folder / "answers.parquet"), folder / "card.html")


def keep_model(store: "Store", run_id: str, new: Shipment, task: "Task", output_dir: Path) -> None:
    """Put the whole ensemble, members and all, beside what the report keeps of it, as a model that MLflow loads.

    Raises:
        InputError: a member is lost, or the description is too old to be restored.
    """
    import tempfile

    from facemask_ensemble.packaging.package import packaged_members, write_package
    from facemask_ensemble.serving.ensemble_model import save_model
    from facemask_ensemble.serving.service import PARAMS, SETTINGS
    from facemask_ensemble.tracking.registry import add_model

    members = packaged_members(store, new.about, output_dir / "data" / "artifacts")
    with tempfile.TemporaryDirectory(prefix="ship-", dir=output_dir) as place:
        package, saved = Path(place) / "ensemble", Path(place) / "model"
        write_package(new.about, members, new.page.parent, package)
        names = [member["name"] for member in new.about["members"]]
        save_model(
            package,
            names,
            new.about["class_names"],
            SETTINGS,
            PARAMS,
            hydra.utils.instantiate(task.example.call),
            saved,
        )
        add_model(store, run_id, saved)


def common_answers(new: "pd.DataFrame", old: "pd.DataFrame") -> tuple["np.ndarray", "np.ndarray"]:
    """Tell on which images, of one content and label, each of two ensembles was right: bool (n,) and bool (n,).

    Args:
        new: `sha256`, `label` and `prediction`, one row an image; a prediction of -1 is no answer, and not right.
        old: the same of the other.
    """
    keys = ["sha256", "label"]
    both = new.drop_duplicates(keys).merge(old.drop_duplicates(keys), on=keys, suffixes=("_new", "_old"))
    new_right, old_right = (both[f"prediction_{whose}"] == both["label"] for whose in ("new", "old"))
    return new_right.to_numpy(bool), old_right.to_numpy(bool)


def _defend(version: "Version", new: Shipment, before: "Version", old: Shipment, margin: float) -> str:
    """Give the evidence that the new version is not worse than the champion, or refuse it."""
    from facemask_ensemble.evaluation.statistics import non_inferior

    rights = common_answers(new.answers, old.answers)
    if not len(rights[0]):
        members = ",".join(member["run_id"] for member in new.about["members"])
        raise InputError(
            f"{version.name} version {version.number} and the champion, version {before.number}, share no test "
            f"image; evaluate the new members on the dataset of study {old.about['study']} and ship that "
            f"report: python -m facemask_ensemble.evaluate 'members=[{members}]' voting={new.about['rule']} "
            f"ties={new.about['ties']} dataset=… as for that study ({old.about['name']}), or move the alias in MLflow "
            f"by hand. Version {version.number} is kept"
        )
    found = non_inferior(*rights, margin=margin)
    numbers = (
        f"{points(found['difference'])} points on {found['images']} common images, 95 % lower bound "
        f"{points(found['lower'])}"
    )
    if not found["not_worse"]:
        raise InputError(
            f"{version.name} version {version.number} may be worse than the champion, version {before.number}, which "
            f"stays: {numbers}, and margin={margin:g} allows {points(-margin)}; test both on more images, or give "
            f"a larger margin=…. Version {version.number} is kept"
        )
    return f"replaces version {before.number}: {numbers} (margin={margin:g})"


def _refuse_other_classes(name: str, new: Shipment, old: Shipment) -> None:
    if new.about["class_names"] != old.about["class_names"]:
        raise InputError(
            f"name={name}: its champion has the classes {', '.join(old.about['class_names'])}, this ensemble has "
            f"{', '.join(new.about['class_names'])}; give another name=…"
        )


def _tags(new: Shipment) -> dict[str, str]:
    members = ", ".join(member["name"] for member in new.about["members"])
    known = {"rule": new.about["rule"], "members": members, "accuracy": new.card["accuracy"]}
    known |= {key: new.about[key] for key in ("fingerprint", "study")}
    return {key: str(value) for key, value in known.items() if value is not None}


def _summary(new: Shipment) -> str:
    count = len(new.about["members"])
    return (
        f"{new.about['rule']} vote of {count} member{'s' if count != 1 else ''}, {percent(new.card['accuracy'])} % of "
        f"{new.card['images']} test images right (95 % interval {interval(new.card['accuracy_interval'])})"
    )


def main() -> None:
    """Run the command."""
    run_command("ship", task)


if __name__ == "__main__":
    main()
