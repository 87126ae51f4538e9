"""The bench of the service: what it counts, on a server that stands in for MLflow's."""

import itertools
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import psutil
import pytest

from benchmarks import serving, serving_clients
from benchmarks.serving_clients import Server, Siege, besiege, bodies


@pytest.fixture
def server():
    """A server that answers after 20 ms as if two of three members had been asked, and fails every tenth time."""
    numbers = itertools.count(1)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert body["dataframe_split"]["columns"] == ["image"]
            number = next(numbers)
            time.sleep(0.02)
            status = 500 if number % 10 == 0 and handlers.fails else 200
            row = {"vote_a": "none", "vote_b": "all", "vote_c": ""}
            text = json.dumps({"predictions": [row]}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass

    handlers = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    handlers.fails = False
    threading.Thread(target=handlers.serve_forever, daemon=True).start()
    yield Server(handlers.server_address[1], SimpleNamespace(pid=psutil.Process().pid)), handlers
    handlers.shutdown()
    handlers.server_close()


@pytest.fixture
def requests(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"an image")
    return bodies([str(tmp_path / "a.jpg")] * 10)


def test_an_answer_is_compared_with_the_evaluations_that_were_made_for_it(server, requests):
    alone = {"a": 0.004, "b": 0.006, "c": 5.0}
    time_, ratio = serving._one_client(server[0], requests, alone, "three members")
    assert "2.0 evaluations an answer, which take 10 ms alone" in time_.figure
    assert (ratio.bound, ratio.met) == ("at most 2", False)
    assert 2 <= float(ratio.figure) < 1000


def test_many_clients_are_counted_with_the_errors_that_they_saw(server, requests, monkeypatch):
    clock = itertools.count()  # seconds: it is asked before every request, and by whoever looks at the memory
    now = SimpleNamespace(
        monotonic=lambda: next(clock), perf_counter=time.perf_counter, sleep=lambda _: time.sleep(0.1)
    )
    monkeypatch.setattr(serving_clients, "time", now)
    server[1].fails = True
    seen = besiege(server[0], requests, clients=4, seconds=100)
    assert 12 <= seen.answers == len(seen.seconds)
    assert abs(len(seen.errors) - (seen.answers + len(seen.errors)) // 10) <= 1
    assert seen.errors[0].startswith("500")
    assert min(seen.megabytes) > 10


@pytest.mark.parametrize(
    ("megabytes", "growth"), [([5, 100, 100, 100], 1.0), ([1, 1, 100, 101, 109, 120, 150, 151], 1.5), ([7, 7], 1.0)]
)
def test_growth_is_the_last_quarter_over_the_second(megabytes, growth):
    assert Siege(0, [], [], megabytes).growth == pytest.approx(growth, rel=0.01)
