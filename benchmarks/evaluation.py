"""Measure the verdict on synthetic probabilities of seven members and three classes: `make bench-evaluate`."""

import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from facemask_ensemble.data.manifest import COLUMNS, Manifest
from facemask_ensemble.ensemble import learning, voting
from facemask_ensemble.ensemble.predictions import MemberPredictions
from facemask_ensemble.ensemble.rule_settings import every_rule
from facemask_ensemble.ensemble.rules import Rule
from facemask_ensemble.evaluation.verdict import judge

SKILLS = (1.5, 0.6, 1.7, 2.0, 0.4, 1.2, 3.0)
CLASSES = ("none", "all", "some")
IMAGES, MANY, DRAWS, ROUNDS = 10_000, 1_000_000, 10_000, 30


def members(images: int, seed: int = 0) -> tuple[list[MemberPredictions], Manifest]:
    """Draw members of unequal skill, whose errors are partly shared, on as many validation as test images."""
    draw = np.random.default_rng(seed)
    answered: dict[str, np.ndarray] = {}
    rows = [("0", "0", label, "0", "train", "", "") for label in range(len(CLASSES))]
    for split in ("validation", "test"):
        labels = draw.integers(len(CLASSES), size=images)
        scores = draw.normal(size=(images, len(CLASSES)))[None] + draw.normal(size=(7, images, len(CLASSES)))
        scores[:, np.arange(images), labels] += np.array(SKILLS)[:, None]
        odds = np.exp(1.5 * scores)
        answered[split] = (odds / odds.sum(axis=2, keepdims=True)).astype(np.float32)
        rows += [(f"{split}{n}", f"{split}{n}", label, f"{split}{n}", split, "", "") for n, label in enumerate(labels)]
    left_out = pd.DataFrame(columns=["path", "reason"])
    manifest = Manifest("synthetic", Path(), CLASSES, pd.DataFrame(rows, columns=COLUMNS), left_out)
    names = [f"member{place}" for place in range(7)]
    found = [MemberPredictions(n, n, answered["test"][k], answered["validation"][k]) for k, n in enumerate(names)]
    return found, manifest


def verdict(images: int, draws: int) -> tuple[float, float]:
    """Judge once; give the seconds, and the process's peak memory in GB."""
    found, manifest = members(images)
    costs = {member.name: {"milliseconds": 10.0 + place, "megabytes": 80.0} for place, member in enumerate(found)}
    analysis = {"costs": costs, "conformal_error": 0.1, "resamples": draws}
    rules = every_rule(Rule("majority", voting.majority))
    started = time.perf_counter()
    judge(found, manifest, rules, "majority", analysis=analysis)
    return time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def rules() -> list[str]:
    """Time every rule beside one pass over the array, the sum over the classes; the best of each counts."""
    found, manifest = members(IMAGES)
    probs = np.stack([member.test_probs for member in found])
    labels = manifest.split("test")["label"].to_numpy(int)
    greedy, stacking = learning.greedy(probs, labels).arguments, learning.logistic(probs, labels).arguments
    work: dict[str, Callable[[], Any]] = {
        "one pass, probs.sum(axis=2)": lambda: probs.sum(axis=2),
        "majority": lambda: voting.majority(probs),
        "soft": lambda: voting.soft(probs),
        "borda": lambda: voting.borda(probs),
        "maximum": lambda: voting.maximum(probs),
        "weighted, greedy": lambda: voting.weighted(probs, greedy["weights"]),
        "stacking": lambda: voting.stacked(probs, stacking["coefficients"], stacking["intercepts"]),
    }
    best = dict.fromkeys(work, np.inf)
    for _ in range(ROUNDS):
        for name, call in work.items():
            started = time.perf_counter()
            call()
            best[name] = min(best[name], time.perf_counter() - started)
    [first, *_] = best.values()
    return [f"| {name} | {1000 * spent:.2f} | {spent / first:.2f} |" for name, spent in best.items()]


def main() -> None:
    """Print the tables; each verdict runs in a separate process, to measure its memory."""
    if len(sys.argv) == 3:
        seconds, gigabytes = verdict(int(sys.argv[1]), int(sys.argv[2]))
        print(f"{seconds:.1f} {gigabytes:.2f}")
        return
    print(f"| rule, {IMAGES:,} images | ms | passes |\n| --- | --: | --: |", *rules(), sep="\n")
    print("\n| test images, as many for validation | bootstrap draws | seconds | peak memory, GB |")
    print("| --: | --: | --: | --: |")
    for images, draws in ((IMAGES, 0), (IMAGES, DRAWS), (MANY, 0)):
        command = [sys.executable, "-m", "benchmarks.evaluation", str(images), str(draws)]
        spent, peak = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        print(f"| {images:,} | {draws:,} | {spent} | {peak} |", flush=True)


if __name__ == "__main__":
    main()
