"""What `predict` takes: images, and the ensemble that answers for them."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from facemask_ensemble.errors import InputError
from facemask_ensemble.settings.answering import Detector, Engine, EnsembleSettings, Heatmap, Runtime, Votes
from facemask_ensemble.settings.fields import Positive, Rule, Switch, Text, group


@group
class PredictSettings(EnsembleSettings):
    """The settings of a prediction, apart from the ensemble; `conf/predict.yaml` has their defaults.

    Attributes:
        heatmap: how heatmaps are made, if at all.
        runtime: of the networks.
        engine: where the members work.
        detector: how faces are found, if each is to be answered for itself.
        input: the images.
        output: the table of answers; null for one below `output_dir`.
        again: start again, and overwrite the output.
        votes: `decided` asks members only until the majority is certain.
        batch_size: images per call of a network.
    """

    heatmap: Heatmap
    runtime: Runtime
    engine: Engine
    detector: Detector
    input: Annotated[
        Text, Rule("an image, a folder, a glob in quotes, a list of paths, an archive, or - for paths on stdin")
    ]
    output: Annotated[
        Annotated[Text, Field(pattern=r"\.(csv|parquet)$")] | None,
        Rule("a file whose name ends in .csv or .parquet"),
    ]
    again: Switch
    votes: Votes
    batch_size: Positive

    def __post_init__(self) -> None:
        """Refuse heatmaps and faces of images that are decoded elsewhere, and heatmaps of faces."""
        name = self.engine.name
        for key, chosen in (("heatmap", self.heatmap.name), ("detector", self.detector.name)):
            if name != "local" and chosen != "none":
                raise InputError(f"engine={name}: does not work with {key}={chosen}; give {key}=none, or engine=local")
        if self.detector.find is not None and self.heatmap.method is not None:
            raise InputError(
                f"heatmap={self.heatmap.name}: heatmaps show whole images, not single faces; give "
                "heatmap=none, or detector=none"
            )

    @property
    def table(self) -> Path:
        """Give the file of the answers."""
        if self.output is None:
            return self.output_dir / "predictions" / "predictions.csv"
        return Path(self.output).expanduser().resolve()
