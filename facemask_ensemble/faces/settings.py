"""What the settings of face by face answers may be."""

from pathlib import Path

from omegaconf import DictConfig, ListConfig

from facemask_ensemble.checks import refuse_other_rule
from facemask_ensemble.errors import InputError

VIDEOS = (".mp4", ".avi")
LEAST_SEARCHED = 64  # pixels


def check_detector(cfg: DictConfig) -> None:
    """Refuse settings by which no face can be found or answered."""
    detector = cfg.detector
    if detector.find is None:
        return
    if "heatmap" in cfg and cfg.heatmap.method is not None:
        raise InputError(
            f"heatmap={cfg.heatmap.name}: heatmaps are of whole images; give heatmap=none, or detector=none"
        )
    if "engine" in cfg and cfg.engine.name != "local":
        raise InputError(
            f"engine={cfg.engine.name}: faces are found in one process; give engine=local, or detector=none"
        )
    _check_margin(detector.margin)
    if detector.longest is not None:
        what = f"a whole number of pixels of at least {LEAST_SEARCHED}, or null"
        _number(detector.longest, "detector.longest", what, LEAST_SEARCHED, whole=True)
    if not isinstance(detector.masked, ListConfig) or not detector.masked:
        raise InputError(f"detector.masked={detector.masked}: must be a list of classes; give detector.masked=[mask]")


def _check_margin(margin: object) -> None:
    sides = list(margin) if isinstance(margin, ListConfig) else [margin] * 4
    right = [isinstance(side, int | float) and not isinstance(side, bool) and 0 <= side <= 10 for side in sides]
    if len(sides) != 4 or not all(right):
        raise InputError(
            f"detector.margin={margin}: must be a share of a box from 0 to 10, such as 0.2, "
            "or four: [left,top,right,bottom]"
        )


def check_webcam(cfg: DictConfig) -> None:
    """Refuse a source that is not there, or an output that cannot be written.

    Raises:
        InputError: naming the key, the value and the rule.
    """
    if cfg.detector.find is None:
        raise InputError("detector=none: a video's faces have to be found; give detector=haar or detector=mtcnn")
    check_detector(cfg)
    _number(cfg.batch_size, "batch_size", "a whole number of at least 1", 1, whole=True)
    refuse_other_rule(cfg)
    if cfg.votes not in ("decided", "all"):
        raise InputError(f"votes={cfg.votes}: must be one of decided, all")
    if cfg.window not in (None, True, False) or not isinstance(cfg.again, bool):
        raise InputError(f"window={cfg.window}, again={cfg.again}: must be true or false, window also null")
    if cfg.codec is not None and len(str(cfg.codec)) != 4:
        raise InputError(f"codec={cfg.codec}: must be four letters, such as mp4v or MJPG")
    source = video_source(cfg.source)
    if isinstance(source, Path) and not source.is_file():
        raise InputError(f"source={cfg.source}: no such file; give a video file, or a camera's number, such as 0")
    if cfg.output is None:
        if cfg.window is False:
            raise InputError("window=false: nothing would be seen; give output=FILE.mp4")
        return
    output = Path(str(cfg.output)).expanduser()
    if output.suffix.lower() not in VIDEOS:
        raise InputError(f"output={cfg.output}: must be a file whose name ends in {' or '.join(VIDEOS)}")
    if isinstance(source, Path) and output.resolve() == source.resolve():
        raise InputError(f"output={cfg.output}: is the source itself; give another file")
    there = next((file for file in (output, output.with_suffix(".csv")) if file.exists()), None)
    if there and not cfg.again:
        raise InputError(f"output={cfg.output}: {there.name} is there already; give another output, or again=true")


def video_source(given: object) -> int | Path:
    """Tell a camera's number from a file."""
    text = str(given)
    return int(text) if text.isdecimal() else Path(text).expanduser()


def _number(
    value: object, key: str, rule: str, lowest: float, highest: float = float("inf"), *, whole: bool = False
) -> None:
    kinds = int if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not lowest <= value <= highest:
        raise InputError(f"{key}={value}: must be {rule}")
