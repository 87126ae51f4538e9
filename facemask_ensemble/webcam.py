"""Box the faces of a camera or a video and say who wears a mask: `python -m facemask_ensemble.webcam source=0`."""

from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from facemask_ensemble.command import run_command
from facemask_ensemble.config import absolute_paths, chosen_groups, plain
from facemask_ensemble.faces.settings import check_webcam, video_source

if TYPE_CHECKING:
    from facemask_ensemble.faces.recording import Recording
    from facemask_ensemble.faces.video import Footage, Pace, Window
    from facemask_ensemble.prediction.mask_detector import MaskDetector


def task(cfg: DictConfig) -> None:
    """Compose the config and watch."""
    check_webcam(cfg)
    watch(plain(absolute_paths(cfg)), chosen_groups())


def watch(config: Mapping[str, Any], choices: Mapping[str, str]) -> None:
    """Find the faces of every frame, let the ensemble answer about each, and show or write the frames.

    Args:
        config: the resolved webcam config.
        choices: the names of the `voting` rule and of what breaks `ties`.

    Raises:
        InputError: a source that cannot be read, no window where one is needed, an output that cannot be written, or
            what `open_detector` refuses.
    """
    from facemask_ensemble.faces.recording import open_recording
    from facemask_ensemble.faces.video import Footage, Window
    from facemask_ensemble.prediction.mask_detector import open_detector

    wanted = config["output"] is None if config["window"] is None else config["window"]
    with ExitStack() as stack:
        footage = stack.enter_context(closing(Footage(video_source(config["source"]))))
        window = stack.enter_context(closing(Window())) if wanted else None
        opened = open_detector(config, choices)
        print(opened.choice.introduction)
        recording = None
        if config["output"]:
            recording = stack.enter_context(closing(open_recording(config["output"], footage, config["codec"])))
        _watch(footage, opened.load(config), recording, window)


def _watch(footage: "Footage", detect: "MaskDetector", recording: "Recording | None", window: "Window | None") -> None:
    """Go through the frames to their end, to `q` or to Ctrl-C, and say what was seen."""
    from facemask_ensemble.data.parallel import counting
    from facemask_ensemble.faces.drawing import draw_faces
    from facemask_ensemble.faces.masks import scene
    from facemask_ensemble.faces.video import Pace

    seen: Counter[str] = Counter()
    pace = Pace()
    try:
        with counting(footage.total, 0, "Frames") as count:
            for second, frame in footage.frames():
                (faces,) = detect([frame])
                drawn = draw_faces(frame, faces, pace.note())
                if recording:
                    recording.add(second, drawn, faces)
                seen[scene([face.worn for face in faces])] += 1
                count(1)
                if window and not window.show(drawn):
                    break
    finally:
        _conclude(seen, pace, footage.total, recording)


def _conclude(seen: Counter[str], pace: "Pace", total: int | None, recording: "Recording | None") -> None:
    frames = seen.total()
    print(f"frames: {frames}{'' if total is None or total == frames else f' of {total}'}, {pace.mean:.1f} a second")
    for answer, count in seen.most_common():
        print(f"{answer or 'undecided'}: {count}")
    if recording and frames:
        print(f"video: {recording.file}\ntable: {recording.table}")


def main() -> None:
    """Run the command."""
    run_command("webcam", task)


if __name__ == "__main__":
    main()
