"""Evaluate the members of a dataset and their vote: `python -m facemask_ensemble.evaluate`."""

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
from facemask_ensemble.config import chosen_groups, options, read_settings
from facemask_ensemble.errors import InputError
from facemask_ensemble.overrides import parse, root_of
from facemask_ensemble.settings.evaluate import EvaluateSettings

if TYPE_CHECKING:
    from facemask_ensemble.data.manifest import Manifest
    from facemask_ensemble.ensemble.predictions import MemberPredictions
    from facemask_ensemble.evaluation.rule_predictions import Judged, RuleAnswers
    from facemask_ensemble.settings.task import Task

SAME = ("dataset.root", "dataset.table", "dataset.name")  # they do not change what is judged


def task(cfg: DictConfig) -> None:
    """Compose the config and evaluate."""
    settings = read_settings(EvaluateSettings, cfg)
    settings.dataset.check_root()
    check_methods(settings.explanation.methods)
    changed = changes_of_data(HydraConfig.get().overrides.task)
    evaluate(settings, chosen_groups(), changed=changed, command=_command())


def changes_of_data(overrides: Sequence[str]) -> list[str]:
    """Pick from the command line what changes the dataset that is judged on."""
    return [
        str(override.input_line)
        for override in parse(overrides)
        if root_of(override) == "dataset" and override.key_or_group not in ("dataset", *SAME)
    ]


def check_methods(methods: Sequence[str]) -> None:
    """Refuse a heatmap method that there is not."""
    known = [name for name in options("heatmap") if name != "none"]
    for name in methods:
        if name not in known:
            raise InputError(f"explanation.methods={name}: there is no such method; choose from {', '.join(known)}")


def evaluate(settings: EvaluateSettings, choices: Mapping[str, str], *, changed: Sequence[str], command: str) -> Path:
    """Judge members and votes on the test split; write the report, log it, and print the table.

    Args:
        settings: of the evaluation.
        choices: the names of the `voting` rule that is judged as the ensemble, and of what breaks `ties`.
        changed: overrides of the dataset that a reader has to know of.
        command: shown on the page.

    Returns:
        The folder of `report.html`, `report.json`, `ensemble/`, and where heatmaps are judged `explanation.html`.
    """
    from rich.console import Console

    from facemask_ensemble import tracking
    from facemask_ensemble.data.dataset import open_dataset
    from facemask_ensemble.ensemble.members import members_of, model_file
    from facemask_ensemble.ensemble.rule_settings import chosen_rule, every_rule, validation_accuracy, with_order
    from facemask_ensemble.evaluation.gallery import choose
    from facemask_ensemble.evaluation.rule_predictions import answer_by
    from facemask_ensemble.evaluation.verdict import judge, judged_split
    from facemask_ensemble.explanation.requested_heatmaps import explain_answers
    from facemask_ensemble.prediction.cached_predictions import load_predictions
    from facemask_ensemble.report.explanation_cards import gallery_overlays
    from facemask_ensemble.report.explanations import write_explanations
    from facemask_ensemble.report.page import write_report
    from facemask_ensemble.report.shown_images import contact_sheet, images_of
    from facemask_ensemble.report.tables import terminal_table
    from facemask_ensemble.task import chosen_task

    output_dir = settings.output_dir
    store = tracking.open_store(settings.tracking.uri, output_dir)
    whole = open_dataset(settings.dataset, output_dir)
    cache = output_dir / "data" / "artifacts"
    members, manifest = members_of(store, whole, settings.study, settings.members, cache, seen=settings.seen)
    task = chosen_task(settings.task, members[0].task)
    predictions = load_predictions(store, members, manifest, cache)
    validation, test = (judged_split(predictions, manifest, split) for split in ("validation", "test"))
    accuracy = validation_accuracy(validation.probs, validation.labels)
    ties = with_order(settings.ties, task)
    rule = chosen_rule(choices["voting"], settings.voting, ties, manifest.class_names, accuracy)
    models = {member.name: model_file(store, member, cache) for member in members}
    analysis = {
        "costs": _costs(models, output_dir) if settings.costs else {},
        "conformal_error": settings.conformal_error,
        "resamples": settings.resamples,
    }
    report = judge(predictions, manifest, every_rule(rule), rule.name, learn=settings.learn, analysis=analysis)
    report["break_tie"] = choices["ties"]
    report["dataset"] |= {"changed": list(changed), "seen": len(whole.rows) - len(manifest.rows)}
    rule_answers = answer_by(rule, validation, test, settings.learn)
    report["shift"] = (
        _shift(settings.shift, models, manifest, test, rule_answers, output_dir) if settings.shift else None
    )

    study = settings.study or manifest.name
    folder = output_dir / study
    about = (list(test.paths), list(models), manifest.class_names)
    gallery = choose(test.probs, test.labels, rule_answers.answers, *about, settings.gallery)
    boxes = hydra.utils.instantiate(found.call) if (found := settings.dataset.boxes) else None
    shown = [item["index"] for item in gallery]
    explained = explain_answers(
        settings.heatmap, settings.explanation, models, test, rule_answers.answers, manifest, boxes, task.boxes, shown
    )
    images = images_of(report, gallery, manifest)
    overlays = gallery_overlays(explained, gallery, images) if explained else {}
    why = write_explanations(
        explained, boxes, task.boxes, report, test, rule_answers.answers, manifest, command, folder
    )
    page = write_report(report, gallery, images, overlays, contact_sheet(manifest), command, folder, bool(why))
    _keep_ensemble(report, rule_answers, predictions, manifest, task, study, command, folder / "ensemble")
    unlogged = tracking.protect(lambda: tracking.log_report(store, study, manifest, folder, report["ensemble"]))
    Console().print(terminal_table(report))
    if unlogged:
        print(f"the report could not be logged to MLflow ({unlogged}); its files are in {folder}")
    print(f"report: {page}")
    if why:
        print(f"why: {why}")
    print(f"ship card: {folder / 'ensemble' / 'card.html'}")
    return folder


