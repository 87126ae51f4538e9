"""OpenCV without a word of its own on the terminal."""

import os
from types import ModuleType

from facemask_ensemble.errors import InputError


def import_opencv(wanted: str) -> ModuleType:
    """Import OpenCV; what its video libraries would print is said by errors instead.

    Args:
        wanted: what needs it, as an error names it.

    Raises:
        InputError: it is not installed.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # read when a video is opened first
    try:
        import cv2
    except ImportError as error:
        raise InputError(f'{wanted} needs the extra: pip install "facemask-ensemble[webcam]" ({error})') from None
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    module: ModuleType = cv2
    return module
