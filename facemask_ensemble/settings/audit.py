"""What `audit` takes: a dataset to check."""

from facemask_ensemble.settings.fields import Folder, group
from facemask_ensemble.settings.groups import Dataset, Tracking
from facemask_ensemble.settings.task import Task


@group
class AuditSettings:
    """The settings of an audit; `conf/audit.yaml` has their defaults.

    Attributes:
        task: what the classes are about.
        dataset: that is checked.
        tracking: where the audit is logged.
        output_dir: its page goes into a folder of it.
    """

    task: Task
    dataset: Dataset
    tracking: Tracking
    output_dir: Folder
