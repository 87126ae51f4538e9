"""Describe the shortcuts, cues that beat chance, and say what to do about them."""

from collections.abc import Mapping
from typing import Any

CUES = {
    "size": "Image size",
    "bytes": "File size",
    "format": "File format",
    "colour": "Mean colour",
    "name": "File name",
}
OF_CUE = {"size": ("size",), "bytes": (), "format": ("format",), "colour": ("brightness", "tint"), "name": ("name",)}
SEES = {
    "size": "A network gets every image squeezed into one square: it never sees the size itself, but it sees how far "
    "the image was squeezed, how sharp it is, and that images of one series look alike.",
    "bytes": "A network never sees the file's size, but it sees what it depends on: compression, noise, sharpness "
    "and the amount of detail.",
    "format": "A network never sees the format, but it sees its traces: the blocks of JPEG, the smooth areas of PNG, "
    "the white background of transparent parts.",
    "colour": "A network sees this directly: brightness and tint are the first things it learns.",
    "name": "A network never sees a file name. But names that predict the class show that the "
    "classes come from different "
    "sources, and it sees how the sources differ.",
}
ADVICE = {
    "size": "If the images of one size are one series (one camera, one place, the same people), put them in one group, "
    "so that they stay in one split: dataset=table takes a column group, and a dataset whose source has "
    "series_sizes takes dataset.source.series_sizes=[[WIDTH,HEIGHT]]. If not, add images of the other classes at this "
    "size.",
    "bytes": "Save all images with one program at one quality, and test on images from another source.",
    "format": "Find out why one class is stored differently, and add images of the other classes from the same source.",
    "colour": "Check whether light or background differ by class; add images of every class under the same light, and "
    "test on images from another source.",
    "name": "Find out which source each name stands for; every source should have images of every class.",
}
NAMED = 3  # shortcut values in a finding's text


def suspicions(shortcuts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Put every cue that beats chance, or has a shortcut value, into a finding.

    A strong cue that a network can see is a `fix`; a clear cue, a name or a shortcut value is a `look`.
    """
    found = []
    for cue in shortcuts["cues"]:
        told = [value for value in shortcuts["shortcut_values"] if value["cue"] in OF_CUE[cue["name"]]]
        if cue["grade"] == "none" and not told:
            continue
        strong = cue["grade"] == "strong" and cue["name"] != "name"
        found.append(
            {
                "level": "fix" if strong else "look",
                "title": _title(cue, told),
                "text": " ".join([*_measured(cue), *_values(told)]),
                "advice": ADVICE[cue["name"]],
                "section": "shortcuts",
            }
        )
    return found


def _title(cue: Mapping[str, Any], told: list[dict[str, Any]]) -> str:
    if cue["grade"] == "none":
        return f"Images of {told[0]['value']} have an unusual mix of classes"
    return f"{CUES[cue['name']]} {'predicts' if cue['grade'] == 'strong' else 'hints at'} the class"


def _measured(cue: Mapping[str, Any]) -> list[str]:
    if cue["balanced_accuracy"] is None or cue["grade"] == "none":
        return []
    reached, chance = 100 * cue["balanced_accuracy"], 100 * cue["chance"]
    return [f"From this alone, the class is guessed with {reached:.1f} % balanced accuracy; chance is {chance:.1f} %."]


def _values(told: list[dict[str, Any]]) -> list[str]:
    named = [
        f"{value['value']}: {value['images']} images, {mix(value['counts'])}"
        + (" (already one group: they stay in one split)" if value["kept_together"] else "")
        for value in told[:NAMED]
    ]
    more = f"; and {len(told) - NAMED} more" if len(told) > NAMED else ""
    return [f"Strongest: {'; '.join(named)}{more}."] if named else []


def mix(counts: Mapping[str, int], most: int = 4) -> str:
    """Write the images of every class, the commonest first."""
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    told = [f"{count} {name}" for name, count in ordered[:most]]
    rest = sum(count for _, count in ordered[most:])
    return ", ".join([*told, f"{rest} of other classes"] if len(ordered) > most else told)
