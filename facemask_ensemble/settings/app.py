"""What `app` takes: who answers on the page, where it is, and what may be sent to it."""

from typing import Annotated

from pydantic import Field

from facemask_ensemble.settings.answering import EnsembleSettings, Heatmap, Runtime, Votes
from facemask_ensemble.settings.fields import Above0, Positive, Rule, Switch, Text, group


@group
class LimitSettings:
    """How large a file and an image that is sent may be, and how many may come at once."""

    megabytes: Above0
    megapixels: Above0
    images: Positive


@group
class AppSettings(EnsembleSettings):
    """The settings of the page, beside who answers; `conf/app.yaml` has their defaults.

    Attributes:
        heatmap: how heatmaps are made.
        runtime: what carries the networks out.
        votes: `decided` lets a majority ask members until the rest cannot change it.
        batch_size: images that a network answers at once.
        limits: of what is sent.
        host: address of this machine; 0.0.0.0 lets the whole network in.
        port: 0 for any that is free.
        open_browser: show the page at once.
        keep_minutes: how long what was sent stays on the disk.
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
