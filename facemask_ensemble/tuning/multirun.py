"""Refuse --multirun: a search is not a sweep."""

import sys
from typing import Any

from hydra.experimental.callback import Callback


class Refusal(Callback):
    """Hydra's callback around a --multirun; it refuses the command."""

    def on_multirun_start(self, **_: Any) -> None:  # type: ignore[override]
        """End the command as bad input does."""
        print(
            "error: --multirun: tune starts its trials itself; leave --multirun out; jobs=2 runs two trials at a time",
            file=sys.stderr,
        )
        raise SystemExit(2)
