"""Predictions face by face: `predict detector=haar` writes a row an image, a row a face, and the boxes drawn."""

import csv
import gc
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from facemask_ensemble.data.chunks import Chunk, read_chunks
from facemask_ensemble.data.decoding import decode
from facemask_ensemble.data.inputs import InputImages
from facemask_ensemble.data.parallel import counting
from facemask_ensemble.errors import InputError
from facemask_ensemble.faces.answers import Face, answer_of
from facemask_ensemble.faces.boxes import scaled
from facemask_ensemble.faces.drawing import draw_faces
from facemask_ensemble.prediction.mask_detector import MaskDetector, OpenedDetector, open_detector
from facemask_ensemble.prediction.results_table import AnswerTable, summary
from facemask_ensemble.settings import dump
from facemask_ensemble.settings.predict import PredictSettings

COUNTS = ["faces", "masked"]
COLUMNS = ["path", "prediction", "confidence", *COUNTS, "boxes", "reason"]
FACE_COLUMNS = ["path", "face", "left", "top", "width", "height", "score", "mask", "prediction", "confidence"]
TOGETHER = 4  # photographs in full size that are in memory, and as many that are being read
LEAST_SHOWN, MOST_SHOWN = 800, 1600  # longer side in pixels of an image with its boxes


def predict_faces(settings: PredictSettings, images: InputImages, choices: Mapping[str, str]) -> Path:
    """Find the faces of every image, let the ensemble answer about each, and write the answers as they come.

    Args:
        settings: of the prediction.
        images: those that cannot be read have a row with the reason, and are listed in `quarantine.csv`.
        choices: the names of the `voting` rule and of what breaks `ties`.

    Returns:
        The table of answers, a row an image. Beside it lie `faces.csv`, a row a face, `boxes/` and `quarantine.csv`.

    Raises:
        InputError: as `open_detector`, a table that belongs to others, or no image that can be read.
    """
    opened = open_detector(settings, choices)
    print(opened.choice.introduction)
    table = AnswerTable(settings.table, COLUMNS, COUNTS)
    belongs = {
        **opened.choice.about,
        "votes": settings.votes,
        "runtime": dump(settings.runtime),
        "detector": dump(settings.detector),
        "input": images.key,
    }
    try:
        table.open(belongs, settings.again, replace=settings.output is None)
        _answer(settings, images, table, opened)
        _conclude(table, opened)
    finally:
        table.close()
    return settings.table


def _answer(settings: PredictSettings, images: InputImages, table: AnswerTable, opened: OpenedDetector) -> None:
    """Answer the images that have no row yet."""
    items = images.items()
    done = table.skip(items)
    if done:
        print(f"resumes after {done} images answered earlier")
    first = next(items, None)
    if first is None:
        return
    total = images.count()
    detector, folder = opened.load(settings), table.file.parent / "boxes"
    folder.mkdir(exist_ok=True)
    gc.enable()  # which `predict` does without while it starts
    with counting(total, done, "Finding faces") as count:
        for chunk in read_chunks(chain([first], items), [], _whole, TOGETHER):
            table.append(_rows(chunk, detector, folder, done))
            done += len(chunk.names)
            count(len(chunk.names))
    print(f"boxes: {folder}")


def _whole(data: bytes) -> np.ndarray:
    """Read a file's content in its full size."""
    return np.asarray(decode(data))


def _rows(chunk: Chunk, detector: MaskDetector, folder: Path, first: int) -> pd.DataFrame:
    """Answer a chunk of images, and draw them; `first` is the number of the chunk's first image."""
    found = dict(zip(chunk.readable, detector([chunk.shown[place] for place in chunk.readable]), strict=True))
    rows = []
    for place, (name, reason) in enumerate(zip(chunk.names, chunk.reasons, strict=True)):
        if reason:
            print(f"left out: {name}: {reason}", file=sys.stderr)
            rows.append([name, "", None, None, None, "", reason])
            continue
        faces = found[place]
        rows.append([name, *answer_of(faces), ""])
        drawn = draw_faces(*_shown(chunk.shown[place], faces))
        Image.fromarray(drawn).save(folder / f"{first + place:05d}_{Path(name).stem}.jpg", quality=88)
    return pd.DataFrame(rows, columns=COLUMNS).astype(dict.fromkeys(COUNTS, "Int64"))


def _shown(image: np.ndarray, faces: Sequence[Face]) -> tuple[np.ndarray, list[Face]]:
    """Bring an image and its faces to a size at which labels can be read and a page can hold it."""
    height, width = image.shape[:2]
    longest = max(height, width)
    scale = min(max(longest, LEAST_SHOWN), MOST_SHOWN) / longest
    size = max(1, round(width * scale)), max(1, round(height * scale))
    resized = Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)
    across, down = size[0] / width, size[1] / height
    return np.asarray(resized), [replace(face, box=scaled(face.box, across, down)) for face in faces]


def _conclude(table: AnswerTable, opened: OpenedDetector) -> None:
    """Print a summary, and write the files that need all answers."""
    folder = table.file.parent
    found = summary(table, [], folder / "quarantine.csv")
    if found["images"] == found["unreadable"]:
        table.finish()
        path, why = found["first"] or ("", "no image found")
        raise InputError(f"input: none of {found['images']} images can be read ({path}: {why}); give other files")
    for name, count in found["predictions"].items():
        print(f"{name or 'undecided'}: {count}")
    members = [source.name for source in opened.choice.sources]
    masks = _write_faces(table, members, folder / "faces.csv")
    table.finish()
    undecided = f", {masks[None]} undecided" if masks[None] else ""
    print(f"faces: {masks.total()}, {masks[True]} with a mask, {masks[False]} without{undecided}")
    print(f"answers: {table.file}, {folder / 'faces.csv'}")


def _write_faces(table: AnswerTable, members: Sequence[str], file: Path) -> Counter[bool | None]:
    """Write one row per face, and count the masks; both are computed from the finished table."""
    masks: Counter[bool | None] = Counter()
    with file.open("w", encoding="utf-8", newline="") as rows:
        writer = csv.writer(rows, lineterminator="\n")
        writer.writerow([*FACE_COLUMNS, *(f"vote_{member}" for member in members)])
        for path, number, face in _faces(table):
            masks[face["mask"]] += 1
            answer = [face[key] for key in ("score", "mask", "prediction", "confidence")]
            writer.writerow([path, number, *face["box"], *answer, *(face["votes"][member] for member in members)])
    return masks


def _faces(table: AnswerTable) -> Iterator[tuple[str, int, dict[str, Any]]]:
    for rows in table.passes(["path", "boxes"]):
        for path, boxes in rows.itertuples(index=False, name=None):
            for number, face in enumerate(json.loads(boxes or "[]"), start=1):
                yield path, number, face
