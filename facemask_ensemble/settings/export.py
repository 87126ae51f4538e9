"""What `export` takes: the members or the ensemble, and the format."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from facemask_ensemble.errors import InputError
from facemask_ensemble.settings.answering import EnsembleSettings
from facemask_ensemble.settings.fields import Folder, From0, Number, Positive, Rule, Switch, Target, Text, group


@group
class Format:
    """A file format: how it is written and read, and how much its answers may differ from Keras.

    Attributes:
        name: of the choice.
        write: a graph into a file.
        read: the file, to be asked.
        extra: of this package, which brings `modules`; null for none.
        modules: that it needs.
        precision: of the weights.
        bounds: largest difference of a probability from Keras, by precision.
    """

    name: Text
    write: Target
    read: Target
    extra: Text | None
    modules: tuple[Text, ...]
    precision: Text
    bounds: Mapping[str, From0]

    def __post_init__(self) -> None:
        """Refuse a precision that the format does not have."""
        if self.precision not in self.bounds:
            raise InputError(f"format.precision={self.precision}: {self.name} is written in {', '.join(self.bounds)}")


@group
class ExportSettings(EnsembleSettings):
    """The settings of an export, apart from the ensemble; `conf/export.yaml` has their defaults.

    Attributes:
        format: of the files.
        output: a new folder.
        again: replace an export that is already there.
        graph: one per member, one of all members with the vote, or both.
        images: a folder of images to check with; null for the members' own validation images.
        count: images to check with at most.
        tolerance: largest difference of a probability from Keras; null for the format's bound.
    """

    format: Format
    output: Annotated[Folder, Rule("a folder, which is made")]
    again: Switch
    graph: Literal["members", "ensemble", "both"]
    images: Text | None
    count: Positive
    tolerance: Annotated[
        Annotated[Number, Field(ge=0, le=1)] | None, Rule("a difference of probabilities from 0 to 1, such as 0.001")
    ]
