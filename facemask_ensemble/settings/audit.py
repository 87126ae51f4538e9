"""What `audit` takes: a dataset to look at."""

from facemask_ensemble.settings.fields import Folder, group
from facemask_ensemble.settings.groups import Dataset, Tracking


@group
class AuditSettings:
    """The settings of an audit; `conf/audit.yaml` has their defaults.

    Attributes:
        dataset: that is examined.
        tracking: where the audit is logged.
        output_dir: its page goes into a folder of it.
    """

    dataset: Dataset
    tracking: Tracking
    output_dir: Folder
