"""What `upload` takes: a finished training that could not be logged to MLflow."""

from typing import Annotated

from facemask_ensemble.settings.fields import Folder, Rule, group


@group
class UploadSettings:
    """The settings of an upload: the `folder` of the training, as the training printed it when it ended."""

    folder: Annotated[Folder, Rule("the folder that the training printed")]
