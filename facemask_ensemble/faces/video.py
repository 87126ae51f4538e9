"""Videos and cameras, frame by frame, through OpenCV; frames are RGB, uint8 (h, w, 3)."""

import os
import sys
from collections import deque
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from time import monotonic, perf_counter
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from facemask_ensemble.errors import InputError
from facemask_ensemble.faces.opencv import import_opencv

Frame = NDArray[np.uint8]
USUAL_RATE = 25.0  # frames a second where a file or a camera does not say, or says what cannot be
MOST_RATE = 240.0
TITLE = "facemask_ensemble: q ends"
STOP_KEYS = (ord("q"), 27)
RECENT = 30  # frames that the speed shown is the mean of


class Footage:
    """The frames of a camera, by its number, or of a video file.

    `rate` is in frames a second; `total` is how many frames a file says that it has, None for a camera.
    """

    def __init__(self, source: int | Path) -> None:
        self._cv2 = import_opencv("webcam")
        self.live = isinstance(source, int)
        self._capture = self._cv2.VideoCapture(source if self.live else str(source))
        if not self._capture.isOpened():
            raise InputError(f"source={source}: {self._unopened()}")
        if self.live:
            self._capture.set(self._cv2.CAP_PROP_BUFFERSIZE, 1)  # what is shown should not lag behind
        self._first = self._read()
        if self._first is None:
            self.close()
            raise InputError(f"source={source}: no frame can be read from it; give another source")
        rate = self._capture.get(self._cv2.CAP_PROP_FPS)
        self.rate = rate if 0 < rate <= MOST_RATE else USUAL_RATE
        frames = int(self._capture.get(self._cv2.CAP_PROP_FRAME_COUNT))
        self.total = frames if frames > 0 and not self.live else None

    @property
    def size(self) -> tuple[int, int]:
        """Give a frame's width and height in pixels."""
        assert self._first is not None
        return self._first.shape[1], self._first.shape[0]

    def frames(self) -> Iterator[tuple[float, Frame]]:
        """Yield each frame with its second: a file's by its rate, a camera's by the clock."""
        start, frame = monotonic(), self._first
        for number in count():
            if frame is None:
                return
            yield monotonic() - start if self.live else number / self.rate, frame
            frame = self._read()

    def close(self) -> None:
        """Let the camera or the file go."""
        self._capture.release()

    def _read(self) -> Frame | None:
        there, frame = self._capture.read()
        return self._cv2.cvtColor(frame, self._cv2.COLOR_BGR2RGB) if there else None

    def _unopened(self) -> str:
        if self.live:
            return "no such camera, or another program uses it; give another number, or a video file"
        return "cannot be opened as a video; give one that OpenCV reads, such as an .mp4"


class Window:
    """A window on the screen."""

    def __init__(self) -> None:
        self._cv2 = import_opencv("webcam")
        if why := why_no_window(self._cv2):
            raise InputError(f"no window can be shown: {why}")
        self._cv2.namedWindow(TITLE, self._cv2.WINDOW_NORMAL)

    def show(self, frame: Frame) -> bool:
        """Show a frame; tell whether to go on, which `q`, escape and closing the window deny."""
        self._cv2.imshow(TITLE, self._cv2.cvtColor(frame, self._cv2.COLOR_RGB2BGR))
        pressed = self._cv2.waitKey(1) & 0xFF
        return pressed not in STOP_KEYS and self._cv2.getWindowProperty(TITLE, self._cv2.WND_PROP_VISIBLE) >= 1

    def close(self) -> None:
        """Close it."""
        self._cv2.destroyAllWindows()


def why_no_window(cv2: ModuleType) -> str | None:
    """Say why there can be no window, and what to do; None where there can be one."""
    gui = next((line for line in cv2.getBuildInformation().splitlines() if line.strip().startswith("GUI:")), "")
    if gui.endswith("NONE"):
        return (
            "this is opencv-python-headless; give output=FILE.mp4, "
            'or pip uninstall it and pip install "opencv-python<5" in its place'
        )
    # Qt ends the whole process where it finds no screen
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return "there is no screen (DISPLAY is not set); give output=FILE.mp4"
    return None


class Pace:
    """How fast frames are worked off: `mean` over all of them, frames a second."""

    def __init__(self) -> None:
        self._recent = deque([perf_counter()], RECENT + 1)
        self._start, self._frames = self._recent[0], 0

    @property
    def mean(self) -> float:
        """Give the mean speed up to the last frame."""
        return self._frames / max(self._recent[-1] - self._start, 1e-9)

    def note(self) -> str:
        """Count a frame, and write the speed of late."""
        self._recent.append(perf_counter())
        self._frames += 1
        return f"{(len(self._recent) - 1) / max(self._recent[-1] - self._recent[0], 1e-9):.1f} fps"
