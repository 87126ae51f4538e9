"""An ensemble that was shipped, as a choice that can be loaded."""

from dataclasses import replace
from pathlib import Path

from facemask_ensemble.ensemble.sources import Source
from facemask_ensemble.errors import InputError
from facemask_ensemble.models.initialization import summed_up
from facemask_ensemble.packaging.package import HERE, REGISTERED, Package, package_folder, read_package
from facemask_ensemble.prediction.choice import Choice
from facemask_ensemble.settings.task import GENERIC


def shipped_choice(ensemble: str, uri: str | None = None, output_dir: Path = HERE) -> Choice:
    """Choose a shipped ensemble.

    Args:
        ensemble: as `package_folder` takes it.
        uri: of the store.
        output_dir: of the embedded store.

    Raises:
        InputError: there is no such ensemble, or its package cannot be read.
    """
    choice = choice_of(read_package(package_folder(ensemble, uri, output_dir)))
    if not ensemble.startswith(REGISTERED):
        return choice
    return replace(choice, sources=_with_images(choice, uri, output_dir))


def choice_of(package: Package) -> Choice:
    """Make a package a choice that can be loaded."""
    members = package.about["members"]
    names = [member["name"] for member in members]
    starts = summed_up(member["init"] for member in members if member.get("init"))
    what = f"{len(names)} member{'s' if len(names) != 1 else ''} trained on {package.about['name']}"
    return Choice(
        list(package.about["class_names"]),
        [Source(name, file) for name, file in zip(names, package.files, strict=True)],
        package.vote,
        [member["price"] for member in members],
        package.about["name"],
        {"ensemble": package.about},
        f"{what}{f' ({starts})' if starts else ''}, {package.about['rule']} vote as shipped: {', '.join(names)}",
        package.about.get("task", GENERIC),
    )


def _with_images(choice: Choice, uri: str | None, output_dir: Path) -> list[Source]:
    """Give members the images that a conversion of theirs is accepted by, where their runs are still in the store."""
    from facemask_ensemble import tracking
    from facemask_ensemble.ensemble.members import training_images, validation_answers

    store = tracking.open_store(uri, output_dir)
    run_ids = [member["run_id"] for member in choice.about["ensemble"]["members"]]
    try:
        found = tracking.finished_members(store, run_ids=run_ids)
    except InputError:
        return list(choice.sources)
    cache = output_dir / "data" / "artifacts"
    images = [(validation_answers(store, member, cache), training_images(store, member, cache)) for member in found]
    return [Source(known.name, known.file, *own) for known, own in zip(choice.sources, images, strict=True)]
