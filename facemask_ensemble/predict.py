"""Predict the classes of images with an ensemble: `python -m facemask_ensemble.predict input=photos`."""

import gc
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
from omegaconf import DictConfig

from facemask_ensemble.command import run_command
from facemask_ensemble.config import chosen_groups, read_settings, refuse_other_rule
from facemask_ensemble.errors import InputError
from facemask_ensemble.settings import dump
from facemask_ensemble.settings.predict import PredictSettings

if TYPE_CHECKING:
    import pandas as pd

    from facemask_ensemble.data.inputs import InputImages
    from facemask_ensemble.prediction.choice import Choice
    from facemask_ensemble.prediction.results_table import AnswerTable
    from facemask_ensemble.settings.task import Submission

MOST_SHOWN = 1600  # longest side of an overlay, pixels: a chunk of images is in memory at once


def task(cfg: DictConfig) -> None:
    """Compose the config and predict."""
    from facemask_ensemble.data.inputs import open_input
    from facemask_ensemble.prediction.runtimes.settings import check_runtime

    settings = read_settings(PredictSettings, cfg)
    refuse_other_rule(settings.ensemble)
    check_runtime(settings.runtime)
    if settings.engine.name == "ray" and find_spec("ray") is None:
        raise InputError('engine=ray needs the extra: pip install "facemask-ensemble[ray]"')
    predict(settings, open_input(settings.input), chosen_groups())


def predict(settings: PredictSettings, images: "InputImages", choices: Mapping[str, str]) -> Path:
    """Ask the members about every image, let them vote, and write the answers a chunk at a time.

    Args:
        settings: of the prediction.
        images: those that cannot be read have a row with the reason, and are listed in `quarantine.csv`.
        choices: the names of the `voting` rule and of what breaks `ties`.

    Returns:
        The table of answers. Beside it are `quarantine.csv`, with members trained on a competition's images
        `submission.csv`, and, with a heatmap method, `overlays/`.

    Raises:
        InputError: no member, members of different classes, a table of another prediction, or no readable image.
    """
    from facemask_ensemble.prediction.loading import choose_ensemble
    from facemask_ensemble.prediction.results_table import AnswerTable
    from facemask_ensemble.task import chosen_task

    if settings.detector.find:
        from facemask_ensemble.prediction.face_predictions import predict_faces

        return predict_faces(settings, images, choices)
    choice = choose_ensemble(settings, choices, settings.runtime.name)
    print(choice.introduction)
    names = [source.name for source in choice.sources]
    votes = [f"vote_{name}" for name in names]
    table = AnswerTable(settings.table, ["path", "prediction", "confidence", "agreement", *votes, "tie", "reason"])
    belongs = {**choice.about, "votes": settings.votes, "runtime": dump(settings.runtime), "input": images.key}
    try:
        table.open(belongs, settings.again, replace=settings.output is None)
        _answer(settings, images, table, choice)
        _conclude(table, choice, chosen_task(settings.task, choice.task).submission)
    finally:
        table.close()
    return settings.table


def _answer(settings: PredictSettings, images: "InputImages", table: "AnswerTable", choice: "Choice") -> None:
    """Answer the images that have no row yet."""
    from functools import partial
    from itertools import chain

    from facemask_ensemble.data.display_images import show_own
    from facemask_ensemble.data.parallel import counting
    from facemask_ensemble.prediction.answers import answers, winners_of
    from facemask_ensemble.prediction.engines import Load

    items = images.items()
    done = table.skip(items)
    if done:
        print(f"resumes after {done} images answered earlier")
    first = next(items, None)
    if first is None:
        return
    total = images.count()
    engine = hydra.utils.instantiate(settings.engine.answer.call)
    load = Load(settings.runtime, settings.batch_size, settings.votes)
    names = [source.name for source in choice.sources]
    method, overlays = settings.heatmap.method, table.file.parent / "overlays"
    silent: dict[str, str] = {}
    if method:
        from facemask_ensemble.explanation.overlays import write_overlays

        explain = hydra.utils.instantiate(method.call)
    shown = partial(show_own, most=MOST_SHOWN) if method else None
    gc.freeze()  # objects that exist now live until the end
    gc.enable()
    with counting(total, done, "Answering") as count:
        for chunk, probs, members in engine(choice, load, chain([first], items), shown):
            for name, why in zip(chunk.names, chunk.reasons, strict=True):
                if why:
                    print(f"left out: {name}: {why}", file=sys.stderr)
            rows = answers(probs, names, chunk.names, choice.class_names, choice.vote, chunk.reasons)
            if method:
                winners = winners_of(rows, choice.class_names)
                silent |= write_overlays(chunk, members, probs, winners, explain, overlays, done)
            table.append(rows)
            done += len(chunk.names)
            count(len(chunk.names))
    for name, why in silent.items():
        print(f"no heatmap of {name} for some images: {why}")
    if method:
        print(f"heatmaps: {overlays}")


def _conclude(table: "AnswerTable", choice: "Choice", competition: "Submission | None") -> None:
    """Print a summary, and write the files that need all answers."""
    import pandas as pd

    from facemask_ensemble.prediction.results_table import summary

    folder, members = table.file.parent, [source.name for source in choice.sources]
    found = summary(table, members, folder / "quarantine.csv")
    if found["images"] == found["unreadable"]:
        table.finish()
        path, why = found["first"] or ("", "there is no image")
        raise InputError(f"input: none of {found['images']} images can be read ({path}: {why}); give other images")
    for name, count in found["predictions"].items():
        print(f"{name or 'no answer'}: {count}")
    if competition and choice.dataset == competition.dataset:
        rows = pd.concat(table.passes(["path", "prediction", "reason"]))
        bad = rows["reason"] != ""
        _submit(rows[~bad], rows[bad], choice.class_names, competition.columns, folder / "submission.csv")
    table.finish()
    readable = found["images"] - found["unreadable"]
    print(f"member answers: {found['asked']} of {len(members) * readable} ({len(members)} members x {readable} images)")
    print(f"answers: {table.file}")


def _submit(
    table: "pd.DataFrame",
    quarantine: "pd.DataFrame",
    class_names: Sequence[str],
    columns: tuple[str, str],
    file: Path,
) -> None:
    """Write the competition's file, in which every image must have an answer."""
    from facemask_ensemble.data.listing import is_image
    from facemask_ensemble.prediction.answers import submission

    mute = quarantine.loc[[is_image(Path(path)) for path in quarantine["path"]]]
    try:
        rows, guess = submission(table, mute, class_names, columns)
    except InputError as error:
        print(f"no submission.csv: {error}", file=sys.stderr)
        return
    rows.to_csv(file, index=False)
    for path in mute["path"]:
        print(f"filled in submission.csv: {path}: {guess}, the most frequent answer", file=sys.stderr)
    print(f"submission: {file}")


def main() -> None:
    """Run the command."""
    gc.disable()  # thousands of modules come and none goes: looking for garbage among them takes a second
    run_command("predict", task)


if __name__ == "__main__":
    main()
