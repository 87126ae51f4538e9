"""The groups of the commands that let an ensemble answer."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from facemask_ensemble.errors import InputError
from facemask_ensemble.settings.fields import Folder, From0, Positive, PositiveOrNull, Rule, Target, Text, group
from facemask_ensemble.settings.groups import Tracking
from facemask_ensemble.settings.task import Task

LEAST_SEARCHED = 64  # pixels
Votes = Literal["decided", "all"]
Side = Annotated[float, Field(strict=True, ge=0, le=10)]


@group
class Voting:
    """A rule, and where it learns from the members' validation images, `learn`."""

    rule: Target
    learn: Target | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_a_call(cls, values: Any) -> Any:
        """Accept a rule without learning, written as a call alone."""
        return {"rule": values} if isinstance(values, dict) and "_target_" in values else values

    @property
    def call(self) -> dict[str, Any]:
        """Give what `hydra.utils.instantiate` makes the rule of, as the YAML has it."""
        return self.rule.call if self.learn is None else {"rule": self.rule.call, "learn": self.learn.call}


@group
class Ties:
    """How a tie is broken: by an `order` of the classes, or of the `task`, or the members' `weights`."""

    break_tie: Target
    order: Annotated[tuple[Text, ...] | Literal["task"] | None, Rule("a list of classes, or task")] = None
    weights: Literal["validation"] | None = None

    @property
    def call(self) -> dict[str, Any]:
        """Give what `hydra.utils.instantiate` makes the breaker of, as the YAML has it."""
        order = list(self.order) if isinstance(self.order, tuple) else self.order
        own = {"order": order, "weights": self.weights}
        return {key: value for key, value in own.items() if value is not None} | {"break_tie": self.break_tie.call}


@group
class EnsembleSettings:
    """Which ensemble answers: a shipped `ensemble`, or members of the store under a rule.

    Attributes:
        task: what the classes are about; null for the task of the members.
        voting: the rule of members of the store.
        ties: what breaks its ties.
        tracking: the store.
        ensemble: `models:/NAME@champion` or a folder, with its members and its rule.
        study: of the members; null for members of the dataset trained last.
        members: MLflow run ids; empty for the newest finished member of every backbone.
        output_dir: holds the embedded store.
    """

    task: Task | None = None
    voting: Voting
    ties: Ties
    tracking: Tracking
    ensemble: Text | None
    study: Text | None
    members: tuple[Text, ...]
    output_dir: Folder


@group
class Heatmap:
    """How heatmaps are made: `method` of tf-keras-vis's kind, null for none; `channels` is Score-CAM's."""

    name: Text
    method: Target | None
    channels: PositiveOrNull = None


@group
class Runtime:
    """The runtime of the networks; `precision` and `differ` are those of OpenVINO, which checks them."""

    name: Text
    load: Target
    precision: Text | None = None
    differ: float | None = None


@group
class Engine:
    """Where the members work: `answer` is called; the other keys are Ray's."""

    name: Text
    answer: Target
    address: Text | None = None
    workers: PositiveOrNull = None
    cores: Positive = 1
    gpus: From0 = 0


@group
class Detector:
    """How faces are found, how large their crops are, and which classes mean that a mask is worn.

    Attributes:
        name: of the choice.
        find: finds boxes in an image; null: no detection.
        longest: a larger image is shrunk to this longer side, in pixels, to find faces; null for its own size.
        margin: shares of a box that are added around it: one, or left, top, right and bottom.
        masked: classes that mean a face wears a mask, as far as members have them.
    """

    name: Text
    find: Target | None
    longest: Annotated[
        int | None,
        Field(strict=True, ge=LEAST_SEARCHED),
        Rule(f"a whole number of pixels of at least {LEAST_SEARCHED}, or null"),
    ] = None
    margin: Annotated[
        Side | Annotated[tuple[Side, ...], Field(min_length=4, max_length=4)],
        Rule("a share of a box from 0 to 10, such as 0.2, or four: [left,top,right,bottom]"),
    ] = 0.0
    masked: Annotated[tuple[Text, ...], Rule("a list of classes, such as [mask]")] = ()

    def __post_init__(self) -> None:
        """Refuse to look for faces that no class could mean."""
        if self.find is not None and not self.masked:
            raise InputError("detector.masked=[]: must be a list of classes; give detector.masked=[mask]")

    @property
    def sides(self) -> tuple[float, float, float, float]:
        """Give the margin on the left, at the top, on the right and at the bottom."""
        left, top, right, bottom = self.margin if isinstance(self.margin, tuple) else (self.margin,) * 4
        return left, top, right, bottom
