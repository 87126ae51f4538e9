"""What `ship` takes: the report whose ensemble is registered, and the accepted loss against the champion."""

from typing import Annotated

from facemask_ensemble.settings.fields import Folder, Rule, ShareFrom0, Switch, Text, group
from facemask_ensemble.settings.groups import Tracking


@group
class ShipSettings:
    """The settings of a shipment; `conf/ship.yaml` has their defaults.

    Attributes:
        tracking: where the report is and the model is registered.
        study: its newest report; null for the newest of any study.
        report: MLflow run id of a report, instead of the newest.
        name: of the registered model; null for one made from the name of the dataset.
        margin: accuracy that it may lose against the champion.
        champion: make it the champion, if it is not worse.
        output_dir: holds the embedded store.
    """

    tracking: Tracking
    study: Text | None
    report: Text | None
    name: Text | None
    margin: Annotated[ShareFrom0, Rule("a share from 0 to below 1, such as 0.02 for two points of accuracy")]
    champion: Switch
    output_dir: Folder
