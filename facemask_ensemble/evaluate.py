"""Let the members of a data set vote and write the verdict: `python -m facemask_ensemble.evaluate`."""

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
import numpy as np
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from facemask_ensemble.command import run_command
from facemask_ensemble.config import absolute_paths, check_evaluation, chosen_groups, plain

if TYPE_CHECKING:
    from facemask_ensemble.data.manifest import Manifest
    from facemask_ensemble.evaluation.ballots import Ballot, Judged
    from facemask_ensemble.evaluation.verdict import MemberPredictions
    from facemask_ensemble.saliency.gallery import Overlays

SHOWN = 320  # longest side of a picture in the report, pixels
THUMBNAIL = 96
LISTED = 60  # ties shown with their picture
SAMPLES = 6  # training pictures of every class on the contact sheet
SAME = ("dataset.root", "dataset.table", "dataset.name")  # they do not change what is judged


def task(cfg: DictConfig) -> None:
    """Compose the config and evaluate."""
    check_evaluation(absolute_paths(cfg))
    changed = [text for text in HydraConfig.get().overrides.task if text.startswith("dataset.")]
    changed = [text for text in changed if not text.startswith(SAME)]
    evaluate(plain(cfg), chosen_groups(), changed=changed, command=_command())


def evaluate(config: dict[str, Any], choices: Mapping[str, str], *, changed: Sequence[str], command: str) -> Path:
    """Judge members and votes on the test split; write the report, log it, and print the table.

    Args:
        config: the resolved evaluate config.
        choices: the names of the `voting` rule that is judged as the ensemble, and of what breaks `ties`.
        changed: overrides of the data set that a reader has to know of.
        command: shown on the page.

    Returns:
        The folder that holds `report.html`, `report.json` and `ensemble/`.
    """
    from rich.console import Console

    from facemask_ensemble import tracking
    from facemask_ensemble.data.dataset import open_dataset
    from facemask_ensemble.ensemble.election import chosen_rule, every_rule, validation_accuracy
    from facemask_ensemble.ensemble.members import load_predictions, members_of, model_file
    from facemask_ensemble.evaluation.ballots import cast
    from facemask_ensemble.evaluation.verdict import judge, judged_split
    from facemask_ensemble.report.page import write_report
    from facemask_ensemble.report.tables import terminal_table

    output_dir = Path(config["output_dir"])
    store = tracking.open_store(config["tracking"]["uri"], output_dir)
    whole = open_dataset(config["dataset"], output_dir)
    cache = output_dir / "data" / "artifacts"
    members, manifest = members_of(store, whole, config["study"], config["members"], cache, seen=config["seen"])
    predictions = load_predictions(store, members, manifest, cache)
    validation, test = (judged_split(predictions, manifest, split) for split in ("validation", "test"))
    accuracy = validation_accuracy(validation.probs, validation.labels)
    rule = chosen_rule(choices["voting"], config["voting"], config["ties"], manifest.class_names, accuracy)
    models = {member.name: model_file(store, member, cache) for member in members}
    analysis = {
        "costs": _costs(models, output_dir) if config["costs"] else {},
        "conformal_error": config["conformal_error"],
        "resamples": config["resamples"],
    }
    report = judge(predictions, manifest, every_rule(rule), rule.name, learn=config["learn"], analysis=analysis)
    report["break_tie"] = choices["ties"]
    report["dataset"] |= {"changed": list(changed), "seen": len(whole.rows) - len(manifest.rows)}
    ballot = cast(rule, validation, test, config["learn"])
    report["shift"] = _shift(config["shift"], models, manifest, test, ballot, output_dir) if config["shift"] else None

    study = config["study"] or manifest.name
    folder = output_dir / study
    gallery, pictures, overlays = _gallery(config, report, ballot, test, predictions, manifest, models)
    page = write_report(report, gallery, pictures, overlays, _contact_sheet(manifest), command, folder)
    _keep_ensemble(report, ballot, predictions, manifest, study, command, folder / "ensemble")
    unlogged = tracking.protect(lambda: tracking.log_report(store, study, manifest, folder, report["ensemble"]))
    Console().print(terminal_table(report))
    if unlogged:
        print(f"the report could not be logged to MLflow ({unlogged}); it is kept below")
    print(f"report: {page}")
    print(f"ship card: {folder / 'ensemble' / 'card.html'}")
    return folder


def _costs(models: Mapping[str, Path], output_dir: Path) -> dict[str, Any]:
    from facemask_ensemble.ensemble.costs import member_costs

    return member_costs(models, output_dir / "data" / "costs")


