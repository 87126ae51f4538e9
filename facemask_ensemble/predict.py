"""Let an ensemble answer for pictures: `python -m facemask_ensemble.predict input=photos`."""

import glob
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
import numpy as np
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from facemask_ensemble.command import run_command
from facemask_ensemble.config import absolute_paths, check_prediction, plain
from facemask_ensemble.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from facemask_ensemble.ensemble.rules import FittedRule
    from facemask_ensemble.tracking import LoggedMember, Store

COMPETITION = "kaggle_masks"  # the data set whose members write a submission
SHOWN = 480  # longest side of an overlay, pixels


def task(cfg: DictConfig) -> None:
    """Compose the config and predict."""
    check_prediction(cfg)
    files = find_pictures(str(cfg.input))
    choices = HydraConfig.get().runtime.choices
    predict(plain(absolute_paths(cfg)), files, rule=str(choices["voting"]))


def find_pictures(given: str) -> list[Path]:
    """List the pictures that a path, a folder (with those below it) or a glob names, in order.

    Raises:
        InputError: there is none.
    """
    from facemask_ensemble.data.decoding import SUFFIXES

    path = Path(given).expanduser()
    if path.is_file():
        return [path]
    if path.is_dir():
        seen = (file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and not file.is_dir())
        found = sorted(file for file in seen if not any(part.startswith(".") for part in file.relative_to(path).parts))
    else:
        found = sorted(Path(name) for name in glob.glob(str(path), recursive=True) if Path(name).is_file())
    if not found:
        kind = "a folder without a picture" if path.is_dir() else "no such picture, folder or glob"
        raise InputError(f"input={given}: {kind}; give pictures ({', '.join(sorted(SUFFIXES))})")
    return found


def predict(config: dict[str, Any], files: Sequence[Path], rule: str) -> Path:
    """Ask every member about every picture, let them vote, and write `predictions.csv`.

    Args:
        config: the resolved predict config.
        rule: the name of the voting rule; what it learns, it learns from the members' validation pictures.
        files: pictures; those that cannot be read are listed in `quarantine.csv` and left out.

    Returns:
        The folder that holds `predictions.csv`, with members trained on the competition's pictures `submission.csv`,
        and, with a saliency method, `overlays/`.

    Raises:
        InputError: no member, members of different classes, or no picture that can be read.
    """
    from facemask_ensemble import tracking
    from facemask_ensemble.ensemble.members import latest_members, model_file
    from facemask_ensemble.ensemble.prediction import answers, predict_all

    output_dir = Path(config["output_dir"])
    store = tracking.open_store(config["tracking"]["uri"], output_dir)
    members = latest_members(store, config["study"], config["members"])
    print(introduce(members))
    vote = _vote(config, rule, store, members)
    files, quarantine = _readable(files)
    models = {member.name: model_file(store, member, output_dir / "data" / "artifacts") for member in members}
    probs = predict_all(models, files, config["batch_size"])
    table = answers(probs, list(models), files, members[0].class_names, vote)

    folder = output_dir / "predictions"
    folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(folder / "predictions.csv", index=False)
    quarantine.to_csv(folder / "quarantine.csv", index=False)
    for name, count in table["prediction"].value_counts().items():
        print(f"{name or 'no answer'}: {count}")
    print(f"answers: {folder / 'predictions.csv'}")
    if {member.tags["dataset"] for member in members} == {COMPETITION}:
        _submit(table, quarantine, members[0].class_names, folder / "submission.csv")
    if config["saliency"]["method"] is not None:
        _draw(models, files, probs, config["saliency"]["method"], folder / "overlays")
    return folder


