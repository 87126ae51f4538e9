"""Let the members of a data set vote and write the verdict: `python -m facemask_ensemble.evaluate`."""

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
from facemask_ensemble.config import absolute_paths, check_evaluation, plain

if TYPE_CHECKING:
    from facemask_ensemble.data.manifest import Manifest
    from facemask_ensemble.saliency.gallery import Overlays
    from facemask_ensemble.tracking import LoggedMember, Store

SHOWN = 320  # longest side of a picture in the report, pixels
SAMPLES = 6  # training pictures of every class on the contact sheet


def task(cfg: DictConfig) -> None:
    """Compose the config and evaluate."""
    check_evaluation(absolute_paths(cfg))
    evaluate(plain(cfg), rule=str(HydraConfig.get().runtime.choices["voting"]), command=_command())


def evaluate(config: dict[str, Any], rule: str, command: str) -> Path:
    """Judge members and vote on the test split; write the report, log it, and print the table.

    Args:
        config: the resolved evaluate config.
        rule: the name of the voting rule that is judged as the ensemble.
        command: shown on the page.

    Returns:
        The folder that holds `report.html` and `report.json`.
    """
    from rich.console import Console

    from facemask_ensemble import tracking
    from facemask_ensemble.data.dataset import open_dataset
    from facemask_ensemble.ensemble.members import load_predictions, members_of
    from facemask_ensemble.evaluation.gallery import choose
    from facemask_ensemble.evaluation.verdict import judge
    from facemask_ensemble.report.page import write_report
    from facemask_ensemble.report.pictures import read_shown
    from facemask_ensemble.report.tables import terminal_table

    output_dir = Path(config["output_dir"])
    store = tracking.open_store(config["tracking"]["uri"], output_dir)
    manifest = open_dataset(config["dataset"], output_dir)
    cache = output_dir / "data" / "artifacts"
    members = members_of(store, manifest, config["study"], config["members"], cache)
    predictions = load_predictions(store, members, manifest, cache)
    vote = hydra.utils.instantiate(config["voting"])
    report = judge(predictions, manifest, {rule: vote}, shipped=rule)

    test, probs = manifest.split("test"), np.stack([member.test_probs for member in predictions])
    names, labels = [member.name for member in predictions], test["label"].to_numpy()
    gallery = choose(probs, labels, vote(probs), list(test["path"]), names, manifest.class_names, config["gallery"])
    pictures = {item["path"]: read_shown(manifest.root / item["path"], SHOWN) for item in gallery}
    overlays: Overlays = {}
    if gallery and config["saliency"]["method"] is not None:
        overlays = _explain(store, members, gallery, pictures, manifest, config["saliency"]["method"], cache)
    study = config["study"] or manifest.name
    page = write_report(report, gallery, pictures, overlays, _contact_sheet(manifest), command, output_dir / study)
    unlogged = tracking.protect(lambda: tracking.log_report(store, study, manifest, page.parent, report["ensemble"]))
    Console().print(terminal_table(report))
    if unlogged:
        print(f"the report could not be logged to MLflow ({unlogged}); it is kept below")
    print(f"report: {page}")
    return page.parent


def _explain(
    store: "Store",
    members: Sequence["LoggedMember"],
    gallery: Sequence[Mapping[str, Any]],
    pictures: Mapping[str, np.ndarray],
    manifest: "Manifest",
    method: Mapping[str, Any],
    cache: Path,
) -> "Overlays":
    """Draw the heatmap of every member's own answer on the gallery's pictures."""
    from rich.progress import track

    from facemask_ensemble.ensemble.members import model_file
    from facemask_ensemble.models.quiet import start_tensorflow

    start_tensorflow()
    from facemask_ensemble.saliency.gallery import draw_overlays

    files = {item["path"]: manifest.root / item["path"] for item in gallery}
    answers = {
        member.name: [manifest.class_names.index(item["votes"][member.name]) for item in gallery] for member in members
    }
    models = (
        (member.name, model_file(store, member, cache))
        for member in track(members, "Heatmaps", transient=True, disable=not sys.stdout.isatty())
    )
    return draw_overlays(models, files, pictures, answers, hydra.utils.instantiate(method))


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
