"""From members in Keras to files of one format, each checked."""

import json
import logging
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
import numpy as np

from facemask_ensemble.ensemble.sources import Source
from facemask_ensemble.errors import InputError
from facemask_ensemble.exporting import Options
from facemask_ensemble.exporting.checking import Check, Pixels, ask_export, ask_keras, compare, read_images, samples
from facemask_ensemble.exporting.folder import RECORD, digests
from facemask_ensemble.files import write_atomically
from facemask_ensemble.prediction.choice import Choice
from facemask_ensemble.settings.export import ExportSettings
from facemask_ensemble.versions import versions

if TYPE_CHECKING:
    import keras

    from facemask_ensemble.exporting.graphs import Graph

PACKAGES = ("facemask-ensemble", "tensorflow", "keras", "numpy")


class TooDifferent(InputError):
    """A graph differs from Keras by more than the tolerance."""


class Exporter:
    """Export an ensemble into `folder`, in the format and with the checks that an export asks for."""

    def __init__(self, choice: Choice, settings: ExportSettings, folder: Path) -> None:
        from facemask_ensemble.tensorflow_import import start_tensorflow

        start_tensorflow()
        logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it counts how often it has traced, and worries
        self._choice, self._settings, self._folder = choice, settings, folder
        self._format = settings.format
        self._write, self._read = (hydra.utils.instantiate(one.call) for one in (self._format.write, self._format.read))
        self._precision = self._format.precision
        own = self._format.bounds[self._precision]
        self._bound: float = own if settings.tolerance is None else settings.tolerance

    def write(self, graphs: str, choices: Mapping[str, str]) -> list[str]:
        """Write every member's graph, one of all members that votes, or both, and `export.json`.

        Where the rule is one of the user's own, members are written alone, and it is said.

        Args:
            graphs: `members`, `ensemble` or `both`.
            choices: the names of the `voting` rule and of what breaks `ties`.

        Returns:
            Why graphs were refused, one sentence each; the others are written.

        Raises:
            InputError: all were refused, or one cannot be made.
        """
        from facemask_ensemble.exporting.votes import missing_twin

        if outside := missing_twin(self._choice.vote):
            outside += "; only the members are exported: compute the vote in your own program"
            print(outside)
            graphs = "members"
        work = [partial(self._member, source) for source in self._choice.sources] if graphs != "ensemble" else []
        if graphs != "members":
            work.append(partial(self._ensemble, choices))
        written, refused = [], []
        for one in work:
            try:
                written.append(one())
            except TooDifferent as error:
                refused.append(str(error))
        if not written:
            raise InputError(f"{refused[0]}. Nothing was exported")
        self._record(written, refused, outside)
        return refused

    def _ensemble(self, choices: Mapping[str, str]) -> dict[str, Any]:
        import tensorflow as tf

        from facemask_ensemble.exporting.graphs import PROBABILITIES, ensemble_graph
        from facemask_ensemble.exporting.votes import vote_graph
        from facemask_ensemble.models.copying import in_float32

        trained = [_load(source) for source in self._choice.sources]
        twins = [in_float32(model) for model in trained]
        graph = ensemble_graph(twins, self._choice.vote)
        checked, calibration = self._images(self._choice.sources[0], list(graph.inputs.values()))
        path, found = self._written(graph, checked, calibration)
        probs = np.ascontiguousarray(found[PROBABILITIES].transpose(1, 0, 2))
        again = vote_graph(self._choice.vote)(tf.constant(found[PROBABILITIES]))["prediction"].numpy()
        if not np.array_equal(again, found["prediction"]):
            raise InputError(
                f"format={self._format.name}: disagrees with TensorFlow on the same probabilities; give "
                "graph=members and compute the vote in your own program"
            )
        expected = _ask_all(twins, checked)
        check = compare(probs, expected, (found["prediction"], self._choice.vote(expected)))
        halves = [model for model, twin in zip(trained, twins, strict=True) if model is not twin]
        rounded = None
        if halves:
            original = _ask_all(trained, checked)
            rounded = compare(expected, original, (self._choice.vote(expected), self._choice.vote(original)))
        about = {"rule": self._choice.vote.name, "ties": choices.get("ties")}
        return self._described(graph, path, check, rounded) | about

    def _record(self, graphs: Sequence[dict[str, Any]], refused: Sequence[str], outside: str | None) -> None:
        """Write what a program needs to know."""
        from facemask_ensemble.exporting.graphs import PREPROCESSING

        about = {
            "format": self._format.name,
            "precision": self._precision,
            "class_names": list(self._choice.class_names),
            "members": [source.name for source in self._choice.sources],
            "preprocessing": PREPROCESSING,
            "tolerance": self._bound,
            "versions": versions([*PACKAGES, *self._format.modules]),
            "graphs": list(graphs),
            "refused": list(refused),
            "vote_outside": outside,
        }
        write_atomically(json.dumps(about, indent=2), self._folder / RECORD)

    def _member(self, source: Source) -> dict[str, Any]:
        from facemask_ensemble.exporting.graphs import PIXELS, PROBABILITIES, member_graph
        from facemask_ensemble.models.copying import in_float32

        trained = _load(source)
        twin = in_float32(trained)
        graph = member_graph(source.name, twin)
        checked, calibration = self._images(source, list(graph.inputs.values()))
        path, found = self._written(graph, checked, calibration)
        pixels = checked[graph.inputs[PIXELS]]
        expected = ask_keras(twin, pixels)
        rounded = None if twin is trained else compare(expected, ask_keras(trained, pixels))
        return self._described(graph, path, compare(found[PROBABILITIES], expected), rounded)

    def _images(self, source: Source, sides: Sequence[int]) -> tuple[Pixels, Pixels]:
        """Read images to check with; for int8 as many others to calibrate with."""
        given, count = self._settings.images, self._settings.count
        if self._precision != "int8":
            return read_images(source, given, sides, count), {}
        both = read_images(source, given, sides, 2 * count)
        parts = [{side: some[start::2] for side, some in both.items()} for start in (0, 1)]
        if not len(parts[1][sides[0]]):
            raise InputError("images: int8 needs at least 2, one for calibration and one for the check; give more")
        return parts[0], parts[1]

    def _written(self, graph: "Graph", checked: Pixels, calibration: Pixels) -> tuple[Path, dict[str, Any]]:
        """Write a graph, open what was written, and ask it about the images."""
        print(f"{graph.name}: writing …", flush=True)
        options = Options(self._precision, samples(graph.inputs, calibration) if calibration else [])
        with tempfile.TemporaryDirectory() as place:
            path = self._write(graph.save(Path(place) / "saved"), self._folder / graph.name, options)
        return path, ask_export(self._read(path), graph.inputs, checked)

    def _described(self, graph: "Graph", path: Path, check: Check, rounded: Check | None) -> dict[str, Any]:
        """Print the result of a graph, and return its entry of `export.json`.

        Raises:
            TooDifferent: it differs from Keras by more than the tolerance; it is deleted.
        """
        files = digests(path, self._folder)
        if not check.largest_difference <= self._bound:  # nan is no less than anything
            for name in files:
                (self._folder / name).unlink()
            shutil.rmtree(path, ignore_errors=True)
            raise TooDifferent(
                f"{graph.name}: as {self._format.name} in {self._precision} a probability differs from Keras by "
                f"{check.largest_difference:.2g}, more than tolerance={self._bound:g}; give another "
                "format.precision=…, or a larger tolerance=…"
            )
        size = sum((self._folder / name).stat().st_size for name in files) / 1e6
        print(f"{graph.name}: {path.name}, {size:.1f} MB; compared with Keras: {check}")
        if rounded:
            print(
                f"{graph.name}: trained in half precision, exported in float32; compared with half precision: {rounded}"
            )
        return {
            "name": graph.name,
            "path": path.name,
            "files": files,
            "inputs": graph.described_inputs(),
            "check": asdict(check),
            "against_half_precision": asdict(rounded) if rounded else None,
        }


def _load(source: Source) -> "keras.Model":
    from facemask_ensemble.models.classifier import load_classifier

    return load_classifier(source.file, as_trained=True)


def _ask_all(models: Sequence["keras.Model"], pixels: Pixels) -> np.ndarray:
    return np.stack([ask_keras(model, pixels[model.input_shape[1]]) for model in models])
