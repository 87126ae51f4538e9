"""What `app` takes: the ensemble, the address of the page and the limits of uploads."""

from typing import Annotated

from pydantic import Field

from facemask_ensemble.settings.answering import EnsembleSettings, Heatmap, Runtime, Votes
from facemask_ensemble.settings.fields import Above0, Positive, Rule, Switch, Text, group


@group
class LimitSettings:
    """The limits of an upload: size of a file, size of an image, number of images."""

    megabytes: Above0
    megapixels: Above0
    images: Positive


@group
class AppSettings(EnsembleSettings):
    """The settings of the page, apart from the ensemble; `conf/app.yaml` has their defaults.

    Attributes:
        heatmap: how heatmaps are made.
        runtime: of the networks.
        votes: `decided` asks members only until the majority is certain.
        batch_size: images per call of a network.
        limits: of uploads.
        host: address of this machine; 0.0.0.0 opens the page to the whole network.
        port: 0 for any free port.
        open_browser: open the page in a browser.
        keep_minutes: how long uploads stay on the disk.
    """

    heatmap: Heatmap
    runtime: Runtime
    votes: Votes
    batch_size: Positive
    limits: LimitSettings
    host: Text
    port: Annotated[
        int,
        Field(strict=True, ge=0, le=65535),
        Rule("a whole number from 0 to 65535; 0 takes any free port"),
    ]
    open_browser: Switch
    keep_minutes: Above0
