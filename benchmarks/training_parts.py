"""The parts of the bench of training: each measures one promise beside its alternative."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.harness import Row
from benchmarks.process_watch import MEMBER, WAITING, WORKER, Watched
from benchmarks.training_workspace import Place
from facemask_ensemble.models.throughput import NotMeasured, Workload, measure
from facemask_ensemble.settings.train import TrainSettings
from facemask_ensemble.training.run_files import FILES, PROBABILITIES

SEVEN = (
    "inceptionresnetv2", "densenet201", "efficientnetv2s", "efficientnetb3", "inceptionv3", "xception", "resnet50v2",
)  # fmt: skip
ONE = ("resnet50v2",)
PARENT = 250.0  # MB
USUAL = {"efficientnetb3": 300, "efficientnetv2s": 384, "densenet201": 224, "resnet50v2": 224}  # pixels; else 299
USUAL_ELSE = 299
POLICIES = ("float32", "mixed_float16")
PASSES = 3  # of a training step, counted in ways forward: the way back is about two


@dataclass
class Settings:
    """What to measure, and on how much; None for a part's own.

    Attributes:
        parts: in their order.
        backbones: of the parts.
        image_size: side of the square input, in pixels.
        images: of training.
        batch_size: images a step.
        epochs: of `bare` and `reference`; the first is not counted, since it traces the network.
        rounds: of `bare`, ours and the other in turn.
        peaks: TFLOP/s of the card in float32 and with mixed_float16, by its maker, for `gpu` to give the share.
    """

    parts: list[str] = field(default_factory=lambda: ["bare", "reference", "frozen", "first", "sweep", "memory"])
    backbones: list[str] | None = None
    image_size: int | None = None
    images: int | None = None
    batch_size: int = 32
    epochs: int = 3
    rounds: int = 2
    peaks: list[float] | None = None


def bare(asked: Settings, folder: Path) -> Iterator[Row]:
    """Everything on beside a bare Keras fit of the same network on the same images, held in memory."""
    size, images = asked.image_size or 96, asked.images or 320
    place = Place.prepare(folder, images, *_shape(asked, size), f"schedule.epochs={asked.epochs}")
    for name in asked.backbones or ONE:
        file = place.arrays(f"backbone={name}")
        ours, others = list[float](), list[float]()
        for _ in range(asked.rounds):
            ours.append(images / place.train(f"backbone={name}").seconds_per_epoch)
            others.append(images / place.other("bare", file, asked.epochs, f"backbone={name}").seconds_per_epoch)
        about = f"{name}, {size} px, epochs of {images} images"
        yield Row(f"{about}: bare Keras fit", _spread(others))
        yield Row(f"{about}: train, everything on", _spread(ours))
        yield Row.at_least("of that, train / bare fit", max(ours) / max(others), 0.95)


def _spread(speeds: list[float]) -> str:
    return f"{max(speeds):.1f} images/s (slowest round {min(speeds):.1f})"


def reference(asked: Settings, folder: Path) -> Iterator[Row]:
    """All seven at the measured precision beside float32 and the legacy generator, which decodes every epoch."""
    size, images = asked.image_size or 96, asked.images or 512
    place = Place.prepare(folder, images, *_shape(asked, size), f"schedule.epochs={asked.epochs}")
    ours = others = 0.0
    for name in asked.backbones or SEVEN:
        mine = place.train(f"backbone={name}", "precision=auto").seconds_per_epoch
        theirs = place.other("reference", place.images, asked.epochs, f"backbone={name}").seconds_per_epoch
        ours, others = ours + mine, others + theirs
        speeds = f"{images / mine:.1f} and {images / theirs:.1f} images/s, {theirs / mine:.2f} times"
        yield Row(f"{name}, {size} px: train{_precision(place.folder, name)} and the reference's way", speeds)
    yield Row.at_least(f"all of them, {ours:.1f} s and {others:.1f} s an epoch: times as fast", others / ours, 1.3)


def _precision(folder: Path, name: str) -> str:
    """Give the precision that was measured as the fastest, if one was measured."""
    chosen = [json.loads(file.read_text())["policy"] for file in folder.glob(f"outputs/precision/{name}-*.json")]
    return "".join(f" ({policy})" for policy in chosen)


def frozen(asked: Settings, folder: Path) -> Iterator[Row]:
    """Ten epochs of a frozen phase on two augmented copies beside one epoch on one copy."""
    size, images = asked.image_size or 96, asked.images or 320
    place = Place.prepare(folder, images, *_shape(asked, size))
    for name in asked.backbones or ONE:
        file, backbone = place.arrays(f"backbone={name}"), f"backbone={name}"
        start = place.folder / f"{name}.keras"
        place.other("member", start, 0, backbone)
        phase = (backbone, f"backbone.weights={start}", "schedule=frozen", "schedule.patience=null")
        one = _since_features(place, *phase, "schedule.epochs=1", "schedule.copies=1")
        ten = _since_features(place, *phase, "schedule.epochs=10", "schedule.copies=2")
        without = place.other("frozen", file, 2, backbone).seconds_per_epoch
        about = f"{name}, {size} px, {images} images"
        yield Row(f"{about}: an epoch of a bare fit with a frozen backbone", f"{without:.1f} s")
        yield Row(f"{about}: a frozen phase of one epoch, one copy", f"{one:.1f} s")
        yield Row(f"{about}: a frozen phase of ten epochs, two copies", f"{ten:.1f} s")
        yield Row.at_most("of that, ten epochs / one", ten / one, 2.5)


def _since_features(place: Place, *phase: str) -> float:
    """Train a frozen phase; give the seconds from the start of computing features to the last epoch's line."""
    known = set(_notes(place))
    seen = place.train(*phase)
    (note,) = set(_notes(place)) - known
    return seen.epochs[-1] - note.stat().st_mtime  # it is written when the network stands, just before the features


