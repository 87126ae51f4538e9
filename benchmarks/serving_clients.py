"""MLflow's server of a model, and the clients that ask it: for the bench."""

import base64
import http.client
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

TIMEOUT_SECONDS = 300  # time limits in seconds: for a server to start, and for a request


@dataclass(frozen=True)
class Server:
    """A server that listens at a port of this machine, and its process."""

    port: int
    process: "subprocess.Popen[bytes]"

    def ask(self, connection: http.client.HTTPConnection, body: bytes) -> dict[str, Any]:
        """Post one image; return its row.

        Raises:
            RuntimeError: it was not answered.
        """
        connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {text[:200]!r}")
        row: dict[str, Any] = json.loads(text)["predictions"][0]
        return row

    def connect(self) -> http.client.HTTPConnection:
        """Open a connection that is kept."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_SECONDS)

    def megabytes(self) -> float:
        """Give the memory that the server and what it started have for themselves."""
        family = [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]
        return sum(process.memory_info().rss for process in family) / 1e6


@dataclass(frozen=True)
class Siege:
    """What many clients at once saw: answers, errors, seconds each took, and the server's megabytes over time."""

    answers: int
    errors: Sequence[str]
    seconds: Sequence[float]
    megabytes: Sequence[float]

    @property
    def growth(self) -> float:
        """Compare the server's memory in the last quarter with that in the second."""
        quarter = max(1, len(self.megabytes) // 4)
        return statistics.median(self.megabytes[-quarter:]) / statistics.median(self.megabytes[quarter : 2 * quarter])


@contextmanager
def serving(model: Path, settings: Mapping[str, Any], log: Path) -> Iterator[Server]:
    """Start MLflow's server of a model at 127.0.0.1, and stop it at the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(model), "--env-manager", "local"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    given = {"SERVING_MODEL_CONFIG": json.dumps(dict(settings)), "PATH": path, "MLFLOW_DISABLE_TELEMETRY": "true"}
    with log.open("w") as printed:
        process = subprocess.Popen(
            [*start, "--host", "127.0.0.1", "--port", str(port)],
            env={**os.environ, **given},
            stdout=printed,
            stderr=printed,
            start_new_session=True,
        )
    try:
        server = Server(port, process)
        _wait_for(server, log)
        yield server
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def bodies(files: Sequence[str]) -> list[bytes]:
    """Write a request for each image."""
    contents = [base64.b64encode(Path(file).read_bytes()).decode() for file in files]
    return [json.dumps({"dataframe_split": {"columns": ["image"], "data": [[one]]}}).encode() for one in contents]


def besiege(server: Server, requests: Sequence[bytes], clients: int, seconds: float) -> Siege:
    """Run several clients for some seconds; each sends one request after another, and they take the images in turn."""
    end, errors, times, memory = time.monotonic() + seconds, list[str](), list[float](), list[float]()

    def client(number: int) -> None:
        connection = server.connect()
        place = number
        while time.monotonic() < end:
            started = time.perf_counter()
            try:
                server.ask(connection, requests[place % len(requests)])
                times.append(time.perf_counter() - started)
            except (RuntimeError, OSError, http.client.HTTPException) as error:
                errors.append(str(error))
                connection.close()
            place += clients

    with ThreadPoolExecutor(clients) as pool:
        asking = [pool.submit(client, number) for number in range(clients)]
        while time.monotonic() < end:
            memory.append(server.megabytes())
            time.sleep(min(1.0, seconds / 20))
        for one in asking:
            one.result()
    return Siege(len(times), errors, times, memory)


def _wait_for(server: Server, log: Path) -> None:
    end = time.monotonic() + TIMEOUT_SECONDS
    while server.process.poll() is None and time.monotonic() < end:
        try:
            connection = server.connect()
            connection.request("GET", "/ping")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"the server did not start: {log.read_text()[-2000:]}")
