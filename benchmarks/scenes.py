"""Measure how many scenes a second one core draws: `python -m benchmarks.scenes`."""

import time

from facemask_ensemble.scenes import draw_scene
from facemask_ensemble.scenes.difficulty import DIFFICULTIES

SIZE, SECONDS = 96, 3.0


def scenes_per_second(difficulty: str, size: int, seconds: float) -> float:
    """Draw for some seconds of processor time and count, so that a busy neighbour does not matter."""
    draw_scene(0, 0, size, difficulty)
    count, started = 0, time.process_time()
    while (elapsed := time.process_time() - started) < seconds:
        draw_scene(1, count, size, difficulty)
        count += 1
    return count / elapsed


def main() -> None:
    """Print scenes per second for each difficulty."""
    for name in DIFFICULTIES:
        print(f"{name:8s} {scenes_per_second(name, SIZE, SECONDS):6.0f} scenes/s at {SIZE} px, one core")


if __name__ == "__main__":
    main()
