"""What `evaluate` takes: members of a dataset, judged on its test split."""

from typing import Literal

from facemask_ensemble.errors import InputError
from facemask_ensemble.settings.answering import Heatmap, Ties, Voting
from facemask_ensemble.settings.fields import Folder, NotNegative, PositiveOrNull, Share, Switch, Text, group
from facemask_ensemble.settings.groups import Dataset, Tracking
from facemask_ensemble.settings.task import Task


@group
class Explanation:
    """The page that judges the heatmaps.

    Attributes:
        images: test images whose heatmaps are judged; 0 for no page.
        methods: to judge beside the chosen one.
        trust: how many of these images also get the tests of deletion, insertion, random weights and shifts.
    """

    images: NotNegative
    methods: tuple[Text, ...]
    trust: NotNegative

    def __post_init__(self) -> None:
        """Refuse more images for trust than images in all."""
        if self.trust > self.images:
            raise InputError(f"explanation.trust={self.trust}: must be at most explanation.images={self.images}")


@group
class EvaluateSettings:
    """The settings of an evaluation; `conf/evaluate.yaml` has their defaults.

    Attributes:
        task: what the classes are about; null for the task of the dataset or of its members.
        dataset: as the members were trained on.
        voting: the rule that is judged as the ensemble; all others are judged beside it.
        ties: what breaks a tie.
        heatmap: how the members' heatmaps are made.
        tracking: where members are found and the report is logged.
        study: only members of this one; null for all that were trained on the dataset.
        members: MLflow run ids; none for the newest finished member of every backbone.
        seen: what to do with test images that a member was trained on.
        learn: where rules learn weights.
        conformal_error: share of images whose conformal set may miss the true class.
        resamples: bootstrap draws of every score.
        costs: measure milliseconds and megabytes of members.
        shift: test images to corrupt and predict again; null for none.
        gallery: images of each kind that the report shows.
        explanation: the page about heatmaps.
        output_dir: the report goes into a folder of it.
    """

    task: Task | None = None
    dataset: Dataset
    voting: Voting
    ties: Ties
    heatmap: Heatmap
    tracking: Tracking
    study: Text | None
    members: tuple[Text, ...]
    seen: Literal["refuse", "leave_out"]
    learn: Literal["validation", "folds"]
    conformal_error: Share
    resamples: NotNegative
    costs: Switch
    shift: PositiveOrNull
    gallery: NotNegative
    explanation: Explanation
    output_dir: Folder
