"""What stands in for `python` in tests: what our commands start is forked from a zygote that has imported TensorFlow.

Anything else is done by the real `python`. The fixture `preloaded` puts two lines before these, ZYGOTE, the socket, and
PYTHON, and makes it a program.
"""

import json
import os
import signal
import socket
import sys

COMMANDS = ("facemask_ensemble.train", "facemask_ensemble.tune")
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
STARTED = ("facemask_ensemble.training.subprocess_call", "facemask_ensemble.training.member_process")
COMMAND = "import runpy, sys; sys.executable, sys.argv = sys.argv[1], sys.argv[2:]; del sys.path[0]; "
COMMAND += "sys.path.insert(0, ''); runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"


def main() -> None:
    """Be the process, or start it, hand on the signals that reach this one, and end as it ends."""
    arguments, own = sys.argv[1:], os.path.abspath(sys.argv[0])
    module = arguments[1] if arguments[:1] == ["-m"] else ""
    if module in COMMANDS:
        os.execv(PYTHON, [PYTHON, "-c", COMMAND, own, *arguments[1:]])  # noqa: F821
    plain = os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow" and "XLA_FLAGS" not in os.environ
    if module not in STARTED or not plain or "PYTHONPATH" in os.environ:
        os.execv(PYTHON, [PYTHON, *arguments])  # noqa: F821
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
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


main()
