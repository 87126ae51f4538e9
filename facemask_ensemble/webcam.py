"""Draw a box around every face of a camera or a video: `python -m facemask_ensemble.webcam source=0`."""

from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from facemask_ensemble.command import run_command
from facemask_ensemble.config import chosen_groups, read_settings, refuse_other_rule
from facemask_ensemble.errors import InputError
from facemask_ensemble.settings.webcam import WebcamSettings
from facemask_ensemble.signals import stop_at_checks

if TYPE_CHECKING:
    from facemask_ensemble.faces.recording import Recording
    from facemask_ensemble.faces.video import Footage, Pace, Window
    from facemask_ensemble.prediction.mask_detector import MaskDetector


def task(cfg: DictConfig) -> None:
    """Compose the config and watch."""
    settings = read_settings(WebcamSettings, cfg)
    refuse_other_rule(settings.ensemble)
    check_files(settings)
    watch(settings, chosen_groups())


def check_files(settings: WebcamSettings) -> None:
    """Refuse a missing video, and an output that would overwrite a file.

    Raises:
        InputError: naming the key, the value and the rule.
    """
    source, output = settings.video, settings.recording
    if isinstance(source, Path) and not source.is_file():
        raise InputError(f"source={source}: no such file; give a video file, or a camera's number, such as 0")
    if output is None:
        return
    if isinstance(source, Path) and output == source.resolve():
        raise InputError(f"output={settings.output}: is the source itself; give another file")
    there = next((file for file in (output, output.with_suffix(".csv")) if file.exists()), None)
    if there and not settings.again:
        raise InputError(f"output={settings.output}: {there.name} already exists; give another output, or again=true")


def watch(settings: WebcamSettings, choices: Mapping[str, str]) -> None:
    """Find the faces of every frame, let the ensemble answer about each, and show or write the frames.

    Args:
        settings: of the watch.
        choices: the names of the `voting` rule and of what breaks `ties`.

    Raises:
        InputError: the source cannot be read, a window cannot be shown, the output cannot be written, or
            `open_detector` refuses.
    """
    from facemask_ensemble.faces.recording import open_recording
    from facemask_ensemble.faces.video import Footage, Window
    from facemask_ensemble.prediction.mask_detector import open_detector

    wanted = settings.output is None if settings.window is None else settings.window
    with ExitStack() as stack:
        footage = stack.enter_context(closing(Footage(settings.video)))
        window = stack.enter_context(closing(Window())) if wanted else None
        opened = open_detector(settings, choices)
        print(opened.choice.introduction)
        recording = None
        if settings.recording:
            recording = stack.enter_context(closing(open_recording(str(settings.recording), footage, settings.codec)))
        _watch(footage, opened.load(settings), recording, window)


def _watch(footage: "Footage", detect: "MaskDetector", recording: "Recording | None", window: "Window | None") -> None:
    """Answer frames until their end, `q` or Ctrl-C, and print a summary."""
    from facemask_ensemble.data.parallel import counting
    from facemask_ensemble.faces.drawing import draw_faces
    from facemask_ensemble.faces.masks import scene
    from facemask_ensemble.faces.video import Pace

    seen: Counter[str] = Counter()
    pace = Pace()
    try:
        with stop_at_checks() as check, counting(footage.total, 0, "Frames") as count:
            for second, frame in footage.frames():
                (faces,) = detect([frame])
                drawn = draw_faces(frame, faces, pace.note())
                if recording:
                    recording.add(second, drawn, faces)
                seen[scene([face.worn for face in faces])] += 1
                count(1)
                check()  # between two frames, so that the video, its table and the summary agree
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
