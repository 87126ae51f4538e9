"""A process that has imported what many commands import, and forks for each: that saves seconds of every command.

`python zygote.py SOCKET [MODULE ...]` imports the modules and listens. A request is a line, JSON with the program's
arguments as after `python`, its folder, its environment, and which signals it ignores and holds back, and with it come
its three streams. The answers are two lines: the id of the process, and its exit status. If whoever asked goes away
before, the process is killed.

`python -IS preloaded.py` is the other side: what stands in for `python` where a command starts a training.
"""

import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys

OWN = dict(os.environ)
STOPS = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL, signal.SIGHUP: signal.SIG_DFL}


def become(request: dict, streams: list[int]) -> None:
    """Be the process of `python ARGUMENTS`, started in the folder."""
    for descriptor, stream in enumerate(streams):
        os.dup2(stream, descriptor)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
    os.chdir(request["cwd"])
    set_by_imports = {name: value for name, value in os.environ.items() if OWN.get(name) != value}
    os.environ.clear()
    os.environ.update(set_by_imports | request["environment"])
    named = request["environment"].get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:1] = [request["cwd"], *filter(None, named)]
    sys.executable = request["executable"]
    first, *arguments = request["arguments"]
    sys.orig_argv = [sys.executable, first, *arguments]
    if first == "-m":
        sys.argv = ["", *arguments[1:]]
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = [first, *arguments]
        runpy.run_path(first, run_name="__main__")


def set_signals(request: dict) -> None:
    """Ignore and hold back those signals that the process does from its start."""
    for number, default in STOPS.items():
        signal.signal(number, signal.SIG_IGN if number in request["ignored"] else default)
    signal.pthread_sigmask(signal.SIG_SETMASK, request["blocked"])


def keep(connection: socket.socket, child: int) -> None:
    """Answer with the child's id and, when it has ended, its status; kill it where nobody waits for it any more."""
    ended = os.pidfd_open(child)
    connection.sendall(f"{child}\n".encode())
    ready, _, _ = select.select([ended, connection], [], [])
    if ended not in ready:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    with contextlib.suppress(OSError):
        connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())


def serve(listening: socket.socket) -> None:
    """Fork for every request, until the zygote's own input ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        ready, _, _ = select.select([listening, 0], [], [])
        if 0 in ready:
            os._exit(0)
        connection, _ = listening.accept()
        if os.fork():
            connection.close()
            continue
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        listening.close()
        content, streams, _, _ = socket.recv_fds(connection, 1 << 20, 3)
        while not content.endswith(b"\n"):
            content += connection.recv(1 << 20)
        request = json.loads(content)
        set_signals(request)
        if child := os.fork():
            for stream in streams:
                os.close(stream)
            keep(connection, child)
            os._exit(0)
        connection.close()
        return become(request, streams)


if __name__ == "__main__":
    gc.disable()
    for name in sys.argv[2:]:
        importlib.import_module(name)
    gc.freeze()  # or the first collection of every fork would copy all of it
    gc.enable()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(sys.argv[1])
        listening.listen(16)
        print("ready", flush=True)
        serve(listening)
