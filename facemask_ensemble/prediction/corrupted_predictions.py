"""The members' answers on corrupted images, predicted once and saved."""

import hashlib
import io
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from rich.progress import track

from facemask_ensemble.data.corruption import KINDS, LEVELS, STRENGTHS, corrupt
from facemask_ensemble.data.decoding import ImageError, decode
from facemask_ensemble.data.pixel_cache import READER_VERSION
from facemask_ensemble.errors import InputError
from facemask_ensemble.files import write_atomically
from facemask_ensemble.resources import usable_cores

Case = tuple[str, int]  # kind and strength
CASES: tuple[Case, ...] = tuple((kind, strength) for kind in KINDS for strength in STRENGTHS)
VERSION = 1  # raise it when `corrupt` gives other pixels at the same levels: saved answers are then predicted again
BASE = 448  # pixels of the shorter side that an image is made worse at, or a member's own size where that is larger


def corrupted_probabilities(
    models: Mapping[str, Path], files: Sequence[Path], folder: Path, *, batch_size: int, seed: int
) -> dict[Case, np.ndarray]:
    """Return every member's probabilities for every corrupted image, float32 (members, n, classes) a case.

    An image is decoded once, made worse in the same way for every member, and then brought to a member's size as
    every image is. In memory at a time: one model, the images at `BASE` (about 0.8 MB each), and those of one
    case at the member's size. Answers are kept as they come: a stopped measurement resumes, and another model,
    sample or seed is another key.

    Args:
        models: `.keras` files by the members' names.
        files: the images.
        folder: for the answers, a file for every member and case.
        batch_size: images a batch.
        seed: of the noise, the places and the sides; each image's own follow from it and the image's content.

    Raises:
        InputError: there are no members or no images, or a file is no image.
    """
    if not models or not files:
        raise InputError(
            f"Answers on corrupted images need members and images, received {len(models)} and {len(files)}: give at "
            "least one of each."
        )
    seeds = [_seed_of(file, seed) for file in files]
    kept = {(name, case): file for name in models for case, file in _kept(name, models[name], seeds, folder).items()}
    recalled = {key: _recall(file, len(files)) for key, file in kept.items()}
    known = {key: probs for key, probs in recalled.items() if probs is not None}
    missing = {name: [case for case in CASES if (name, case) not in known] for name in models}
    answers, total = _ask(models, missing, files, seeds, batch_size), sum(map(len, missing.values()))
    shown = bool(total) and sys.stdout.isatty()
    for key, probs in track(answers, "Corrupted images", total, transient=True, disable=not shown):
        content = io.BytesIO()
        np.save(content, probs)
        write_atomically(content.getvalue(), kept[key])
        known[key] = probs
    return {case: np.stack([known[name, case] for name in models]) for case in CASES}


def _ask(
    models: Mapping[str, Path],
    missing: Mapping[str, Sequence[Case]],
    files: Sequence[Path],
    seeds: Sequence[int],
    batch_size: int,
) -> Iterator[tuple[tuple[str, Case], np.ndarray]]:
    """Load the members that miss something one after another, and yield the answers that were missing."""
    if not any(missing.values()):
        return
    from facemask_ensemble.tensorflow_import import start_tensorflow

    start_tensorflow()
    from facemask_ensemble.data.loaders import images
    from facemask_ensemble.models.classifier import load_classifier

    decoded: dict[int, list[np.ndarray]] = {}
    for name in [name for name in models if missing[name]]:
        model = load_classifier(models[name])
        size = model.input_shape[1]
        side = max(BASE, size)
        if side not in decoded:
            decoded = {side: _in_threads(partial(_decode, side), files)}
        for case in missing[name]:
            pixels = np.stack(_in_threads(partial(_make_worse, case, size), decoded[side], seeds))
            yield (name, case), model.predict(images(pixels, batch_size), verbose=0).astype(np.float32)
        del model  # before the next one is loaded


def _make_worse(case: Case, size: int, image: np.ndarray, seed: int) -> np.ndarray:
    import tensorflow as tf

    from facemask_ensemble.data.reader import squeeze

    with tf.device("CPU"):
        return squeeze(tf.constant(corrupt(image, *case, seed)), size).numpy()


def _decode(side: int, file: Path) -> np.ndarray:
    """Read an image whose shorter side is `side` pixels at most, uint8 (h, w, 3)."""
    try:
        image = decode(_content(file), at_least=side)
    except ImageError as error:
        raise InputError(f"{file} cannot be read as an image ({error}): replace it or leave it out") from None
    share = side / min(image.size)
    if share < 1:
        image = image.resize([max(1, round(share * length)) for length in image.size], Image.Resampling.BOX)
    return np.array(image)


def _in_threads(work: partial[np.ndarray], *items: Sequence) -> list[np.ndarray]:
    with ThreadPoolExecutor(usable_cores()) as pool:
        return list(pool.map(work, *items))


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InputError(f"{file} cannot be opened ({error.strerror}): check the path and its permissions") from None


def _seed_of(file: Path, seed: int) -> int:
    """Draw an image's own seed from its content: its neighbours in a sample do not matter."""
    return int.from_bytes(hashlib.sha256(f"{seed} ".encode() + _content(file)).digest()[:8])


def _kept(name: str, model: Path, seeds: Sequence[int], folder: Path) -> dict[Case, Path]:
    """Name the file of every case by all that its answers depend on."""
    with model.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    known = json.dumps([VERSION, READER_VERSION, BASE, content, list(seeds)])
    keys = {case: hashlib.sha256(f"{known} {case} {LEVELS[case[0]][case[1] - 1]}".encode()) for case in CASES}
    return {case: folder / f"{name}-{case[0]}-{case[1]}-{key.hexdigest()[:20]}.npy" for case, key in keys.items()}


def _recall(file: Path, images: int) -> np.ndarray | None:
    """Read saved answers; a damaged file counts as missing."""
    try:
        probs = np.load(file)
    except (FileNotFoundError, EOFError, ValueError):
        return None
    return probs if probs.dtype == np.float32 and probs.ndim == 2 and len(probs) == images else None
