"""The verdict: what to fix before a training, the most serious first."""

from collections.abc import Mapping
from typing import Any

from facemask_ensemble.auditing.files import CONTRADICTION, LEAK
from facemask_ensemble.auditing.shortcut_findings import suspicions

LEVELS = ("stop", "fix", "look", "note")
FEW = 50  # images of a class, below which little can be learned or judged
UNEVEN, VERY_UNEVEN = 3, 10  # times the smallest class
SURE = 6  # bits up to which near copies have hardly ever turned out to be strangers
LOST = 0.02  # of the labelled files; more that are left out should be looked into
Findings = list[dict[str, Any]]


def findings(report: Mapping[str, Any]) -> Findings:
    """List what was found as `level`, `title`, `text`, `advice` and `section`, the most serious first.

    Levels: `stop` (training cannot start), `fix` (the model or its score would be wrong), `look` (they may be wrong),
    `note` (already handled, or minor).
    """
    found = [
        *_refusal(report),
        *_conflicts(report["copies"]["conflicts"]),
        *suspicions(report["shortcuts"]),
        *_given_leaks(report["copies"]["given_split"]),
        *_classes(report["balance"]),
        *_left_out(report),
        *_random_leaks(report["copies"]),
        *_odd(report["files"]),
        *_shapes(report["sizes"]),
    ]
    return sorted(found, key=lambda one: LEVELS.index(one["level"]))


def sentence(found: Findings) -> str:
    """Say in one sentence whether the dataset is ready for training."""
    count = {level: sum(one["level"] == level for one in found) for level in LEVELS}
    if count["stop"]:
        return "No model can be trained on this dataset yet."
    if count["fix"]:
        return f"Fix {_many(count['fix'], 'thing')} before you trust a model trained on this dataset."
    if count["look"]:
        return f"Ready to train; look at {_many(count['look'], 'thing')} first."
    return "Ready to train."


def _many(count: int, thing: str) -> str:
    return f"one {thing}" if count == 1 else f"{count:,} {thing}s"


def _finding(level: str, section: str, title: str, text: str, advice: str) -> dict[str, Any]:
    return {
        "level": level,
        "section": section,
        "title": title,
        "text": text[:1].upper() + text[1:],
        "advice": advice,
    }


def _refusal(report: Mapping[str, Any]) -> Findings:
    if not report["refusal"]:
        return []
    text = f"Training stops with this error: {report['refusal']}."
    return [_finding("stop", "balance", "Training cannot start", text, "Fix this, then audit again.")]


def _conflicts(pairs: list[dict[str, Any]]) -> Findings:
    exact, near = ([pair for pair in pairs if pair["exact"] is kind] for kind in (True, False))
    found = []
    if exact:
        text = f"{_many(len({path for pair in exact for path in pair['paths']}), 'file')} are in more "
        text += "than one class, bit for bit the same. They are left out of training and testing."
        advice = "Decide which class each image belongs to, and remove it from the other."
        found.append(_finding("fix", "copies", "The same image has two labels", text, advice))
    if near:
        text = f"{_many(len(near), 'pair')} of near copies with different labels. They are kept. Look at each pair: "
        text += "two different images can look the same."
        advice = "Correct the wrong labels: such pairs teach the model a contradiction."
        level = "fix" if near[0]["bits"] <= SURE else "look"
        found.append(_finding(level, "copies", "Near copies have different labels", text, advice))
    return found


def _given_leaks(given: Mapping[str, Any] | None) -> Findings:
    if not given or not given["leaking"]:
        return []
    parts = [f"{part['leaking']} of {part['held_out']} {name} images" for name, part in given["parts"].items()]
    text = f"{' and '.join(parts)} have a copy in the given training split. Scores on them partly measure memory. "
    text += "Here the copies in the training split are left out."
    advice = "Published scores on this split are too high: do not compare them with scores measured here."
    return [_finding("look", "copies", "The given split leaks", text, advice)]


def _classes(balance: Mapping[str, Any]) -> Findings:
    counts, found = balance["counts"], []
    few = [f"{name} ({count})" for name, count in counts.items() if count < FEW]
    if few:
        text = f"Fewer than {FEW} images: {', '.join(few[:8])}{' and more' if len(few) > 8 else ''}."
        advice = "Add images: a score on a handful of them says little."
        found.append(_finding("look", "balance", "A class has few images", text, advice))
    ratio = balance["ratio"] or 0
    if ratio >= UNEVEN:
        text = (
            f"The largest class has {ratio:.1f} times the images of the smallest. Always answering the largest class "
        )
        text += f"scores {100 * balance['largest']:.1f} %."
        advice = "Quote balanced accuracy or macro F1 beside accuracy, or add images of the smaller classes."
        found.append(
            _finding("look" if ratio >= VERY_UNEVEN else "note", "balance", "Classes are uneven", text, advice)
        )
    return found


def _left_out(report: Mapping[str, Any]) -> Findings:
    kinds = report["files"]["left_out"]
    total = sum(kind["files"] for kind in kinds)
    if not total:
        return []
    text = _many(total, "file") + " left out: " + _kinds(kinds)
    lost = sum(kind["files"] for kind in kinds if kind["finding"] not in (CONTRADICTION, LEAK))  # which stand above
    level = "look" if lost > LOST * report["images"]["labelled"] else "note"
    advice = "Each file is listed below and in quarantine.csv. Your files are not changed."
    return [_finding(level, "files", "Some files are left out", text, advice)]


def _random_leaks(copies: Mapping[str, Any]) -> Findings:
    share = copies["random_split"]
    if not share or not copies["groups"]:
        return []
    text = f"{_many(copies['images'], 'image')} in {_many(copies['groups'], 'group')} are copies of each other. "
    text += f"With a random split, {100 * share:.1f} % of the held-out images would have a copy in the training split. "
    text += "Here every group stays in one split."
    advice = "Split by these groups wherever else you use this dataset."
    return [_finding("note", "copies", "A random split would leak", text, advice)]


def _odd(files: Mapping[str, Any]) -> Findings:
    if not files["odd"]:
        return []
    text = _many(files["odd_files"], "file") + ": " + _kinds(files["odd"])
    return [_finding("note", "files", "Some files are unusual, but readable", text, "Nothing to do.")]


def _shapes(sizes: Mapping[str, Any]) -> Findings:
    tiny, long = len(sizes["tiny"]), len(sizes["elongated"])
    parts = [f"{_many(tiny, 'image')} under 32 px"] * bool(tiny)
    parts += [f"{_many(long, 'image')} at least three times as long as wide"] * bool(long)
    if not parts:
        return []
    advice = "Check below whether they show their class; remove those that do not."
    return [_finding("note", "sizes", "Some images are tiny or elongated", f"{' and '.join(parts)}.", advice)]


def _kinds(kinds: list[dict[str, Any]]) -> str:
    told = [f"{kind['files']} × {kind['finding']}" for kind in kinds[:4]]
    return "; ".join(told) + ("; and others." if len(kinds) > 4 else ".")
