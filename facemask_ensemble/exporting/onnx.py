"""ONNX: one file, for ONNX Runtime and many others."""

import logging
from pathlib import Path

from facemask_ensemble.exporting import Inputs, Options, Run
from facemask_ensemble.exporting.graphs import SIGNATURE
from facemask_ensemble.training.aside import aside


def write(saved: Path, place: Path, options: Options, opset: int) -> Path:
    """Convert with tf2onnx, in a process of its own: it keeps gigabytes of every graph."""
    path = place.with_name(f"{place.name}.onnx")
    aside(_convert, saved, path, opset)
    return path


def _convert(saved: Path, path: Path, opset: int) -> None:
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    from facemask_ensemble.models.quiet import start_tensorflow

    start_tensorflow()
    from tf2onnx import convert, tf_loader

    graph, inputs, outputs, names = tf_loader.from_saved_model(
        str(saved), None, None, tag=["serve"], signatures=[SIGNATURE], return_tensors_to_rename=True
    )
    convert.from_graph_def(
        graph, path.stem, inputs, outputs, opset=opset, tensors_to_rename=names, output_path=str(path)
    )


def read(path: Path) -> Run:
    """Open it with ONNX Runtime, on the processor."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def run(inputs: Inputs) -> dict:
        return dict(zip(names, session.run(names, dict(inputs)), strict=True))

    return run
