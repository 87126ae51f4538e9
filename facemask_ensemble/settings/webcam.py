"""What `webcam` takes: a camera or a video, and the ensemble that answers for its faces."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from facemask_ensemble.errors import InputError
from facemask_ensemble.settings.answering import Detector, EnsembleSettings, Runtime, Votes
from facemask_ensemble.settings.fields import Positive, Rule, Switch, Text, group


@group
class WebcamSettings(EnsembleSettings):
    """The settings of `webcam`, apart from the ensemble; `conf/webcam.yaml` has their defaults.

    Attributes:
        detector: how faces are found.
        runtime: of the networks.
        source: a camera's number, or a video file.
        output: a video to write; null for a window alone.
        window: true for one beside the output; null for one only without an output.
        codec: four letters; null for what fits the output.
        again: overwrite an existing output.
        votes: `decided` asks members only until the majority is certain.
        batch_size: faces per call of a network.
    """

    detector: Detector
    runtime: Runtime
    source: Text
    output: Annotated[
        Annotated[Text, Field(pattern=r"(?i)\.(mp4|avi)$")] | None, Rule("a file whose name ends in .mp4 or .avi")
    ]
    window: Annotated[bool | None, Field(strict=True), Rule("true, false or null")]
    codec: Annotated[
        Annotated[Text, Field(min_length=4, max_length=4)] | None, Rule("four letters, such as mp4v or MJPG")
    ]
    again: Switch
    votes: Votes
    batch_size: Positive

    def __post_init__(self) -> None:
        """Refuse a video without a face detector, and one without a window and an output."""
        if self.detector.find is None:
            raise InputError("detector=none: a video needs a face detector; give detector=haar or detector=mtcnn")
        if self.output is None and self.window is False:
            raise InputError("window=false: shows nothing without an output; give output=FILE.mp4")

    @property
    def recording(self) -> Path | None:
        """Give the file that is written."""
        return None if self.output is None else Path(self.output).expanduser().resolve()

    @property
    def video(self) -> int | Path:
        """Tell a camera's number from a file."""
        return int(self.source) if self.source.isdecimal() else Path(self.source).expanduser()
