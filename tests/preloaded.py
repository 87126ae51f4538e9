"""What stands in for `python` in tests: what our commands start is forked from a zygote that has imported TensorFlow.

Anything else is done by the real `python`, with this program as `sys.executable`, so that what a launcher's workers
start is forked too. `commands.forking` puts two lines before these, ZYGOTE, the socket, and PYTHON, and makes it a
program.
"""

import json
import os
import signal
import socket
import sys

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
FORKED = (
    "facemask_ensemble.training.subprocess_call",
    "facemask_ensemble.training.member_process",
    "facemask_ensemble.tuning.workers",
    "facemask_ensemble.app",
    "facemask_ensemble.predict",
    "facemask_ensemble.webcam",
    "benchmarks.training_baselines",
    "child.py",  # what a test puts in a training's place
)
PROGRAM = """
import os, runpy, sys
sys.executable, kind, *sys.argv = sys.argv[1:]
if kind == "-m":
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
else:
    sys.path[0] = os.path.dirname(os.path.abspath(sys.argv[0]))
    runpy.run_path(sys.argv[0], run_name="__main__")
"""


def main() -> None:
    """Be the process, or start it, hand on the signals that reach this one, and end as it ends."""
    arguments, own = sys.argv[1:], os.path.abspath(sys.argv[0])
    at = next((place for place, word in enumerate(arguments) if word == "-m" or not word.startswith("-")), None)
    if at is None or "-c" in arguments[:at]:
        os.execv(PYTHON, [PYTHON, *arguments])  # noqa: F821
    module = arguments[at + 1] if arguments[at] == "-m" else os.path.basename(arguments[at])
    plain = os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow" and "XLA_FLAGS" not in os.environ
    if module not in FORKED or not plain:
        kind = [] if arguments[at] == "-m" else ["file"]
        os.execv(PYTHON, [PYTHON, *arguments[:at], "-c", PROGRAM, own, *kind, *arguments[at:]])  # noqa: F821
    request = {
        "arguments": arguments,
        "cwd": os.getcwd(),
        "executable": own,
        "environment": dict(os.environ),
        "ignored": [number for number in STOPS if signal.getsignal(number) == signal.SIG_IGN],
        "blocked": list(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    }
    with socket.socket(socket.AF_UNIX) as asked:
        asked.connect(ZYGOTE)  # noqa: F821
        socket.send_fds(asked, [f"{json.dumps(request)}\n".encode()], [0, 1, 2])
        os.close(0)  # or it would keep the pipe open by which a training sees that its command is gone
        answers = asked.makefile()
        child = int(answers.readline())
        for number in STOPS:
            if number not in request["ignored"]:
                signal.signal(number, lambda number, frame: os.kill(child, number))
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        status = int(answers.readline())
    if status < 0:
        if -status in STOPS:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


main()
