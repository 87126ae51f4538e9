import gc
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
from collections import Counter
from pathlib import Path

import pytest
from commands import forking, runner

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("RAY_AUTH_MODE", "disabled")  # Ray reads it once in a process, and would wait minutes for a token
os.environ.setdefault("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")  # its runners of jobs, which nothing here has
gc.set_threshold(50_000)  # building networks makes millions of objects that stay: a tenth of the time went into looking


def pytest_collection_modifyitems(items):
    """Begin with the files of most heavy tests: of two workers none is left with them at the end."""
    heavy = Counter(item.path for item in items if item.get_closest_marker("heavy"))
    items.sort(key=lambda item: -heavy[item.path])


@pytest.fixture(scope="session")
def zygote(tmp_path_factory):
    """The socket of a process that has imported what commands do, and what stands in for `python` with it."""
    with forking(sys.executable, tmp_path_factory.mktemp("zygote")) as started:
        yield started


@pytest.fixture(scope="session")
def preloaded(zygote):
    """A `python` whose commands start their trainings at once, see preloaded.py."""
    return zygote[1]


@pytest.fixture(scope="session")
def command(tmp_path_factory, zygote):
    """Run a command of the package in a separate process, forked from one that has imported what all of them do."""
    return runner(*zygote, tmp_path_factory.mktemp("printed"))


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


@pytest.fixture(scope="session")
def make_place(new_store):
    """Make a folder a place to run commands in, with a store below `outputs`: that saves the first command seconds."""

    def make(folder: Path) -> Path:
        (folder / "outputs").mkdir()
        shutil.copy(new_store / "mlflow.db", folder / "outputs")
        return folder

    return make


@pytest.fixture
def place_with_store(tmp_path, make_place):
    """Such a folder of the test alone."""
    return make_place(tmp_path)


@pytest.fixture
def closed_port():
    """A port at which nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.fixture(scope="session")
def draw_faces():
    """Write a folder of images for every class, drawn scenes of the classes `none` and `all`."""

    def draw(folder: Path, classes, count):
        from PIL import Image

        from facemask_ensemble.scenes import draw_scene

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


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(folder)]
    subprocess.run([*command, str(Path(__file__).parents[1])], check=True, capture_output=True)
    (built,) = folder.glob("facemask_ensemble-*.whl")
    return built


@pytest.fixture(scope="session")
def installed(wheel, tmp_path_factory):
    """Run a program of a fresh environment that holds the wheel, sees the dependencies, and not the checkout."""
    place = tmp_path_factory.mktemp("elsewhere")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place / "venv")], check=True)
    programs = place / "venv" / "bin"
    pip = [sys.executable, "-m", "pip", "--python", str(programs / "python"), "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--no-index", str(wheel)], check=True)
    (packages,) = (place / "venv").glob("lib/python*/site-packages")
    # A path file of a folder that is itself named by one is not read: the checkout's stays unseen.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}

    def run(program, *arguments, cwd=place, **more):
        return subprocess.run(
            [str(programs / program), *map(str, arguments)],
            cwd=cwd,
            env=environment | more,
            capture_output=True,
            text=True,
            check=False,
        )

    return place, run
