"""Cues: properties that differ between images, apart from what they show."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

RARE = 5  # images; a value of fewer says nothing that could be learned
HEXADECIMAL = re.compile(r"(?<![0-9a-zA-Z])(?=[0-9-]*[a-f])(?=[a-f-]*\d)[0-9a-f-]{12,}(?![0-9a-zA-Z])")
BRIGHTNESS = ((50, "very dark"), (90, "dark"), (165, ""), (205, "bright"), (256, "very bright"))
TINT = 35  # levels of 255 by which a mean colour's channel must stand out from the weakest


@dataclass(frozen=True)
class Cue:
    """Something to guess a label by.

    `numbers` (n, d) is what a rule may compare, `values` (n,) what it may recognise, such as a name's pattern.
    """

    name: str
    numbers: np.ndarray
    values: np.ndarray | None = None


def cues(rows: pd.DataFrame, class_names: Sequence[str]) -> list[Cue]:
    """Give the cues of readable images: pixel size, file size, format, mean colour and name."""
    width, height = rows["width"].to_numpy(float), rows["height"].to_numpy(float)
    colour = rows[["red", "green", "blue"]].to_numpy(float)
    names = name_patterns(rows["path"], class_names)
    nothing = np.empty((len(rows), 0))
    return [
        Cue("size", np.column_stack([width, height, width / height])),
        Cue("bytes", np.column_stack([rows["size"].to_numpy(float), rows["size"] / (width * height)])),
        Cue("format", nothing, formats(rows)),
        Cue("colour", np.column_stack([colour, colour.mean(axis=1), np.ptp(colour, axis=1)])),
        Cue("name", running_numbers(rows["path"])[:, None], names),
    ]


def values(rows: pd.DataFrame, class_names: Sequence[str]) -> dict[str, np.ndarray]:
    """Name, by cue, the value of every image that might tell its class, such as its exact size."""
    return {
        "size": (rows["width"].astype(str) + "x" + rows["height"].astype(str)).to_numpy(str),
        "format": formats(rows),
        "name": name_patterns(rows["path"], class_names),
        "brightness": brightness(rows),
        "tint": tints(rows),
    }


def name_patterns(paths: pd.Series, class_names: Sequence[str]) -> np.ndarray:
    """Reduce every file's name to a pattern: # for a number, [class] for a class's name, [hash] for hexadecimal digits.

    Folders and ending do not count. A name that contains the class name is not a shortcut: it may be how the
    labels were stored.
    """
    spoken = sorted((name for name in class_names if len(name) > 2), key=len, reverse=True)
    written = ["[\\W_]*".join(map(re.escape, re.split(r"[\W_]+", name))) for name in spoken]
    classes = re.compile("|".join(written), re.IGNORECASE) if written else None
    return np.array([_pattern(_stem(path), classes) for path in paths], dtype=str)


def _pattern(stem: str, classes: re.Pattern[str] | None) -> str:
    without = classes.sub("[class]", stem) if classes else stem
    return re.sub(r"\d+", "#", HEXADECIMAL.sub("[hash]", without))


def _stem(path: str) -> str:
    return path.rpartition("/")[2].rpartition(".")[0]


def running_numbers(paths: pd.Series) -> np.ndarray:
    """Give the last number in every file's name, -1 where there is none."""
    found = (re.search(r"\d{1,15}(?=\D*$)", _stem(path)) for path in paths)
    return np.array([float(match.group()) if match else -1.0 for match in found])


def formats(rows: pd.DataFrame) -> np.ndarray:
    """Name how every file is stored: its format, its ending, and what is odd about it."""
    ending = rows["path"].str.extract(r"(\.[^./]+)$", expand=False).fillna("no ending")
    odd = rows["odd"].where(rows["odd"] == "", "; " + rows["odd"])
    return (rows["format"] + " " + ending + odd).to_numpy(str)


def brightness(rows: pd.DataFrame) -> np.ndarray:
    """Name the brightness of every image; "" for a middling one."""
    luma = rows[["red", "green", "blue"]].to_numpy(float) @ (0.299, 0.587, 0.114)
    limits = np.array([limit for limit, _ in BRIGHTNESS], dtype=float)
    names = np.array([name for _, name in BRIGHTNESS])
    return names[np.searchsorted(limits, luma, side="right").clip(max=len(names) - 1)]


def tints(rows: pd.DataFrame) -> np.ndarray:
    """Name the tint of every image's mean colour; "" where no channel stands out."""
    colour = rows[["red", "green", "blue"]].to_numpy(float)
    spread = np.ptp(colour, axis=1)
    high = colour > (colour.min(axis=1) + spread / 2)[:, None]
    names = np.array(["", "red", "green", "yellow", "blue", "magenta", "cyan", ""])[high @ (1, 2, 4)]
    tinted = np.where(spread >= TINT, np.char.add(names, " tint"), "")
    return np.where(spread < 0.5, "grey, without colour", tinted)
