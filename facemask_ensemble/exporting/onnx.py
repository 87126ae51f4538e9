"""ONNX: one file, for ONNX Runtime and many others."""

import logging
from pathlib import Path

from facemask_ensemble.exporting import Inputs, Options, Run
from facemask_ensemble.exporting.graphs import SIGNATURE


def write(saved: Path, place: Path, options: Options, opset: int) -> Path:
    """Convert with tf2onnx."""
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    from tf2onnx import convert, tf_loader

    graph, inputs, outputs, names = tf_loader.from_saved_model(
        str(saved), None, None, tag=["serve"], signatures=[SIGNATURE], return_tensors_to_rename=True
    )
    path = place.with_name(f"{place.name}.onnx")
    convert.from_graph_def(
        graph, place.name, inputs, outputs, opset=opset, tensors_to_rename=names, output_path=str(path)
    )
    return path


def read(path: Path) -> Run:
    """Open it with ONNX Runtime, on the processor."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def run(inputs: Inputs) -> dict:
        return dict(zip(names, session.run(names, dict(inputs)), strict=True))

    return run
