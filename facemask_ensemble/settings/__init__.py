"""What each command takes: frozen, typed dataclasses, one module a command, shared groups in `groups`.

A command reads its config once, with `read`; code below it does not read a config by string keys. This package
imports only the errors from the rest.
"""

from facemask_ensemble.settings.fields import Target
from facemask_ensemble.settings.reading import dump, read

__all__ = ["Target", "dump", "read"]