def _notes(place: Place) -> list[Path]:
    return list(place.folder.glob("outputs/runs/*/*/run.json"))


def sweep(asked: Settings, folder: Path) -> Iterator[Row]:
    """Seven short trainings by two workers beside one after another."""
    images, names = asked.images or 100, asked.backbones or SEVEN
    size = asked.image_size or "${backbone.smallest_side}"
    place = Place.prepare(folder, images, *_shape(asked, size), "schedule.epochs=1")
    place.train("backbone=deep_cnn")  # makes MLflow's store; reads the program's files once
    chosen = f"backbone={','.join(names)}"
    alone = place.sweep(chosen).seconds
    both = place.sweep(chosen, *_by_joblib()).seconds
    yield Row(f"{len(names)} trainings of one epoch of {images} images, one after another", f"{alone:.0f} s")
    yield Row("the same, two workers", f"{both:.0f} s")
    yield Row.at_most("of that, two workers / one after another", both / alone, 0.65)


def first(asked: Settings, folder: Path) -> Iterator[Row]:
    """From a member's start to the end of its first validation and prediction, beside Keras's Adam and graphs."""
    images, size = asked.images or 96, asked.image_size or "'${largest:64,${backbone.smallest_side}}'"
    place = Place.prepare(folder, images, f"image_size={size}", "batch_size=16", "schedule.epochs=1")
    place.train("backbone=deep_cnn")  # makes MLflow's store; reads the program's files once
    sums = dict.fromkeys(("first_by_keras", "first"), 0.0)
    for name in asked.backbones or SEVEN:
        place.arrays(f"backbone={name}")  # reads the images in its size
        seconds = {way: _until_predicted(place, way, name) for way in sums}
        sums = {way: sums[way] + seconds[way] for way in sums}
        before, after = seconds.values()
        figure = f"{before:.1f} s and {after:.1f} s, {after / before:.2f}"
        yield Row(f"{name}: to the first prediction, with Keras's Adam and graphs, and with ours", figure)
    before, after = sums.values()
    yield Row.at_most(f"all of them, {before:.0f} s and {after:.0f} s: ours / Keras's", after / before, 0.6)


