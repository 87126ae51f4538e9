"""What the settings of a runtime may be."""

from facemask_ensemble.settings.answering import Runtime


def check_runtime(runtime: Runtime) -> None:
    """Refuse settings of a runtime that do not exist or that this machine does not support.

    Raises:
        InputError: naming the key, the value and the rule.
    """
    if runtime.name == "openvino" and runtime.precision is not None:
        from facemask_ensemble.prediction.runtimes.openvino import check

        check(runtime.precision, runtime.differ)
