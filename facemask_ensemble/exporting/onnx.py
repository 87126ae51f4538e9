"""ONNX: one file, for ONNX Runtime and many others."""

import logging
from pathlib import Path

from facemask_ensemble.exporting import Inputs, Options, Run
from facemask_ensemble.training.subprocess_call import aside


def write(saved: Path, place: Path, options: Options, opset: int) -> Path:
    """Convert with tf2onnx in a separate process, because it keeps gigabytes of every graph."""
    path = place.with_name(f"{place.name}.onnx")
    aside(_convert, saved, path, opset)
    return path


def _convert(saved: Path, path: Path, opset: int) -> None:
    from facemask_ensemble.tensorflow_import import start_tensorflow

    start_tensorflow()
    from facemask_ensemble.exporting.graphs import SIGNATURE

    for name in ("tf2onnx", "tensorflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
    from tf2onnx import convert, tf_loader

    graph, inputs, outputs, names = tf_loader.from_saved_model(
        str(saved), None, None, tag=["serve"], signatures=[SIGNATURE], return_tensors_to_rename=True
    )
    convert.from_graph_def(
        graph, path.stem, inputs, outputs, opset=opset, tensors_to_rename=names, output_path=str(path)
    )
    _keep_padding(path)


def _keep_padding(path: Path) -> None:
    """Pad by almost zero where a pooling follows: ONNX Runtime merges a pad of zeros into it, and then pads by nothing.

    ResNet50V2 pools what may be negative: its probabilities moved by up to 0.004 (ONNX Runtime 1.31, Pad_Fusion).
    """
    import numpy as np
    import onnx

    model = onnx.load(str(path))
    pooled = {node.input[0] for node in model.graph.node if node.op_type == "MaxPool"}
    for node in model.graph.node:
        if node.op_type == "Pad" and node.output[0] in pooled:
            value = np.array(np.finfo(np.float32).tiny, np.float32)
            model.graph.initializer.append(onnx.numpy_helper.from_array(value, f"{node.name}_value"))
            node.input[:] = [*node.input[:2], f"{node.name}_value"]
    onnx.save(model, str(path))


def read(path: Path) -> Run:
    """Open it with ONNX Runtime, on the processor."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def run(inputs: Inputs) -> dict:
        return dict(zip(names, session.run(names, dict(inputs)), strict=True))

    return run
