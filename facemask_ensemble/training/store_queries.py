"""Ask the tracking store before a training starts, in a separate process, because MLflow needs much memory."""

from pathlib import Path

from facemask_ensemble.errors import InputError


def refuse_dead_store(uri: str, output_dir: Path) -> None:
    """Refuse a store that does not answer.

    Raises:
        InputError: naming its address.
    """
    from facemask_ensemble import tracking

    tracking.open_store(uri, output_dir)


def newest_member(uri: str | None, output_dir: Path, study: str, name: str) -> str:
    """Name the run that `members:/STUDY` stands for now; a later training may change it.

    Raises:
        InputError: the study has no finished member of that backbone.
    """
    from facemask_ensemble import tracking

    members = tracking.finished_members(tracking.open_store(uri, output_dir), study=study)
    for member in members:
        if member.name == name:
            return f"runs:/{member.run_id}"
    known = ", ".join(member.name for member in members) or "none"
    raise InputError(
        f"backbone.weights=members:/{study}: that study has no finished {name} (it has {known}); train it first: "
        f"study={study} backbone={name}"
    )


def has_run(uri: str | None, output_dir: Path, run_id: str) -> bool:
    """Tell whether the store still holds a run."""
    from facemask_ensemble import tracking

    return tracking.has_run(tracking.open_store(uri, output_dir), run_id)
