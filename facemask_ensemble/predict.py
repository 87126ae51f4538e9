"""Let an ensemble answer for pictures: `python -m facemask_ensemble.predict input=photos`."""

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

    from facemask_ensemble.data.inputs import Pictures
    from facemask_ensemble.ensemble.rows import AnswerTable
    from facemask_ensemble.ensemble.rules import FittedRule
    from facemask_ensemble.tracking import LoggedMember, Store

COMPETITION = "kaggle_masks"  # the data set whose members write a submission
SHOWN = 480  # longest side of an overlay, pixels


def task(cfg: DictConfig) -> None:
    """Compose the config and predict."""
    from facemask_ensemble.data.inputs import open_input

    check_prediction(cfg)
    pictures = open_input(str(cfg.input))
    choices = HydraConfig.get().runtime.choices
    predict(plain(absolute_paths(cfg)), pictures, rule=str(choices["voting"]))


def predict(config: dict[str, Any], pictures: "Pictures", rule: str) -> Path:
    """Ask the members about every picture, let them vote, and write the answers a chunk at a time.

    Args:
        config: the resolved predict config.
        pictures: those that cannot be read have a row with the reason, and are listed in `quarantine.csv`.
        rule: the name of the voting rule; what it learns, it learns from the members' validation pictures.

    Returns:
        The table of answers. Beside it lie `quarantine.csv`, with members trained on the competition's pictures
        `submission.csv`, and, with a saliency method, `overlays/`.

    Raises:
        InputError: no member, members of different classes, a table that belongs to others, or no picture that can be
            read.
    """
    from facemask_ensemble import tracking
    from facemask_ensemble.ensemble.members import latest_members
    from facemask_ensemble.ensemble.rows import AnswerTable

    output_dir = Path(config["output_dir"])
    store = tracking.open_store(config["tracking"]["uri"], output_dir)
    members = latest_members(store, config["study"], config["members"])
    print(introduce(members))
    votes = [f"vote_{member.name}" for member in members]
    file = Path(config["output"] or output_dir / "predictions" / "predictions.csv")
    table = AnswerTable(file, ["path", "prediction", "confidence", "agreement", *votes, "tie", "reason"])
    vote = _vote(config, rule, store, members)
    try:
        table.open(_belongs(config, pictures, rule, members), config["again"], replace=config["output"] is None)
        _answer(config, pictures, table, store, members, vote)
        _conclude(table, members)
    finally:
        table.close()
    return file


def _belongs(
    config: Mapping[str, Any], pictures: "Pictures", rule: str, members: Sequence["LoggedMember"]
) -> dict[str, Any]:
    """Say what a table of answers depends on."""
    return {
        "members": [member.run_id for member in members],
        "rule": {"name": rule, **config["voting"]},
        "ties": config["ties"],
        "votes": config["votes"],
        "input": pictures.key,
    }


def _answer(
    config: Mapping[str, Any],
    pictures: "Pictures",
    table: "AnswerTable",
    store: "Store",
    members: Sequence["LoggedMember"],
    vote: "FittedRule",
) -> None:
    """Answer the pictures that have no row yet."""
    from functools import partial
    from itertools import chain

    from facemask_ensemble.data import chunks
    from facemask_ensemble.data.parallel import counting
    from facemask_ensemble.ensemble.members import model_file
    from facemask_ensemble.ensemble.prediction import answers
    from facemask_ensemble.ensemble.streaming import ask_members, load_members
    from facemask_ensemble.report.pictures import show

    items, output_dir = pictures.items(), Path(config["output_dir"])
    done = table.skip(items)
    if done:
        print(f"goes on after {done} pictures answered before")
    first = next(items, None)
    if first is None:
        return
    total = pictures.count()
    models = {member.name: model_file(store, member, output_dir / "data" / "artifacts") for member in members}
    loaded = load_members(models, min(config["batch_size"], total - done if total else config["batch_size"]))
    order = _order(config["votes"], vote, members, models, output_dir / "data" / "costs")
    classes, method = members[0].class_names, config["saliency"]["method"]
    sizes = sorted({member.size for member in loaded})
    silent: dict[str, str] = {}
    if method:
        from facemask_ensemble.saliency.gallery import write_overlays

        explain = hydra.utils.instantiate(method)
    with counting(total, done, "Answering") as count:
        for chunk in chunks.read_chunks(chain([first], items), sizes, partial(show, longest=SHOWN) if method else None):
            probs = ask_members(chunk, loaded, len(classes), order)
            for name, why in zip(chunk.names, chunk.reasons, strict=True):
                if why:
                    print(f"left out: {name}: {why}", file=sys.stderr)
            if method:
                silent |= write_overlays(chunk, loaded, probs, explain, table.file.parent / "overlays", done)
            table.append(answers(probs, list(models), chunk.names, classes, vote, chunk.reasons))
            done += len(chunk.names)
            count(len(chunk.names))
    for name, why in silent.items():
        print(f"no heatmap of {name} for some pictures: {why}")
    if method:
        print(f"heatmaps: {table.file.parent / 'overlays'}")


def _order(
    votes: str, vote: "FittedRule", members: Sequence["LoggedMember"], models: Mapping[str, Path], costs: Path
) -> list[int] | None:
    """Put the members' places in the order in which a majority asks them, the cheapest first; None to ask all."""
    from facemask_ensemble.ensemble import voting
    from facemask_ensemble.ensemble.costs import measured_costs

    call = vote.rule.vote
    if votes == "all" or getattr(call, "func", call) is not voting.majority:  # Hydra gives a partial
        return None
    known = measured_costs(models, costs)
    price = [known[member.name]["milliseconds"] if known else int(member.tags["parameters"]) for member in members]
    return np.argsort(price, kind="stable").tolist()


def _conclude(table: "AnswerTable", members: Sequence["LoggedMember"]) -> None:
    """Say what was answered, and write what can only be written at the end."""
    import pandas as pd

    from facemask_ensemble.ensemble.rows import summary

    folder = table.file.parent
    found = summary(table, [member.name for member in members], folder / "quarantine.csv")
    if found["pictures"] == found["unreadable"]:
        table.finish()
        path, why = found["first"] or ("", "there is no picture")
        raise InputError(f"input: none of {found['pictures']} pictures can be read ({path}: {why}); give others")
    for name, count in found["predictions"].items():
        print(f"{name or 'no answer'}: {count}")
    if {member.tags["dataset"] for member in members} == {COMPETITION}:
        rows = pd.concat(table.passes(["path", "prediction", "reason"]))
        bad = rows["reason"] != ""
        _submit(rows[~bad], rows[bad], members[0].class_names, folder / "submission.csv")
    table.finish()
    readable = found["pictures"] - found["unreadable"]
    print(f"asked: {found['asked']} of {len(members) * readable} ({len(members)} members x {readable} pictures)")
    print(f"answers: {table.file}")


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


def main() -> None:
    """Run the command."""
    run_command("predict", task)


if __name__ == "__main__":
    main()