def _vote(config: Mapping[str, Any], name: str, store: "Store", members: Sequence["LoggedMember"]) -> "FittedRule":
    """Make the voting rule, fitted where it learns something."""
    from facemask_ensemble.ensemble.election import chosen_rule, validation_accuracy
    from facemask_ensemble.ensemble.members import shared_validation

    cache = Path(config["output_dir"]) / "data" / "artifacts"
    classes = members[0].class_names
    learns = "learn" in config["voting"] or "weights" in config["ties"]
    probs, labels = shared_validation(store, members, cache) if learns else (np.empty((0, 0, 0)), np.empty(0, int))
    rule = chosen_rule(name, config["voting"], config["ties"], classes, validation_accuracy(probs, labels))
    return rule.fit(probs, labels)


def introduce(members: Sequence["LoggedMember"]) -> str:
    """Say who answers, and what their training was."""
    first = members[0]
    starts = ", ".join(sorted({member.tags["init"] for member in members}))
    names = ", ".join(member.name for member in members)
    return f"{len(members)} members trained on {first.tags['dataset']} ({starts}): {names}"


def _readable(files: Sequence[Path]) -> tuple[list[Path], "pd.DataFrame"]:
    """Part the pictures that can be read from the others, with the reason."""
    import pandas as pd

    from facemask_ensemble.data.decoding import PictureError, decode
    from facemask_ensemble.data.parallel import in_threads

    def reason(file: Path) -> str:
        try:
            decode(file.read_bytes(), at_least=32)
        except (PictureError, OSError) as error:
            return str(error)
        return ""

    reasons = list(in_threads(reason, files, "Checking pictures"))
    bad = [(str(file), why) for file, why in zip(files, reasons, strict=True) if why]
    for path, why in bad:
        print(f"left out: {path}: {why}", file=sys.stderr)
    good = [file for file, why in zip(files, reasons, strict=True) if not why]
    if not good:
        raise InputError(f"input: none of {len(files)} pictures can be read ({bad[0][0]}: {bad[0][1]}); give others")
    return good, pd.DataFrame(bad, columns=["path", "reason"])


def _submit(table: "pd.DataFrame", quarantine: "pd.DataFrame", class_names: Sequence[str], file: Path) -> None:
    """Write the competition's file, in which every picture must have an answer."""
    from facemask_ensemble.data.listing import is_picture
    from facemask_ensemble.ensemble.prediction import submission

    mute = quarantine.loc[[is_picture(Path(path)) for path in quarantine["path"]]]
    try:
        rows, guess = submission(table, mute, class_names)
    except InputError as error:
        print(f"no submission.csv: {error}", file=sys.stderr)
        return
    rows.to_csv(file, index=False)
    for path in mute["path"]:
        print(f"guessed in submission.csv: {path}: {guess}, the most frequent answer", file=sys.stderr)
    print(f"submission: {file}")


def _draw(
    models: Mapping[str, Path], files: Sequence[Path], probs: np.ndarray, method: Mapping[str, Any], folder: Path
) -> None:
    """Write one overlay a picture and member, `STEM--MEMBER.jpg`; say once why a member has none."""
    from PIL import Image

    from facemask_ensemble.report.pictures import read_shown
    from facemask_ensemble.saliency.gallery import draw_overlays

    folder.mkdir(exist_ok=True)
    shown = {str(file): read_shown(file, SHOWN) for file in files}
    classes = {name: member.argmax(axis=1).tolist() for name, member in zip(models, probs, strict=True)}
    overlays = draw_overlays(
        models.items(), {str(file): file for file in files}, shown, classes, hydra.utils.instantiate(method)
    )
    silent: dict[str, str] = {}
    for number, file in enumerate(files):
        for name in models:
            drawn = overlays[str(file), name]
            if isinstance(drawn, str):
                silent.setdefault(name, drawn)
            else:
                Image.fromarray(drawn).save(folder / f"{number:05d}_{file.stem}--{name}.jpg", quality=88)
    for name, why in silent.items():
        print(f"no heatmap of {name} for some pictures: {why}")
    print(f"heatmaps: {folder}")


def main() -> None:
    """Run the command."""
    run_command("predict", task)


if __name__ == "__main__":
    main()