def _costs(models: Mapping[str, Path], output_dir: Path) -> dict[str, Any]:
    from facemask_ensemble.prediction.costs import member_costs

    return member_costs(models, output_dir / "data" / "costs")


def _shift(
    images: int,
    models: Mapping[str, Path],
    manifest: "Manifest",
    test: "Judged",
    rule_answers: "RuleAnswers",
    output_dir: Path,
) -> dict[str, Any]:
    """Make a sample of the test images worse, and ask the members again."""
    from facemask_ensemble.evaluation.corruption_robustness import shift_report
    from facemask_ensemble.prediction.corrupted_predictions import corrupted_probabilities

    sample = np.sort(np.random.default_rng(0).permutation(len(test.labels))[:images])
    files = [manifest.root / test.paths[index] for index in sample]
    shifted = corrupted_probabilities(models, files, output_dir / "data" / "corrupted", batch_size=32, seed=0)
    return shift_report(test.probs[:, sample], shifted, test.labels[sample], list(models), rule_answers.fitted)


def _keep_ensemble(
    report: Mapping[str, Any],
    rule_answers: "RuleAnswers",
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
    about = described(rule_answers.fitted, report["break_tie"], members, manifest.class_names)
    about |= {"name": manifest.name, "task": task.name, "study": study, "fingerprint": manifest.fingerprint}
    for member in about["members"]:
        member["milliseconds"] = report["costs"].get(member["name"], {}).get("milliseconds")
    about["temperatures"] = [row["temperature"] for row in report["calibration"]["rows"]]
    (folder / "ensemble.json").write_text(json.dumps(about, indent=2), encoding="utf-8")
    rows = manifest.split("test")[["sha256", "label"]].assign(prediction=rule_answers.answers)
    rows.to_parquet(folder / "answers.parquet", index=False)
    write_card(ship_card(report, task, study, command), folder)


def _command() -> str:
    return shlex.join(["python", "-m", "facemask_ensemble.evaluate", *sys.argv[1:]])


def main() -> None:
    """Run the command."""
    run_command("evaluate", task)


if __name__ == "__main__":
    main()
