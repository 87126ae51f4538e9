"""The task: what a dataset's classes are about. Each task has a file in `conf/task`."""

from collections.abc import Mapping
from typing import Annotated

from facemask_ensemble.errors import InputError
from facemask_ensemble.settings.fields import Rule, Target, Text, group

GENERIC = "generic"  # name of the task of any other classes
ANY = "any"  # in place of a kind of boxes
Names = Annotated[tuple[Text, ...], Rule("a list of class names")]


@group
class BoxWords:
    """What a dataset's boxes hold.

    Attributes:
        noun: what one box holds.
        plural: what several hold.
        kinds: a box's kind, and the words for it.
        evidence: a class, and the kind of boxes that speaks for it, or `any`.
    """

    noun: Text
    plural: Text
    kinds: Mapping[str, Text]
    evidence: Mapping[str, Text]

    def __post_init__(self) -> None:
        """Refuse evidence of an unknown kind."""
        known = [*self.kinds, ANY]
        for name, kind in self.evidence.items():
            if kind not in known:
                raise InputError(f"task.boxes.evidence.{name}={kind}: must be one of {', '.join(known)}")


@group
class Misuse:
    """What an ensemble must not be used for: to decide `alone`, and for questions `beyond` its classes."""

    alone: Text
    beyond: Text


@group
class Submission:
    """A competition's file: the dataset of the members that write it, and the columns of image and class."""

    dataset: Text
    columns: Annotated[tuple[Text, Text], Rule("two columns: of image and of class")]


@group
class Task:
    """What is known of a task; `conf/task/generic.yaml` says what each key is for."""

    name: Text
    question: Text | None
    meanings: Mapping[str, Text]
    caution: Text
    misuse: Misuse
    boxes: BoxWords
    positive: Names
    safest: Names | None
    submission: Submission | None
    model_prefix: Text
    example: Target
