"""What MLflow's model of an ensemble takes as its `model_config`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from facemask_ensemble.errors import InputError
from facemask_ensemble.settings.fields import From0, Positive, Rule, Text, group


@group
class ServeSettings:
    """The settings of an ensemble that is served.

    Attributes:
        runtime: a choice of `conf/runtime` by its name, or by its `name` and others of its values.
        root: the folder below which paths are opened; null opens none.
        batch_size: images per call of a network.
        megabytes: of a file, at most.
        megapixels: of an image, at most.
    """

    runtime: Annotated[Text | Mapping[str, Any], Rule("a name, or a name with values")] = "keras"
    root: Text | None = None
    batch_size: Positive = 32
    megabytes: From0 = 20.0
    megapixels: From0 = 40.0

    @property
    def folder(self) -> Path | None:
        """Give the folder of the images, which has to be there."""
        if self.root is None:
            return None
        folder = Path(self.root).expanduser()
        if not folder.is_dir():
            raise InputError(f"root={folder}: no such folder; give the one that holds the images, or null")
        return folder
