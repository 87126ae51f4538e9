"""Run commands in processes forked from one that has imported what they need: see zygote.py and preloaded.py."""

import json
import os
import socket
import subprocess
from contextlib import ExitStack, contextmanager
from pathlib import Path

from processes import HANG

# What commands import, and the trainings that they start.
IMPORTED = (
    "hydra", "matplotlib.backends.backend_agg", "pandas", "sklearn.model_selection", "cleanlab.filter",
    "facemask_ensemble.tracking", "mlflow.store.tracking.sqlalchemy_store", "alembic.command", "pyarrow.parquet",
    "facemask_ensemble.training.member",
)  # fmt: skip


@contextmanager
def forking(python, folder):
    """Start the process to fork from; give its socket, and the program that stands in for `python`."""
    place, program = folder / "socket", folder / "python"
    command = [python, Path(__file__).parent / "zygote.py", place, *IMPORTED]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        known = f"ZYGOTE, PYTHON = {str(place)!r}, {str(python)!r}"
        program.write_text(f"#!{python} -IS\n{known}\n{(Path(__file__).parent / 'preloaded.py').read_text()}")
        program.chmod(0o755)
        yield str(place), str(program)
        process.stdin.close()
        process.wait(HANG)


def runner(zygote, preloaded, printed):
    """Give a function that runs a command of the package.

    What the command starts is started by its `python`; where that is not given, by one that forks trainings too.
    """

    def run(name, *arguments, cwd, python=None, **environment):
        files = [printed / stream for stream in ("stdout", "stderr")]
        asks = {
            "arguments": ["-m", f"facemask_ensemble.{name}", *map(str, arguments)],
            "cwd": str(cwd),
            "executable": str(python or preloaded),
            "environment": {**os.environ, **environment},
            "ignored": [],
            "blocked": [],
        }
        with socket.socket(socket.AF_UNIX) as asked, ExitStack() as opened:
            asked.connect(zygote)
            asked.settimeout(HANG)
            streams = [opened.enter_context(open(os.devnull))]
            streams += [opened.enter_context(file.open("w")) for file in files]
            socket.send_fds(asked, [f"{json.dumps(asks)}\n".encode()], [stream.fileno() for stream in streams])
            answers = asked.makefile()
            answers.readline()
            try:
                status = int(answers.readline())
            except TimeoutError:  # the zygote kills what nobody waits for
                raise AssertionError(f"{name} {arguments} hangs: {[file.read_text() for file in files]}") from None
        return subprocess.CompletedProcess(asks["arguments"], status, *[file.read_text() for file in files])

    return run
