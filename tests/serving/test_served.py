"""A shipped ensemble out in the world: in `predict`, in a fresh process, and behind MLflow's server."""

import base64
import io
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import psutil
import pytest
from PIL import Image
from processes import HANG, wait_for_server

pytestmark = pytest.mark.heavy

BOUND = 1e-5  # of a probability
ADDRESS = "models:/lights@champion"
FRESH = """
import json, sys
import mlflow, numpy as np, pandas as pd

model = mlflow.pyfunc.load_model(sys.argv[1], model_config={"root": sys.argv[2]})
paths = sys.argv[3:]
table = pd.DataFrame({"image": [open(path, "rb").read() for path in paths], "path": paths})
answers = [
    model.predict(table, params={"votes": "all"}),
    model.predict(pd.DataFrame({"path": [path.rpartition("/")[2] for path in paths]}), params={"votes": "all"}),
    model.predict(pd.DataFrame({"pixels": [np.full((5, 4, 3), [255, 255, 0], np.uint8)]})),
]
print(json.dumps([answer.to_dict("records") for answer in answers]))
"""


@pytest.fixture(scope="module")
def environment(shipped):
    return {
        **os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{shipped}/outputs/mlflow.db", "TF_CPP_MIN_LOG_LEVEL": "3",
        "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    }  # fmt: skip


@pytest.fixture(scope="module")
def address(shipped, environment, twenty, tmp_path_factory):
    """The address of MLflow's server of the champion, as the README starts it, and its process."""
    log, port = tmp_path_factory.mktemp("server") / "log", free_port()
    start = [
        sys.executable,
        "-m",
        "mlflow",
        "models",
        "serve",
        "-m",
        ADDRESS,
        "--env-manager",
        "local",
        "--port",
        str(port),
    ]
    path = f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}"
    settings = {"SERVING_MODEL_CONFIG": json.dumps({"root": str(twenty), "megabytes": 2.5}), "PATH": path}
    with log.open("w") as printed:
        process = subprocess.Popen(
            start, cwd=twenty.parent, env=environment | settings, stdout=printed, stderr=printed, start_new_session=True
        )
    try:
        wait_for_server(f"http://127.0.0.1:{port}/ping", process, log)
        yield f"http://127.0.0.1:{port}", process, log
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def free_port():
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def post(address, body, kind="application/json"):
    """Post a body; return the status and the text of the answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(f"{address[0]}/invocations", data, {"Content-Type": kind})
    try:
        with urllib.request.urlopen(request, timeout=HANG) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def answered(address, rows, **params):
    """Post rows of bytes or paths; return the answers."""
    ready = [
        {key: base64.b64encode(value).decode() if isinstance(value, bytes) else value for key, value in row.items()}
        for row in rows
    ]
    status, text = post(address, {"dataframe_records": ready, "params": params})
    assert status == 200, text
    return json.loads(text, parse_constant=lambda constant: pytest.fail(f"{constant} is no JSON"))["predictions"]


@pytest.fixture(scope="module")
def predicted(command, shipped, twenty):
    """What `predict` says of the twenty, by all members, with the shipped ensemble."""
    done = command("predict", f"input={twenty}", f"ensemble={ADDRESS}", "votes=all", "output=answers.csv", cwd=shipped)
    assert done.returncode == 0, done.stderr
    assert "3 members trained on lights (weights by hand), majority vote as shipped: red, green, blue" in done.stdout
    return (
        pd.read_csv(shipped / "answers.csv", keep_default_na=False)
        .assign(path=lambda table: table["path"].str.rpartition("/")[2])
        .set_index("path")
    )


@pytest.fixture(scope="module")
def fresh(environment, twenty):
    """What the registered model says in a fresh process: by bytes, by path, by pixels."""
    paths = [str(path) for path in sorted(twenty.iterdir())]
    program = [sys.executable, "-c", FRESH, ADDRESS, str(twenty), *paths]
    done = subprocess.run(program, cwd=twenty.parent, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def assert_same(rows, predicted, images_and_reasons):
    """Hold answers to those of `predict`: classes and reasons the same, numbers within the bound."""
    contents, reasons = images_and_reasons
    assert sorted(row["path"] for row in rows) == sorted(contents)
    for row in rows:
        known, name = predicted.loc[row["path"]], row["path"]
        assert row["prediction"] == known["prediction"]
        for member in ("red", "green", "blue"):
            assert row[f"vote_{member}"] == known[f"vote_{member}"]
        if name in reasons:
            assert reasons[name] in row["reason"]
            assert row["confidence"] is None
        else:
            assert (row["reason"], row["prediction"] in ("dark", "bright")) == ("", True)
            assert abs(row["confidence"] - float(known["confidence"])) <= 1e-4  # rounded to four digits


def test_a_model_in_a_fresh_process_answers_as_predict_does(fresh, predicted, images_and_reasons):
    by_bytes, by_path, by_pixels = fresh
    assert_same(by_bytes, predicted, images_and_reasons)
    assert_same(by_path, predicted, images_and_reasons)
    assert by_pixels[0]["prediction"] == "bright"


def test_the_server_answers_as_predict_and_as_the_model_do(address, fresh, predicted, images_and_reasons):
    contents, _ = images_and_reasons
    small = {name: content for name, content in contents.items() if name != "huge.png"}
    rows = answered(address, [{"image": content, "path": name} for name, content in small.items()], votes="all")
    huge = [row for row in fresh[0] if row["path"] == "huge.png"]
    assert_same([*rows, *huge], predicted, images_and_reasons)
    by_name = {row["path"]: row for row in fresh[0]}
    for row in rows:
        numbers = [key for key in row if key.startswith("p_")]
        assert len(numbers) == 6
        given, known = ([one[key] or -1 for key in numbers] for one in (row, by_name[row["path"]]))
        np.testing.assert_allclose(given, known, atol=BOUND)


def test_probabilities_are_those_worked_out_by_hand(address):
    # Red 1: 4 against 2, so exp(2) to 1; green and blue 0: exp(-2) to 1.
    [row] = answered(address, [{"image": png((255, 0, 0))}], votes="all")
    bright = 1 / (1 + np.exp(-2))
    assert abs(row["p_red_bright"] - bright) < BOUND
    assert abs(row["p_green_bright"] - (1 - bright)) < BOUND
    assert (row["prediction"], row["agreement"], row["vote_red"]) == ("dark", 0.6667, "bright")


def test_a_majority_that_is_decided_asks_no_further(address):
    [row] = answered(address, [{"image": png((255, 255, 0))}])
    assert (row["vote_red"], row["vote_green"], row["vote_blue"], row["p_blue_dark"]) == ("bright", "bright", "", None)


def test_a_heatmap_comes_on_demand_as_an_image(address):
    left = Image.new("RGB", (64, 32), (0, 0, 0))
    left.paste((255, 255, 255), (0, 0, 40, 32))
    image = {"image": encoded(left)}
    rows = answered(address, [image, {"image": b"none"}], heatmap=True, votes="all", member="green")
    assert "heatmap" not in answered(address, [image])[0]
    assert (rows[0]["heatmap_member"], rows[0]["heatmap_reason"]) == ("green", "")
    drawn = np.asarray(Image.open(io.BytesIO(base64.b64decode(rows[0]["heatmap"]))).convert("RGB")).astype(int)
    assert drawn.shape == (240, 480, 3)
    assert (
        np.ptp(drawn[:, :240], axis=2).mean() > 20 > np.ptp(drawn[:, 400:], axis=2).mean()
    )  # colour where it is bright
    assert (rows[1]["heatmap"], rows[1]["heatmap_reason"]) == (None, "not an image")


def png(colour, size=(20, 10)):
    return encoded(Image.new("RGB", size, colour))


def encoded(image):
    content = io.BytesIO()
    image.save(content, "PNG")
    return content.getvalue()


def test_paths_are_opened_below_the_root_and_nowhere_else(address, twenty, tmp_path):
    (twenty / "link.png").symlink_to(tmp_path / "s.png")
    (tmp_path / "s.png").write_bytes(png((0, 0, 0)))
    outside = [str(tmp_path / "s.png"), f"../{tmp_path.name}/s.png", "/etc/passwd", "..\\x", "a\0.png"]
    rows = answered(address, [{"path": path} for path in ["alpha.png", *outside, "link.png", "missing.png"]])
    reasons = [row["reason"] for row in rows]
    assert reasons[:1] == [""]
    assert set(reasons[1:6]) == {"not a path below the server's image folder"}
    assert set(reasons[6:]) == {"no such file below the server's image folder"}
    (twenty / "link.png").unlink()


def test_the_servers_limits_are_those_it_was_started_with(address, images_and_reasons):
    [row] = answered(address, [{"image": images_and_reasons[0]["huge.png"]}])
    assert row["reason"] == "larger than 2.5 MB"


BODIES = {
    "half a body": b'{"dataframe_split": ',
    "not text": b"\xff\xfe\x00",
    "a list": [1],
    "nothing": {},
    "no rows": {"dataframe_records": []},
    "another column": {"dataframe_records": [{"photo": "x"}]},
    "no base64": {"dataframe_records": [{"image": "abc"}]},
    "a number": {"dataframe_records": [{"image": 5}]},
    "a column twice": {"dataframe_split": {"columns": ["image", "image"], "data": [["", ""]]}},
    "a vote that is none": {"dataframe_records": [{"image": ""}], "params": {"votes": "most"}},
    "a member that is none": {"dataframe_records": [{"image": ""}], "params": {"member": "nobody"}},
    "parameters that are none": {"dataframe_records": [{"image": ""}], "params": 7},
}


@pytest.mark.parametrize("name", BODIES)
def test_a_request_that_cannot_be_answered_is_refused_and_told_no_more_than_why(name, address):
    assert_tells_nothing(*post(address, BODIES[name]))


@pytest.mark.parametrize(
    "kind", ["text/csv", "application/vnd.apache.parquet", "text/plain", "application/json; charset=x"]
)
def test_other_kinds_of_bodies_are_refused_without_a_traceback(kind, address):
    assert_tells_nothing(*post(address, b'a,b\n"1', kind))


def assert_tells_nothing(status, text):
    assert 400 <= status < 500
    for sign in ("Traceback", 'File \\"', "site-packages", os.path.dirname(sys.executable), "/tmp"):
        assert sign not in text, text


def test_the_server_listens_at_127_0_0_1_alone(address):
    port = int(address[0].rpartition(":")[2])
    family = [address[1], *psutil.Process(address[1].pid).children(recursive=True)]
    listening = [
        found.laddr.ip
        for process in family
        for found in psutil.Process(process.pid).net_connections("inet")
        if found.status == psutil.CONN_LISTEN and found.laddr.port == port
    ]
    assert set(listening) == {"127.0.0.1"}


def test_eight_clients_at_once_are_answered_rightly(address):
    colours = {(255, 255, 0): "bright", (0, 0, 255): "dark", (0, 0, 0): "dark", (255, 255, 255): "bright"}
    asked = [*colours] * 16
    with ThreadPoolExecutor(8) as clients:
        found = list(clients.map(lambda colour: answered(address, [{"image": png(colour)}])[0]["prediction"], asked))
    assert found == [colours[colour] for colour in asked]


def test_nothing_in_the_model_is_pickled_or_names_a_place(shipped):
    [model] = shipped.glob("outputs/mlruns/lights/*/artifacts/ensemble")
    files = [file for file in model.rglob("*") if file.is_file()]
    assert {file.name for file in files} >= {"MLmodel", "model.py", "red.keras", "ensemble.json", "card.html"}
    assert not [file for file in files if file.suffix in (".pkl", ".pickle", ".joblib", ".npy", ".npz", ".bin")]
    for file in files:
        parts = [file.read_bytes()]
        if zipfile.is_zipfile(file):  # a .keras file
            with zipfile.ZipFile(file) as archive:
                parts += [archive.read(name) for name in archive.namelist()]
        for part in parts:
            assert not (part[:1] == b"\x80" and part[-1:] == b"."), file  # how a pickle begins and ends
    for name in ("MLmodel", "conda.yaml", "requirements.txt", "python_env.yaml", "artifacts/ensemble/ensemble.json"):
        text = (model / name).read_text()
        assert str(shipped) not in text
        assert "://" not in text
        assert os.path.dirname(__file__).partition("/tests")[0] not in text
    assert "facemask-ensemble==" in (model / "requirements.txt").read_text()
