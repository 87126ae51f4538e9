"""Measure reading, auditing and the search for copies beside the bare alternative: `make bench-data`."""

import argparse
import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from facemask_ensemble.resources import usable_cores

ROUNDS = 8  # each way in turn; the best of each counts, so that a busy neighbour does not
SIZE = 224
REGISTRY = "benchmarks.data"


def draw(folder: Path, count: int, width: int, height: int) -> list[Path]:
    """Write JPEGs with detail at every scale, as photographs have it, in two folders of a class each."""
    files = [folder / "ab"[number % 2] / f"{number:06}.jpg" for number in range(count)]
    for name in "ab":
        (folder / name).mkdir(parents=True)

    def write(number: int) -> None:
        rng = np.random.default_rng(number)
        image = np.full((height, width, 3), 128.0)
        for side in (3, 9, 27, 81):
            layer = Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8))
            image += (np.asarray(layer.resize((width, height)), float) - 128) * 2 / side**0.5
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(files[number], quality=90)

    with ThreadPoolExecutor(usable_cores()) as pool:
        list(pool.map(write, range(count)))
    return files


def seconds(work: Callable[[], object]) -> float:
    """Time one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def reading(folder: Path, count: int) -> list[str]:
    """Time a first and a second pass over images of 600x400, beside a bare tf.data decode and resize."""
    import tensorflow as tf

    from facemask_ensemble.data.loaders import batches
    from facemask_ensemble.data.pixel_cache import load_pixels

    files = draw(folder / "photos", count, 600, 400)
    names, labels = [str(file) for file in files], np.zeros(count, int)

    def decode(name: tf.Tensor) -> tf.Tensor:
        return tf.image.resize(tf.io.decode_jpeg(tf.io.read_file(name), 3), (SIZE, SIZE))

    def bare() -> None:
        for _ in tf.data.Dataset.from_tensor_slices(names).map(decode, tf.data.AUTOTUNE).batch(32).prefetch(2):
            pass

    def epoch(cache: Path) -> None:
        pixels = load_pixels(Path(), names, SIZE, cache, names)
        for _ in batches(pixels, labels, 2, 32, shuffle_seed=0):
            pass

    best = dict.fromkeys(("bare", "first", "second"), np.inf)
    for number in range(ROUNDS):
        cache = folder / f"cache-{number}"  # new, for a first pass
        ways: dict[str, Callable[[], object]] = {
            "bare": bare,
            "first": partial(load_pixels, Path(), names, SIZE, cache, names),
            "second": partial(epoch, cache),
        }
        for name, way in ways.items():
            best[name] = min(best[name], seconds(way))
    rate = {name: count / spent for name, spent in best.items()}
    return [
        f"bare tf.data, 600x400 JPEG to {SIZE} px | {rate['bare']:.0f} images/s |",
        f"first pass, into the cache | {rate['first']:.0f} images/s | "
        f"{rate['first'] / rate['bare']:.2f} of bare, at least 0.95",
        f"second pass, from the cache, shuffled | {rate['second']:.0f} images/s | "
        f"{rate['second'] / rate['first']:.1f} times the first, at least 4",
    ]


def auditing(folder: Path, count: int) -> list[str]:
    """Time the whole audit command beside decoding the same images once with Pillow."""
    files = draw(folder / "audited", count, 300, 300)

    def decode(file: Path) -> None:
        with Image.open(io.BytesIO(file.read_bytes())) as image:
            image.load()

    def bare() -> None:
        with ThreadPoolExecutor(usable_cores()) as pool:
            list(pool.map(decode, files))

    place = folder / "audit"
    place.mkdir()
    few = draw(place / "few", 200, 300, 300)[0].parents[1]
    command = ["-m", "facemask_ensemble.audit", "dataset=folders"]
    start, _ = _run([*command, f"dataset.root={few}"], place)  # makes the store; then as on every later day
    start = min(start, _run([*command, f"dataset.root={few}", "dataset.split_seed=1"], place)[0])
    pillow = min(seconds(bare) for _ in range(3))
    audit, _ = _run([*command, f"dataset.root={folder / 'audited'}"], place)
    return [
        f"decoding {count:,} images of 300 px once with Pillow | {pillow:.1f} s |",
        f"the audit command, all of it | {audit:.1f} s | {audit / pillow:.2f} times, at most 1.5",
        f"of that, what it takes for 200 images | {start:.1f} s |",
    ]


def searching(count: int) -> list[str]:
    """Time the search for near copies among hashes of images and their mirror images."""
    spent, gigabytes = _run(["-m", REGISTRY, "--child", "search", str(count)], Path())
    return [f"near copies among {count:,} hashes | {spent:.0f} s, {gigabytes:.2f} GB | under 60 s and 4 GB"]


def _search(count: int) -> None:
    from facemask_ensemble.data.duplicates import near_pairs

    rng = np.random.default_rng(0)
    codes, mirrored = rng.integers(0, 2**64, (2, count), dtype=np.uint64)
    planted = count // 20
    flips = np.zeros(planted, np.uint64)
    for _ in range(8):
        flips ^= np.uint64(1) << rng.integers(0, 64, planted, dtype=np.uint64)
    codes[-planted:] = codes[:planted] ^ flips
    looks, turned = (np.array([f"{code:016x}" for code in side]) for side in (codes, mirrored))
    found = {tuple(pair) for pair in np.sort(near_pairs(looks, turned, 8), axis=1).tolist()}
    missed = [place for place in range(planted) if (place, count - planted + place) not in found]
    assert not missed, f"{len(missed)} of {planted} planted copies were not found"


def remembering(folder: Path, counts: Sequence[int]) -> list[str]:
    """Measure the peak memory of checking, caching and reading few and many images."""
    files = draw(folder / "few", min(counts), 300, 300)
    lines = []
    for count in counts:
        place = folder / f"many-{count}"
        for number in range(count):
            link = place / f"{number // 1000}" / f"{number}.jpg"
            link.parent.mkdir(parents=True, exist_ok=True)
            os.link(files[number % len(files)], link)
        spent, gigabytes = _run(["-m", REGISTRY, "--child", "remember", str(place)], folder)
        lines.append(f"check, cache and read {count:,} images | {spent:.0f} s, {gigabytes:.2f} GB | under 1.5 GB")
    return lines


def _remember(folder: Path) -> None:
    import pandas as pd

    from facemask_ensemble.data.file_checks import check, stat_files
    from facemask_ensemble.data.loaders import batches
    from facemask_ensemble.data.pixel_cache import load_pixels

    paths = pd.Series([file.relative_to(folder).as_posix() for file in sorted(folder.rglob("*.jpg"))])
    rows = check(folder, pd.concat([paths.rename("path"), stat_files(folder, paths)], axis=1), folder / "index")
    pixels = load_pixels(folder, list(rows["path"]), SIZE, folder / "cache", list(rows["path"]))
    for _ in batches(pixels, np.zeros(len(rows), int), 2, 32, shuffle_seed=0):
        pass


def _run(arguments: Sequence[str], folder: Path) -> tuple[float, float]:
    """Run Python in a separate process; return its seconds and its peak memory in GB."""
    code = "import resource, subprocess, sys; done = subprocess.run([sys.executable, *sys.argv[1:]]).returncode; "
    code += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(done)"
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return time.perf_counter() - started, int(done.stdout.split()[-1]) * 1024 / 1e9


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(prog=f"python -m {REGISTRY}", description=__doc__)
    parser.add_argument("--photos", type=int, default=4000, help="images of 600x400 to read")
    parser.add_argument("--audited", type=int, default=20_000, help="images of 300 px to audit")
    parser.add_argument("--hashes", type=int, default=1_000_000)
    parser.add_argument("--few", type=int, default=1000)
    parser.add_argument("--many", type=int, default=50_000)
    parser.add_argument("--folder", type=Path, default=None, help="for some 20 GB that are deleted at the end")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        work, value = given.child
        _search(int(value)) if work == "search" else _remember(Path(value))
        return
    with tempfile.TemporaryDirectory(dir=given.folder) as place:
        folder = Path(place)
        print("| what | measured | bound |\n| --- | --- | --- |", flush=True)
        for measure in (
            lambda: reading(folder, given.photos),
            lambda: auditing(folder, given.audited),
            lambda: searching(given.hashes),
            lambda: remembering(folder, (given.few, given.many)),
        ):
            for line in measure():
                print(f"| {line} |", flush=True)


if __name__ == "__main__":
    main()
