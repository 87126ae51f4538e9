"""Switch off OpenVINO's telemetry."""

import sys


def stop_telemetry() -> None:
    """Stop OpenVINO and NNCF from reporting each conversion over the network, which is their default.

    Where there is no network they would wait for it besides, ten seconds at a program's end. To be called before
    OpenVINO converts for the first time; with the package that reports out of reach, both do without it.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # an import of it fails now
