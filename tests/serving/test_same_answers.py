"""Twenty images, ten of them odd, by every way there is: the same classes, and numbers within a bound."""

import importlib.util
import json
import os
import re
import subprocess
from functools import partial

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from processes import HANG, start

pytestmark = pytest.mark.heavy

ADDRESS = "models:/lights@champion"
MEMBERS = ("red", "green", "blue")
FRAME = (60, 44)
BOUND = 0.005  # of a confidence: OpenVINO computes in half precision, the others in single
NUMBERS = ["confidence", "agreement"]


@pytest.fixture(scope="module")
def ask(command, shipped):
    """Ask by `predict`, and give the table by the images' names."""

    def asked(folder, output, *arguments):
        given = [f"input={folder}", f"ensemble={ADDRESS}", "votes=all", f"output={output}", *arguments]
        done = command("predict", *given, cwd=shipped, RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0")
        assert done.returncode == 0, done.stderr
        return read(shipped / output)

    return asked


def read(file):
    table = pd.read_csv(file, keep_default_na=False).set_index("path")
    return table.set_axis(table.index.str.rpartition("/").get_level_values(2))


@pytest.fixture(scope="module")
def expected(ask, twenty, images_and_reasons):
    table = ask(twenty, "keras.csv")
    assert len(table) == 20
    assert set(table.index[table["reason"] != ""]) == set(images_and_reasons[1])
    assert set(table["prediction"]) == {"dark", "bright", ""}
    return table


def assert_same(table, expected):
    words = ["prediction", *(f"vote_{member}" for member in MEMBERS), "reason"]
    limitless = partial(re.sub, r"\d+ million", "so many million")
    said = [one[words].map(limitless) for one in (table, expected)]  # the limits of pixels differ
    pd.testing.assert_frame_equal(*said, check_dtype=False)
    given, known = (pd.to_numeric(one[NUMBERS].stack(), errors="coerce") for one in (table, expected))
    pd.testing.assert_series_equal(given, known, rtol=0, atol=BOUND)


def test_openvino_answers_as_keras_does(preloaded, shipped, twenty, expected):
    pytest.importorskip("openvino", reason='pip install "facemask-ensemble[openvino]"')
    runtime = ["runtime=openvino", "runtime.differ=null"]
    given = [f"input={twenty}", f"ensemble={ADDRESS}", "votes=all", "output=openvino.csv", *runtime]
    program = [preloaded, "-m", "facemask_ensemble.predict", *given]
    subprocess.run(program, cwd=shipped, capture_output=True, text=True, check=True)
    assert_same(read(shipped / "openvino.csv"), expected)


def test_ray_answers_as_one_process_does(ask, twenty, expected):
    if (
        importlib.util.find_spec("ray") is None
    ):  # imported here, it would take these tests' variables for those of others
        pytest.skip('pip install "facemask-ensemble[ray]"')
    assert_same(ask(twenty, "ray.csv", "engine=ray", "engine.workers=1"), expected)


def test_the_page_answers_programs_as_predict_does(preloaded, shipped, twenty, expected):
    client = pytest.importorskip("gradio_client", reason='pip install "facemask-ensemble[app]"')
    program = [preloaded, "-m", "facemask_ensemble.app", f"ensemble={ADDRESS}", "port=0"]
    with start(program, cwd=shipped, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            found = (re.match(r"page: (\S+)", line) for line in server.stdout)
            page = client.Client(next(filter(None, found))[1], verbose=False, httpx_kwargs={"timeout": HANG})
            names = sorted(file.name for file in twenty.iterdir())
            rows = page.predict([client.handle_file(twenty / name) for name in names], api_name="/predict")
        finally:
            server.terminate()
    assert server.returncode == 143
    table = pd.DataFrame(rows, dtype=object).assign(path=names).set_index("path")
    assert_same(table.where(table.notna(), "").reindex(expected.index), expected)


def test_a_video_of_the_images_is_answered_as_its_frames_are(ask, command, shipped, twenty, tmp_path):
    """A frame has the size of all others, so the images are brought to it before both ways see them."""
    cv2 = pytest.importorskip("cv2", reason='pip install "facemask-ensemble[webcam]"')
    (tmp_path / "frames").mkdir()
    film = cv2.VideoWriter(str(tmp_path / "film.avi"), cv2.VideoWriter_fourcc(*"MPNG"), 5, FRAME)
    for file in sorted(twenty.iterdir()):
        try:
            frame = Image.open(file).convert("RGB").resize(FRAME)
        except (OSError, Image.DecompressionBombError):
            continue
        frame.save(tmp_path / "frames" / f"{file.stem}.png")
        film.write(np.asarray(frame)[:, :, ::-1].copy())
    film.release()
    frames = ask(tmp_path / "frames", "frames.csv")
    watch = [f"source={tmp_path}/film.avi", f"output={tmp_path}/out.mp4", f"ensemble={ADDRESS}", "votes=all"]
    done = command("webcam", *watch, "detector=whole", "detector.masked=[bright]", cwd=shipped)
    assert done.returncode == 0, done.stderr
    seen = [json.loads(boxes) for boxes in pd.read_csv(tmp_path / "out.csv")["boxes"]]
    assert len(seen) == len(frames) == 16
    for (face,), row in zip(seen, frames.to_dict("records"), strict=True):
        assert face["prediction"] == row["prediction"]
        assert face["votes"] == {member: row[f"vote_{member}"] for member in MEMBERS}
        assert face["confidence"] == pytest.approx(float(row["confidence"]), abs=BOUND)
    assert os.path.getsize(tmp_path / "out.mp4")
