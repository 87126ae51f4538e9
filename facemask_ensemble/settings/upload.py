"""What `upload` takes: a finished training that MLflow could not be told of."""

from typing import Annotated

from facemask_ensemble.settings.fields import Folder, Rule, group


@group
class UploadSettings:
    """The settings of an upload: the `folder` of the training, as it named it when it ended."""

    folder: Annotated[Folder, Rule("the folder that the training printed")]
