"""Which classes mean that a face wears a mask, and what the faces of an image say together."""

from collections.abc import Sequence

from facemask_ensemble.errors import InputError

ALL, SOME, NONE, NO_FACE, UNDECIDED = "all", "some", "none", "no face", ""


def masked_classes(class_names: Sequence[str], masked: Sequence[str]) -> frozenset[str]:
    """Pick the classes that mean that a face wears a mask.

    Args:
        class_names: of the ensemble.
        masked: names that mean so, in capitals or not; those that the ensemble does not have are passed over.

    Raises:
        InputError: none or all of the classes are among them.
    """
    wanted = {str(name).casefold() for name in masked}
    found = frozenset(name for name in class_names if name.casefold() in wanted)
    if not found or len(found) == len(class_names):
        how_many = "every one" if found else "none"
        raise InputError(
            f"detector.masked=[{','.join(map(str, masked))}]: names {how_many} of the members' classes, "
            f"{', '.join(class_names)}; give detector.masked=[CLASS,…], the classes that mean a mask is worn"
        )
    return found


def scene(worn: Sequence[bool | None]) -> str:
    """Say whether all, some or none of the faces wear a mask.

    Args:
        worn: of every face; None where the vote gave no answer.

    Returns:
        `all`, `some`, `none`, `no face`, or "" where the answer hangs on faces without one.
    """
    if not worn:
        return NO_FACE
    if True in worn and False in worn:
        return SOME
    if None in worn:
        return UNDECIDED
    return ALL if worn[0] else NONE


def sentence(worn: Sequence[bool | None]) -> str:
    """Put the answer about an image's faces into words."""
    answer, count, masks = scene(worn), len(worn), sum(one is True for one in worn)
    if answer == NO_FACE:
        return "no face found"
    if count == 1:
        return {ALL: "wears a mask", NONE: "wears no mask", UNDECIDED: "undecided"}[answer]
    if answer == UNDECIDED:
        return f"undecided: {sum(one is None for one in worn)} of {count} faces without an answer"
    return {ALL: f"all {count} wear a mask", SOME: f"some: {masks} of {count} wear a mask"}.get(
        answer, f"none of {count} wears a mask"
    )
