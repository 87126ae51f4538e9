import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def pytest_collection_modifyitems(items):
    """Begin with the files of most heavy tests: of two workers none is left with them at the end."""
    heavy = Counter(item.path for item in items if item.get_closest_marker("heavy"))
    items.sort(key=lambda item: -heavy[item.path])


@pytest.fixture(scope="session")
def command(tmp_path_factory):
    """Run a command of the package in a process of its own, forked from one that has imported what all of them do."""
    printed = tmp_path_factory.mktemp("printed")
    zygote = subprocess.Popen(
        [sys.executable, str(Path(__file__).parent / "zygote.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def run(name, *arguments, cwd, timeout=300, **environment):
        streams = {stream: printed / stream for stream in ("stdout", "stderr")}
        for file in streams.values():
            file.write_text("")
        request = {
            "name": name,
            "arguments": [str(argument) for argument in arguments],
            "cwd": str(cwd),
            "environment": {**os.environ, **environment},
            **{stream: str(file) for stream, file in streams.items()},
        }
        print(json.dumps(request), file=zygote.stdin, flush=True)
        child = int(zygote.stdout.readline())
        late = threading.Timer(timeout, os.kill, (child, signal.SIGKILL))
        late.start()
        status = int(zygote.stdout.readline())
        late.cancel()
        told = {stream: file.read_text() for stream, file in streams.items()}
        assert status != -signal.SIGKILL, f"{name} {arguments} was ended after {timeout} s: {told}"
        return subprocess.CompletedProcess(request["arguments"], status, **told)

    yield run
    zygote.stdin.close()
    zygote.wait(30)


@pytest.fixture(scope="session")
def assert_refused():
    """Check that a command ended as bad input has to: one line, exit code 2, no traceback."""

    def check(done, *words):
        assert done.returncode == 2, done.stderr
        lines = [line for line in done.stderr.splitlines() if line]
        assert len(lines) == 1, done.stderr
        assert lines[0].startswith("error: ")
        for word in words:
            assert word in lines[0]
        return lines[0]

    return check


@pytest.fixture(scope="session")
def new_store(tmp_path_factory):
    """The folder of an empty embedded store, made once: its migrations take seconds."""
    from facemask_ensemble import tracking

    folder = tmp_path_factory.mktemp("store")
    tracking.open_store(None, folder)
    return folder


@pytest.fixture
def store(tmp_path, new_store):
    """An embedded store without runs, in `tmp_path`."""
    from facemask_ensemble import tracking

    shutil.copy(new_store / "mlflow.db", tmp_path)
    return tracking.open_store(None, tmp_path)


@pytest.fixture
def place_with_store(tmp_path, new_store):
    """A folder to run commands in, its store below `outputs` made already: that saves each command seconds."""
    (tmp_path / "outputs").mkdir()
    shutil.copy(new_store / "mlflow.db", tmp_path / "outputs")
    return tmp_path


@pytest.fixture
def closed_port():
    """A port at which nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.fixture(scope="session")
def draw_faces():
    """Write a folder of pictures for every class, drawn scenes of the classes `none` and `all`."""

    def draw(folder: Path, classes, count):
        from PIL import Image

        from facemask_ensemble.data.scenes import draw_scene

        for label, name in enumerate(classes):
            (folder / name).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                scene = draw_scene(seed=label, index=3 * number + label, size=64)
                Image.fromarray(scene.pixels).save(folder / name / f"{number}.png")
        return folder

    return draw


@pytest.fixture
def real_data():
    folder = os.environ.get("FACEMASK_REAL_DATA")
    if not folder:
        pytest.skip("FACEMASK_REAL_DATA is not set: no real photographs here")
    return Path(folder)
