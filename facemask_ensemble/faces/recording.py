"""What is kept of a video: its frames with their boxes, and a table with a row a frame."""

import csv
from collections.abc import Sequence
from pathlib import Path

from facemask_ensemble.errors import InputError
from facemask_ensemble.faces.answers import Face, answer_of
from facemask_ensemble.faces.drawing import strip_height
from facemask_ensemble.faces.opencv import import_opencv
from facemask_ensemble.faces.video import Footage, Frame
from facemask_ensemble.tensorflow_import import silent_stderr

COLUMNS = ["frame", "seconds", "prediction", "confidence", "faces", "masked", "boxes"]
CODECS = {".mp4": "mp4v", ".avi": "MJPG"}


class Recorder:
    """A video file that frames are written to, at so many a second; as many seconds long as what it records."""

    def __init__(self, file: Path, rate: float, size: tuple[int, int], codec: str | None) -> None:
        cv2 = import_opencv("webcam")
        codec = codec or CODECS[file.suffix.lower()]
        self._cv2, self._rate, self._written = cv2, rate, 0
        with silent_stderr():  # FFmpeg speaks of a codec that it lacks at every level of logging
            self._writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*codec), rate, size)
        if not self._writer.isOpened():
            file.unlink(missing_ok=True)
            raise InputError(
                f"output={file}: OpenCV cannot write it with the codec {codec} "
                f"(OpenCV {cv2.__version__}); give output=FILE.avi codec=MJPG, or another folder"
            )

    def write(self, frame: Frame, second: float) -> None:
        """Write a frame as often as it takes to come up to its second; not at all where frames come faster."""
        image = self._cv2.cvtColor(frame, self._cv2.COLOR_RGB2BGR)
        while self._written <= second * self._rate + 1e-6:
            self._writer.write(image)
            self._written += 1

    def close(self) -> None:
        """Finish the file."""
        self._writer.release()


class Recording:
    """A video and its table, written frame by frame; one without a frame is removed at its end."""

    def __init__(self, file: Path, rate: float, size: tuple[int, int], codec: str | None) -> None:
        self.file, self.table = file, file.with_suffix(".csv")
        self._frames = 0
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self._rows = self.table.open("w", encoding="utf-8", newline="")
        except OSError as error:
            raise InputError(f"output={file}: cannot be written ({error.strerror}); give another output") from None
        try:
            self._video = Recorder(file, rate, size, codec)
        except InputError:
            self._rows.close()
            self.table.unlink()
            raise
        self._writer = csv.writer(self._rows, lineterminator="\n")
        self._writer.writerow(COLUMNS)

    def add(self, second: float, drawn: Frame, faces: Sequence[Face]) -> None:
        """Write a frame, and what it was answered."""
        self._writer.writerow([self._frames, round(second, 3), *answer_of(faces)])
        self._rows.flush()
        self._video.write(drawn, second)
        self._frames += 1

    def close(self) -> None:
        """Finish both files."""
        self._video.close()
        self._rows.close()
        if not self._frames:
            self.file.unlink(missing_ok=True)
            self.table.unlink()


def open_recording(output: str, footage: Footage, codec: str | None) -> Recording:
    """Open the files for what is drawn on some footage.

    Raises:
        InputError: they cannot be written, or not with that codec.
    """
    width, height = footage.size
    return Recording(Path(output), footage.rate, (width, height + strip_height(width, height)), codec)
