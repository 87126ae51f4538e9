"""The code of an ensemble that MLflow keeps and serves: copied beside the ensemble's files, and run from there."""

import functools
import logging
import sys
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR, INVALID_PARAMETER_VALUE
from mlflow.pyfunc import PythonModel, PythonModelContext

BUG = "the ensemble could not answer; see the log of the server process"


class EnsembleModel(PythonModel):
    """An ensemble as MLflow knows a model: a table of images in, a table of answers out."""

    def load_context(self, context: PythonModelContext) -> None:
        """Bring the ensemble into memory."""
        _keep_tracebacks()
        from facemask_ensemble.serving.service import Service

        self._service = Service.open(Path(context.artifacts["ensemble"]), context.model_config)

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Answer each row, in order; an image that cannot be read has its reason."""
        from facemask_ensemble.errors import InputError

        try:
            return self._service.answer(model_input, params or {})
        except InputError as error:
            raise MlflowException(str(error), INVALID_PARAMETER_VALUE) from None
        except Exception:  # MLflow's server would send the traceback, with its paths, to whoever asked
            logging.getLogger(__name__).exception(BUG)
            raise MlflowException(BUG, INTERNAL_ERROR) from None


def _keep_tracebacks() -> None:
    """Keep MLflow's server from sending tracebacks, with their paths, for CSV or Parquet bodies that it cannot read."""
    server = sys.modules.get("mlflow.pyfunc.scoring_server")
    handle = getattr(server, "_handle_serving_error", None)
    if handle:
        server._handle_serving_error = functools.partial(handle, include_traceback=False)  # type: ignore[union-attr]


mlflow.models.set_model(EnsembleModel())
