"""The verdict on heatmap methods: a rule over the measurements, and the reasons against a method in words."""

from collections.abc import Mapping, Sequence
from typing import Any

from facemask_ensemble.explanation.faithfulness import FEWEST
from facemask_ensemble.rounding import SINGLE

STABLE = 0.5  # least mean rank correlation of the maps of shifted images
NONE = "none"
TRUSTED, QUALIFIES, EXCLUDED = "trusted", "qualifies", "excluded"
PHRASES = {
    "deletion": "deletion: the answer does not fall significantly faster than with",
    "insertion": "insertion: the answer does not rise significantly faster than with",
}
Found = Mapping[str, Any]


def judge(
    faithfulness: Found, randomised: Found, stable: Found, silent: Found | None = None, *, least_stable: float = STABLE
) -> dict[str, Any]:
    """Name the method to trust for one member.

    A method qualifies if it passes the randomisation check; if on one curve, deletion or insertion, it is better than
    every control, each by a paired difference whose interval excludes 0; and if its maps follow small shifts. Of those
    that qualify, the one with the largest insertion less deletion is trusted.

    Args:
        faithfulness: of `summarise`.
        randomised: of `randomisation`.
        stable: of `stability`.
        silent: by method, how many images have no map by reason.
        least_stable: rank correlation that the maps of shifted images must have.

    Returns:
        `trusted` (a name, or `none`), `rule` (in words), and `methods`: by name `verdict` (`trusted`, `qualifies` or
        `excluded`), `reasons` (all that speak against it, in words; empty for the trusted one), `images` (with a
        map), the means `deletion`, `insertion` and `insertion_less_deletion`, `beats_controls` (the curves on which it
        is better than every control), `similarity_randomised`, `similarity_shifted`; None what is not known.
    """
    methods = {
        name: _measured(entry, randomised[name], stable[name])
        | {"reasons": _objections(entry, randomised[name], stable[name], (silent or {}).get(name, {}), least_stable)}
        for name, entry in faithfulness["methods"].items()
    }
    scores = {name: row["insertion_less_deletion"] for name, row in methods.items() if not row["reasons"]}
    trusted = max(scores, key=lambda name: scores[name], default=NONE)
    for name, row in methods.items():
        row["verdict"] = EXCLUDED if row["reasons"] else TRUSTED if name == trusted else QUALIFIES
        if row["verdict"] == QUALIFIES:
            row["reasons"] = [
                f"{trusted} has the larger insertion minus deletion: {scores[trusted]:.3f} against {scores[name]:.3f}"
            ]
    bound = max(entry["bound"] for entry in randomised.values())
    return {"trusted": trusted, "rule": _rule(list(faithfulness["controls"]), bound, least_stable), "methods": methods}


def _measured(entry: Found, randomised: Found, stable: Found) -> dict[str, Any]:
    return {
        "images": entry["images"],
        **{measure: entry[measure]["mean"] for measure in ("deletion", "insertion", "insertion_less_deletion")},
        "beats_controls": [kind for kind in PHRASES if not _unbeaten(entry, kind)],
        "similarity_randomised": randomised["similarity"],
        "similarity_shifted": stable["rank_correlation"],
    }


def _objections(entry: Found, randomised: Found, stable: Found, silent: Found, least_stable: float) -> list[str]:
    if not entry["images"]:
        return [f"no image has a map ({'; '.join(silent)})" if silent else "no image has a map"]
    return [
        *_against_randomised(randomised),
        *_against_faithful(entry),
        *_against_stable(stable, least_stable),
    ]


def _against_randomised(found: Found) -> list[str]:
    if found["passes"]:
        return []
    return [
        "its maps do not depend on what the member learned: they stay similar when all weights are re-initialised "
        f"(mean rank correlation {found['similarity']:.2f}, allowed: at most {found['bound']:.2f})"
    ]


def _against_faithful(entry: Found) -> list[str]:
    if entry["images"] < FEWEST:
        return [f"{entry['images']} images with a map are too few to compare it with the controls: {FEWEST} needed"]
    unbeaten = {kind: _unbeaten(entry, kind) for kind in PHRASES}
    if not all(unbeaten.values()):
        return []
    return [", ".join(f"{PHRASES[kind]} {_listed(entry, kind, controls)}" for kind, controls in unbeaten.items())]


def _against_stable(found: Found, least: float) -> list[str]:
    if found["rank_correlation"] is None:
        return ["its stability is unknown: the answer changed for every shifted image"]
    if found["rank_correlation"] >= least:
        return []
    rows, columns = found["shift"]
    return [
        f"its maps do not follow the image when it is shifted by {rows if rows == columns else f'{rows}x{columns}'}"
        f" pixels (mean rank correlation {found['rank_correlation']:.2f}, needed: at least {least:.2f})"
    ]


def _unbeaten(entry: Found, kind: str) -> list[str]:
    """Name the controls that a method is not significantly better than; a better deletion is a smaller one."""
    return [name for name, found in entry["against"].items() if not _significantly_better(found[kind], kind)]


def _significantly_better(difference: Found, kind: str) -> bool:
    if difference["low"] is None:
        return False
    return bool(difference["high"] < -SINGLE if kind == "deletion" else difference["low"] > SINGLE)


def _listed(entry: Found, kind: str, controls: Sequence[str]) -> str:
    shown = []
    for name in controls:
        mean, low, high = (entry["against"][name][kind][key] for key in ("mean", "low", "high"))
        seen = "too few images" if low is None else f"{mean:+.3f}, interval {low:+.3f} to {high:+.3f}"
        shown.append(f"the {name} maps ({seen})")
    return " and ".join(shown)


def _rule(controls: Sequence[str], bound: float, least_stable: float) -> str:
    return (
        f"A method qualifies for a member if it passes three tests. Its maps change when all weights are "
        f"re-initialised (mean rank correlation at most {bound:.2f}). On one curve, deletion or insertion, it is "
        f"better than the {' and the '.join(controls)} maps (the 95 % interval of the paired difference excludes 0). "
        f"Its maps follow a small shift of the image (mean rank correlation at least {least_stable:.2f}). Of the "
        "methods that qualify, the one with the largest insertion minus deletion is trusted."
    )
