"""Let the members of a dataset vote and write the verdict: `python -m facemask_ensemble.evaluate`."""

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

from facemask_ensemble.checks import check_evaluation
from facemask_ensemble.command import run_command
from facemask_ensemble.config import absolute_paths, chosen_groups, plain

if TYPE_CHECKING:
    from facemask_ensemble.data.manifest import Manifest
    from facemask_ensemble.evaluation.rule_predictions import Ballot, Judged
    from facemask_ensemble.evaluation.verdict import MemberPredictions
    from facemask_ensemble.task import Task

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
        changed: overrides of the dataset that a reader has to know of.
        command: shown on the page.

    Returns:
        The folder of `report.html`, `report.json`, `ensemble/`, and where heatmaps are judged `explanation.html`.
    """
    from rich.console import Console

    from facemask_ensemble import tracking
    from facemask_ensemble.data.dataset import open_dataset
    from facemask_ensemble.ensemble.members import load_predictions, members_of, model_file
    from facemask_ensemble.ensemble.rule_settings import chosen_rule, every_rule, validation_accuracy, with_order
    from facemask_ensemble.evaluation.explanations import explain_answers, write_explanations
    from facemask_ensemble.evaluation.gallery import choose
    from facemask_ensemble.evaluation.rule_predictions import cast
    from facemask_ensemble.evaluation.verdict import judge, judged_split
    from facemask_ensemble.report.display_images import contact_sheet, images_of
    from facemask_ensemble.report.explanation_cards import gallery_overlays
    from facemask_ensemble.report.page import write_report
    from facemask_ensemble.report.tables import terminal_table
    from facemask_ensemble.task import chosen_task

    output_dir = Path(config["output_dir"])
    store = tracking.open_store(config["tracking"]["uri"], output_dir)
    whole = open_dataset(config["dataset"], output_dir)
    cache = output_dir / "data" / "artifacts"
    members, manifest = members_of(store, whole, config["study"], config["members"], cache, seen=config["seen"])
    task = chosen_task(config.get("task"), members[0].task)
    predictions = load_predictions(store, members, manifest, cache)
    validation, test = (judged_split(predictions, manifest, split) for split in ("validation", "test"))
    accuracy = validation_accuracy(validation.probs, validation.labels)
    ties = with_order(config["ties"], task)
    rule = chosen_rule(choices["voting"], config["voting"], ties, manifest.class_names, accuracy)
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
    about = (list(test.paths), list(models), manifest.class_names)
    gallery = choose(test.probs, test.labels, ballot.answers, *about, config["gallery"])
    boxes = hydra.utils.instantiate(config["dataset"]["boxes"])
    shown = [item["index"] for item in gallery]
    explained = explain_answers(config, models, test, ballot.answers, manifest, boxes, task.boxes, shown)
    images = images_of(report, gallery, manifest)
    overlays = gallery_overlays(explained, gallery, images) if explained else {}
    why = write_explanations(explained, boxes, task.boxes, report, test, ballot.answers, manifest, command, folder)
    page = write_report(report, gallery, images, overlays, contact_sheet(manifest), command, folder, bool(why))
    _keep_ensemble(report, ballot, predictions, manifest, task, study, command, folder / "ensemble")
    unlogged = tracking.protect(lambda: tracking.log_report(store, study, manifest, folder, report["ensemble"]))
    Console().print(terminal_table(report))
    if unlogged:
        print(f"the report could not be logged to MLflow ({unlogged}); it is kept below")
    print(f"report: {page}")
    if why:
        print(f"why: {why}")
    print(f"ship card: {folder / 'ensemble' / 'card.html'}")
    return folder


def _costs(models: Mapping[str, Path], output_dir: Path) -> dict[str, Any]:
    from facemask_ensemble.prediction.costs import member_costs

    return member_costs(models, output_dir / "data" / "costs")


def _shift(
    images: int, models: Mapping[str, Path], manifest: "Manifest", test: "Judged", ballot: "Ballot", output_dir: Path
) -> dict[str, Any]:
    """Make a sample of the test images worse, and ask the members again."""
    from facemask_ensemble.evaluation.corruption_robustness import shift_report
    from facemask_ensemble.prediction.corrupted_predictions import rehearse

    sample = np.sort(np.random.default_rng(0).permutation(len(test.labels))[:images])
    files = [manifest.root / test.paths[index] for index in sample]
    shifted = rehearse(models, files, output_dir / "data" / "rehearsal", batch_size=32, seed=0)
    return shift_report(test.probs[:, sample], shifted, test.labels[sample], list(models), ballot.fitted)


def _keep_ensemble(
    report: Mapping[str, Any],
    ballot: "Ballot",
    predictions: Sequence["MemberPredictions"],
    manifest: "Manifest",
    task: "Task",
    study: str,
    command: str,
    folder: Path,
) -> None:
    """Write what is shipped: the ensemble's description, its answers image by image, and the ship card."""
    from facemask_ensemble.ensemble.rule_settings import described
    from facemask_ensemble.evaluation.card import ship_card
    from facemask_ensemble.report.card import write_card

    folder.mkdir(parents=True, exist_ok=True)
    members = [(member.name, member.run_id) for member in predictions]
    about = described(ballot.fitted, report["break_tie"], members, manifest.class_names)
    about |= {"name": manifest.name, "task": task.name, "study": study, "fingerprint": manifest.fingerprint}
    for member in about["members"]:
        member["milliseconds"] = report["costs"].get(member["name"], {}).get("milliseconds")
    about["temperatures"] = [row["temperature"] for row in report["calibration"]["rows"]]
    (folder / "ensemble.json").write_text(json.dumps(about, indent=2), encoding="utf-8")
    rows = manifest.split("test")[["sha256", "label"]].assign(prediction=ballot.answers)
    rows.to_parquet(folder / "answers.parquet", index=False)
    write_card(ship_card(report, task, study, command), folder)


def _command() -> str:
    return shlex.join(["python", "-m", "facemask_ensemble.evaluate", *sys.argv[1:]])


def main() -> None:
    """Run the command."""
    run_command("evaluate", task)


if __name__ == "__main__":
    main()
