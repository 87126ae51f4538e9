"""What the settings of a runtime may be."""

from collections.abc import Mapping
from typing import Any


def check_runtime(runtime: Mapping[str, Any]) -> None:
    """Refuse settings of a `runtime` group that there are not, or that this machine cannot follow.

    Raises:
        InputError: naming the key, the value and the rule.
    """
    if runtime["name"] == "openvino":
        from facemask_ensemble.prediction.runtimes.openvino import check

        check(runtime["precision"], runtime["differ"])
