"""What each command takes: frozen, typed dataclasses, one module a command, shared groups in `groups`.

A command reads its config once, with `read`; below it nobody reads a config by a string key. This package imports
nothing of the others but the errors.
"""

from facemask_ensemble.settings.fields import Target
from facemask_ensemble.settings.reading import dump, read

__all__ = ["Target", "dump", "read"]
