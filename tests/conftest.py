import os
import shutil
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def pytest_collection_modifyitems(items):
    """Begin with the files of most heavy tests: of two workers none is left with them at the end."""
    heavy = Counter(item.path for item in items if item.get_closest_marker("heavy"))
    items.sort(key=lambda item: -heavy[item.path])


@pytest.fixture(scope="session")
def command():
    """Run a command of the package as a user does, in a process of its own."""

    def run(name, *arguments, cwd, timeout=300, **environment):
        return subprocess.run(
            [sys.executable, "-m", f"facemask_ensemble.{name}", *map(str, arguments)],
            cwd=cwd,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return run


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