def _until_predicted(place: Place, way: str, name: str) -> float:
    """Train a member for an epoch; give the seconds from the start of its process to the file of its probabilities."""
    member = place.folder / f"{way}-{name}"
    place.other("folder", member, 0, f"backbone={name}")
    seen = place.other(way, member, 1, f"backbone={name}")
    return (member / FILES / PROBABILITIES).stat().st_mtime - seen.started


def _by_joblib() -> tuple[str, str]:
    return "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"


def memory(asked: Settings, folder: Path) -> Iterator[Row]:
    """Peak memory of a member's process beside a bare fit's, and of the processes that wait for one."""
    size, images = asked.image_size or 160, asked.images or 96
    place = Place.prepare(folder, images, *_shape(asked, size), "schedule.epochs=2")
    for name in asked.backbones or ONE:
        file = place.arrays(f"backbone={name}")
        ours = place.train(f"backbone={name}", memory=True)
        other = place.other("bare", file, 2, f"backbone={name}", memory=True)
        if not ours.peaks:
            yield Row("memory", "this system does not report it")
            return
        yield Row(f"{name}, {size} px: process of a bare fit", f"{other.peaks[WAITING]:.0f} MB")
        yield Row(f"{name}, {size} px: process of a member", f"{ours.peaks[MEMBER]:.0f} MB")
        yield Row.at_most("of that, member / bare fit", ours.peaks[MEMBER] / other.peaks[WAITING], 1.2)
        yield _of_parent("what waits for a single training", ours.peaks[WAITING])
    yield from _waiting(place.sweep("backbone=deep_cnn", "seed=0,1", memory=True), "one after another")
    yield from _waiting(place.sweep("backbone=deep_cnn", "seed=2,3", *_by_joblib(), memory=True), "two workers")


def _of_parent(what: str, megabytes: float) -> Row:
    """Judge the memory of a process that waits."""
    return Row(what, f"{megabytes:.0f} MB", f"under {PARENT:g} MB", megabytes < PARENT)


def _waiting(seen: Watched, how: str) -> Iterator[Row]:
    yield _of_parent(f"what waits for a sweep, {how}", seen.peaks[WAITING])
    if WORKER in seen.peaks:
        yield _of_parent(f"a worker of a sweep, {how}", seen.peaks[WORKER])


def gpu(asked: Settings, folder: Path) -> Iterator[Row]:
    """Every backbone in float32 and mixed_float16 at its usual size, on random pixels; only where it is asked for."""
    folder.mkdir()
    place = Place(folder, folder, ())  # needs no images
    for name in asked.backbones or SEVEN:
        size = asked.image_size or USUAL.get(name, USUAL_ELSE)
        given = (f"backbone={name}", *_shape(asked, size))
        operations = PASSES * float(place.other("operations", folder, 0, *given).lines[-1][1]) / 1e12
        for number, policy in enumerate(POLICIES):
            peak = asked.peaks[number] if asked.peaks else None
            figure = _on_card(_workload(place.settings(*given)), policy, operations, peak)
            yield Row(f"{name}, {size} px, batches of {asked.batch_size}, {policy}", figure)


def _on_card(workload: Workload, policy: str, operations: float, peak: float | None) -> str:
    try:
        speed = measure(workload, policy)
    except NotMeasured as error:
        return f"not measured: {error}"
    share = f", {speed * operations / peak:.1%} of the peak" if peak else ""
    return f"{speed:.1f} images/s, {speed * operations:.3g} TFLOP/s{share}"


def _workload(settings: TrainSettings) -> Workload:
    return Workload(backbone=settings.backbone, image_size=settings.image_size, batch_size=settings.batch_size)


def _shape(asked: Settings, size: int | str) -> tuple[str, str]:
    return f"image_size={size}", f"batch_size={asked.batch_size}"


PARTS: Mapping[str, Callable[[Settings, Path], Iterator[Row]]] = {
    "bare": bare,
    "reference": reference,
    "frozen": frozen,
    "first": first,
    "sweep": sweep,
    "memory": memory,
    "gpu": gpu,
}