def _shift(
    pictures: int, models: Mapping[str, Path], manifest: "Manifest", test: "Judged", ballot: "Ballot", output_dir: Path
) -> dict[str, Any]:
    """Make a sample of the test pictures worse, and ask the members again."""
    from facemask_ensemble.ensemble.rehearsal import rehearse
    from facemask_ensemble.evaluation.shift import shift_report

    sample = np.sort(np.random.default_rng(0).permutation(len(test.labels))[:pictures])
    files = [manifest.root / test.paths[index] for index in sample]
    shifted = rehearse(models, files, output_dir / "data" / "rehearsal", batch_size=32, seed=0)
    return shift_report(test.probs[:, sample], shifted, test.labels[sample], list(models), ballot.fitted)


def _gallery(
    config: Mapping[str, Any],
    report: Mapping[str, Any],
    ballot: "Ballot",
    test: "Judged",
    predictions: Sequence["MemberPredictions"],
    manifest: "Manifest",
    models: Mapping[str, Path],
) -> "tuple[list[dict[str, Any]], dict[str, np.ndarray], Overlays]":
    """Choose the pictures worth looking at; read them, and small those that are tied or may be mislabelled."""
    from facemask_ensemble.evaluation.gallery import choose
    from facemask_ensemble.report.pictures import read_shown

    names = [member.name for member in predictions]
    gallery = choose(
        test.probs, test.labels, ballot.answers, list(test.paths), names, manifest.class_names, config["gallery"]
    )
    small = [item["path"] for item in report["ensemble"][report["shipped"]]["tied"][:LISTED]]
    small += [item["path"] for found in report["suspects"].values() for item in found]
    pictures = {path: read_shown(manifest.root / path, THUMBNAIL) for path in small}
    pictures |= {item["path"]: read_shown(manifest.root / item["path"], SHOWN) for item in gallery}
    overlays: Overlays = {}
    if gallery and config["saliency"]["method"] is not None:
        overlays = _explain(models, gallery, pictures, manifest, config["saliency"]["method"])
    return gallery, pictures, overlays


def _explain(
    models: Mapping[str, Path],
    gallery: Sequence[Mapping[str, Any]],
    pictures: Mapping[str, np.ndarray],
    manifest: "Manifest",
    method: Mapping[str, Any],
) -> "Overlays":
    """Draw the heatmap of every member's own answer on the gallery's pictures."""
    from rich.progress import track

    from facemask_ensemble.models.quiet import start_tensorflow

    start_tensorflow()
    from facemask_ensemble.saliency.gallery import draw_overlays

    files = {item["path"]: manifest.root / item["path"] for item in gallery}
    answers = {name: [manifest.class_names.index(item["votes"][name]) for item in gallery] for name in models}
    tracked = track(models.items(), "Heatmaps", transient=True, disable=not sys.stdout.isatty())
    return draw_overlays(tracked, files, pictures, answers, hydra.utils.instantiate(method))


def _keep_ensemble(
    report: Mapping[str, Any],
    ballot: "Ballot",
    predictions: Sequence["MemberPredictions"],
    manifest: "Manifest",
    study: str,
    command: str,
    folder: Path,
) -> None:
    """Write what is shipped: the ensemble's description, its answers picture by picture, and the ship card."""
    from facemask_ensemble.ensemble.election import described
    from facemask_ensemble.evaluation.card import ship_card
    from facemask_ensemble.report.card import write_card

    folder.mkdir(parents=True, exist_ok=True)
    members = [(member.name, member.run_id) for member in predictions]
    about = described(ballot.fitted, report["break_tie"], members, manifest.class_names)
    about |= {"name": manifest.name, "study": study, "fingerprint": manifest.fingerprint}
    for member in about["members"]:
        member["milliseconds"] = report["costs"].get(member["name"], {}).get("milliseconds")
    about["temperatures"] = [row["temperature"] for row in report["calibration"]["rows"]]
    (folder / "ensemble.json").write_text(json.dumps(about, indent=2), encoding="utf-8")
    rows = manifest.split("test")[["sha256", "label"]].assign(prediction=ballot.answers)
    rows.to_parquet(folder / "answers.parquet", index=False)
    write_card(ship_card(report, study, command), folder)


def _contact_sheet(manifest: "Manifest") -> list[tuple[np.ndarray, str]]:
    """Read the first training pictures of every class."""
    from facemask_ensemble.report.pictures import read_shown

    train = manifest.split("train")
    return [
        (read_shown(manifest.root / path, SHOWN // 2), name)
        for label, name in enumerate(manifest.class_names)
        for path in train.loc[train["label"] == label, "path"].head(SAMPLES)
    ]


def _command() -> str:
    return shlex.join(["python", "-m", "facemask_ensemble.evaluate", *sys.argv[1:]])


def main() -> None:
    """Run the command."""
    run_command("evaluate", task)


if __name__ == "__main__":
    main()
