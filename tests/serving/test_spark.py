"""A shipped ensemble as a function of Spark's."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from processes import HANG

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(importlib.util.find_spec("pyspark") is None, reason="pyspark is not installed"),
    pytest.mark.skipif(
        not (shutil.which("java") or os.environ.get("JAVA_HOME")), reason="there is no Java, which Spark needs"
    ),
]

BOUND = 1e-5  # of a probability
SCRIPT = """
import json, sys

import mlflow
from pyspark.sql import SparkSession
from pyspark.sql.functions import col, struct

here = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1", "spark.ui.enabled": "false"}
builder = SparkSession.builder.master("local[1]").config(map=here)
spark = builder.getOrCreate()
spark.sparkContext.setLogLevel("ERROR")
columns = "prediction string, confidence double, agreement double, tie boolean, reason string, p_red_bright double"
model = "models:/lights@champion"
ask = mlflow.pyfunc.spark_udf(spark, model, result_type=columns, env_manager="local")
photos = spark.read.format("binaryFile").load(sys.argv[1])
answers = photos.select("path", ask(struct(col("content").alias("image"), col("path"))).alias("answer"))
rows = [{"path": row["path"], **json.loads(row["answer"])} for row in
        answers.selectExpr("path", "to_json(answer) as answer").collect()]
table = photos.select("path", "content").toPandas().rename(columns={"content": "image"})
expected = mlflow.pyfunc.load_model(model).predict(table).to_dict("records")
spark.stop()
print(json.dumps([rows, expected]))
"""


def test_spark_answers_a_column_of_images_as_the_loaded_model_does(shipped, images_and_reasons, tmp_path):
    for name, content in images_and_reasons[0].items():
        (tmp_path / "photos").mkdir(exist_ok=True)
        (tmp_path / "photos" / name).write_bytes(content)
    environment = {
        **os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{shipped}/outputs/mlflow.db", "TF_CPP_MIN_LOG_LEVEL": "3",
        "MLFLOW_DISABLE_TELEMETRY": "true", "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable,
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "photos")],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=HANG, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found, expected = (pd.DataFrame(rows).set_index("path") for rows in json.loads(done.stdout.splitlines()[-1]))
    found.index = found.index.str.rpartition("/").get_level_values(2)  # Spark has addresses, the table names
    assert sorted(found.index) == sorted(set(images_and_reasons[0]) - {"empty.png"})  # Spark passes over empty files
    expected = expected.loc[found.index]
    for column in ("prediction", "reason"):
        assert found[column].tolist() == expected[column].tolist()
    readable = found["reason"] == ""
    assert readable.sum() == 16
    for column in ("confidence", "agreement", "p_red_bright"):
        np.testing.assert_allclose(
            found.loc[readable, column], expected.loc[readable, column].astype(float), atol=BOUND
        )
