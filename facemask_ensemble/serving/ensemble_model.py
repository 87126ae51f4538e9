"""Save an ensemble's package as a model of MLflow, from code: nothing is pickled."""

import io
import logging
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import mlflow.pyfunc
import numpy as np
import pandas as pd
from mlflow.models import Model, ModelSignature
from mlflow.models.model import MLMODEL_FILE_NAME
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.schema import AnyType
from numpy.typing import NDArray
from PIL import Image

from facemask_ensemble.packaging.package import INSIDE, MEMBERS, link_or_copy

CODE = Path(__file__).with_name("model.py")
PACKAGE = "ensemble"
NEEDED = ("facemask-ensemble", "mlflow", "tensorflow", "keras", "tf-keras-vis", "numpy", "pandas", "pillow")
INPUTS = (("image", DataType.binary), ("path", DataType.string), ("pixels", AnyType()))
TEXTS, NUMBERS = ("path", "prediction"), ("confidence", "agreement")


def save_model(
    package: Path,
    members: Sequence[str],
    class_names: Sequence[str],
    settings: Mapping[str, object],
    params: Mapping[str, object],
    example: NDArray[np.uint8],
    folder: Path,
) -> None:
    """Save a package as a model that `mlflow.pyfunc.load_model` loads.

    Args:
        package: the folder that `packaging.package.write_package` has written.
        members: their names.
        class_names: in label order.
        settings: what may be set when the model is loaded, with their values.
        params: what may be given with every call, with their values.
        example: the image of the model's input example, uint8 (h, w, 3).
        folder: not there yet; the package's members are linked into it where it lies on the same disk.
    """
    logging.getLogger("mlflow").setLevel(logging.ERROR)  # its remarks on the example
    with tempfile.TemporaryDirectory(dir=folder.parent) as place:
        light = Path(place) / PACKAGE  # gigabytes of members would be copied
        shutil.copytree(package, light, ignore=shutil.ignore_patterns(MEMBERS))
        mlflow.pyfunc.save_model(
            str(folder),
            python_model=str(CODE),
            artifacts={PACKAGE: str(light)},
            signature=signature(members, class_names, params),
            input_example=pd.DataFrame({"image": [as_png(example)]}),
            pip_requirements=[f"{name}=={version(name)}" for name in NEEDED],
            model_config=dict(settings),
        )
    shutil.copytree(package / MEMBERS, folder.joinpath(*INSIDE, MEMBERS), copy_function=link_or_copy)
    _correct(folder)


def _correct(folder: Path) -> None:
    """Remove local paths from a model's description, and add its size."""
    file = folder / MLMODEL_FILE_NAME
    described = Model.load(str(file))
    described.model_size_bytes = sum(part.stat().st_size for part in folder.rglob("*") if part.is_file())
    known = described.flavors[mlflow.pyfunc.FLAVOR_NAME]
    known["model_code_path"] = CODE.name
    for artifact in known["artifacts"].values():
        artifact["uri"] = artifact["path"]
    described.save(str(file))


def as_png(pixels: NDArray[np.uint8]) -> bytes:
    """Encode an image, uint8 (h, w, 3)."""
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return content.getvalue()


def signature(members: Sequence[str], class_names: Sequence[str], params: Mapping[str, object]) -> ModelSignature:
    """Say what goes in and what comes out."""
    inputs: list[ColSpec | TensorSpec] = [ColSpec(kind, name, required=False) for name, kind in INPUTS]
    texts = [*TEXTS, *NUMBERS, *(f"vote_{member}" for member in members)]
    outputs: list[ColSpec | TensorSpec] = [
        ColSpec(DataType.double if name in NUMBERS else DataType.string, name) for name in texts
    ]
    outputs += [ColSpec(DataType.boolean, "tie"), ColSpec(DataType.string, "reason")]
    outputs += [ColSpec(DataType.double, f"p_{member}_{name}") for member in members for name in class_names]
    specs = [ParamSpec(name, _type_of(value), value) for name, value in params.items()]
    return ModelSignature(Schema(inputs), Schema(outputs), ParamSchema(specs))


def _type_of(value: object) -> DataType:
    return DataType.boolean if isinstance(value, bool) else DataType.string
