"""The bench's part about the service: MLflow's server of an ensemble, one client after another and eight at once."""

import importlib.util
import json
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.harness import Row
from benchmarks.serving_clients import Server, besiege, bodies, serving
from facemask_ensemble.training.subprocess_call import aside

if TYPE_CHECKING:
    from benchmarks.prediction_members import Members
    from benchmarks.prediction_parts import Settings

RATIO = 2.0
GROWTH = 1.05
CLIENTS, SECONDS = 8, 60.0
IMAGES, WARM, TIMED = 40, 5, 9
OPENVINO = {"name": "openvino", "differ": None}


def service(asked: "Settings", place: Path) -> Iterator[Row]:
    """Time of a warm answer beside the evaluations it made; eight clients at once."""
    from benchmarks.prediction_members import photographs
    from benchmarks.prediction_parts import members_of

    members = members_of(asked, place)
    files, what = photographs(asked.images, IMAGES, place)
    model = model_of(members, place / "service")
    runtimes: list[Any] = ["keras", *([OPENVINO] if importlib.util.find_spec("openvino") else [])]
    for runtime in runtimes:
        name = runtime if isinstance(runtime, str) else str(runtime["name"])
        alone = aside(evaluations, model, {"runtime": runtime}, files[0])
        with serving(model, {"runtime": runtime}, place / f"service-{name}.log") as server:
            about = f"{members.about}, {len(files)} {what}: service, {name}"
            yield from _one_client(server, bodies(files), alone, about)
            yield from _many_clients(server, bodies(files), about)


def model_of(members: "Members", folder: Path) -> Path:
    """Save the majority of a study's members as a model of MLflow, once; give its folder."""
    from facemask_ensemble import tracking
    from facemask_ensemble.packaging.package import packaged_members, write_package
    from facemask_ensemble.serving.ensemble_model import save_model
    from facemask_ensemble.serving.service import PARAMS, SETTINGS
    from facemask_ensemble.task import example_image

    saved = folder / "model"
    if saved.exists():
        return saved
    store = tracking.open_store(None, members.output_dir)
    found = tracking.finished_members(store, study=members.study)
    about: dict[str, Any] = {
        "name": members.study, "rule": "majority", "ties": "mean_probability", "tie_arguments": {}, "learned": {},
        "class_names": list(found[0].class_names),
        "members": [{"name": member.name, "run_id": member.run_id} for member in found],
    }  # fmt: skip
    cards = folder / "cards"
    cards.mkdir(parents=True)
    for name in ("card.json", "card.html"):
        (cards / name).write_text("{}")
    write_package(about, packaged_members(store, about, folder / "cache"), cards, folder / "ensemble")
    names = [member.name for member in found]
    save_model(folder / "ensemble", names, about["class_names"], SETTINGS, PARAMS, example_image(), saved)
    return saved


def evaluations(model: Path, settings: Mapping[str, Any], file: str) -> dict[str, float]:
    """Time each member's evaluation of one image, warm and alone, in seconds by the member's name."""
    from facemask_ensemble.packaging.package import INSIDE
    from facemask_ensemble.serving.service import Service
    from facemask_ensemble.serving.uploads import Limits, ask, upload

    ensemble = Service.open(model.joinpath(*INSIDE), settings).ensemble
    chunk, _, _ = ask(ensemble, [upload("one", Path(file).read_bytes(), Limits())])
    found = {}
    for member in ensemble.members:
        pixels = chunk.pixels[member.size]
        times = []
        for _ in range(WARM + TIMED):
            started = time.perf_counter()
            member.ask(pixels)
            times.append(time.perf_counter() - started)
        found[member.name] = statistics.median(times[WARM:])
    return found


def _one_client(server: Server, requests: Sequence[bytes], alone: Mapping[str, float], about: str) -> Iterator[Row]:
    """Ask about one image after another, and compare each answer's time with that of the evaluations in it."""
    connection = server.connect()
    for body in requests[:WARM]:
        server.ask(connection, body)
    times, sums, asked = list[float](), list[float](), 0
    for body in requests:
        started = time.perf_counter()
        row = server.ask(connection, body)
        times.append(time.perf_counter() - started)
        who = [name for name in alone if row[f"vote_{name}"]]
        sums.append(sum(alone[name] for name in who))
        asked += len(who)
    figure = f"p50 {1000 * statistics.median(times):.0f} ms, {asked / len(requests):.1f} evaluations an answer"
    yield Row(f"{about}, one client", f"{figure}, which take {1000 * statistics.median(sums):.0f} ms alone")
    ratios = [time_ / sum_ for time_, sum_ in zip(times, sums, strict=True)]
    yield Row.at_most("of that, p50 of answer / its evaluations", statistics.median(ratios), RATIO)


def _many_clients(server: Server, requests: Sequence[bytes], about: str) -> Iterator[Row]:
    seen = besiege(server, requests, CLIENTS, SECONDS)
    p50 = 1000 * statistics.median(seen.seconds or [float("nan")])
    figure = f"{seen.answers} answers, p50 {p50:.0f} ms, {len(seen.errors)} errors"
    said = f" ({json.dumps(seen.errors[0][:80])})" if seen.errors else ""
    yield Row(f"{about}, {CLIENTS} clients for {SECONDS:.0f} s", figure + said, "no error", not seen.errors)
    yield Row.at_most(f"of that, memory at the end ({seen.megabytes[-1]:.0f} MB) / before", seen.growth, GROWTH)
