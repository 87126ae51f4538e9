import asyncio
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason='pip install "facemask-ensemble[app]"')

from facemask_ensemble.page.middleware import Gate


def asked(path, host="127.0.0.1", headers=()):
    """Ask through a gate, behind which everything is answered with 200; return the status and the headers."""
    sent = []

    async def behind(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def send(message):
        sent.append(message)

    given = [(name.encode(), value.encode()) for name, value in {"host": "127.0.0.1:7860", **dict(headers)}.items()]
    scope = {"type": "http", "method": "GET", "path": path, "headers": given, "query_string": b""}
    asyncio.run(Gate(behind, host, Path("/kept/sent"))(scope, None, send))
    return sent[0]["status"], {name.decode(): value.decode() for name, value in sent[0]["headers"]}


@pytest.mark.parametrize(
    "path",
    ["/", "/config", "/theme.css", "/assets/index-a1.js", "/gradio_api/upload", "/gradio_api/queue/join",
     "/gradio_api/call/predict/0a1b", "/gradio_api/heartbeat/abc", "/gradio_api/file=/kept/sent/0a/photo.jpg"],
)  # fmt: skip
def test_what_the_page_needs_passes(path):
    assert asked(path)[0] == 200


@pytest.mark.parametrize(
    "path",
    ["/gradio_api/file=/etc/passwd", "/gradio_api/file=/kept/sent", "/gradio_api/file=http://host/a", "/login",
     "/gradio_api/proxy=http://host/a", "/gradio_api/run/predict", "/gradio_api/call/other", "/docs", "/openapi.json"],
)  # fmt: skip
def test_nothing_else_passes(path):
    assert asked(path)[0] == 404


def test_a_path_that_climbs_out_does_not_pass():
    assert asked("/gradio_api/file=/kept/sent/../../etc/passwd")[0] == 404
    assert asked("/gradio_api/file=/kept/sent/%2e%2e/%2e%2e/etc/passwd")[0] == 404
    assert asked("/assets/../../secret")[0] == 404


def test_a_page_for_this_machine_alone_answers_to_its_names_alone():
    assert asked("/", headers={"host": "localhost:7860"}.items())[0] == 200
    assert asked("/", headers={"host": "rebound.example:7860"}.items())[0] == 421
    assert asked("/", host="0.0.0.0", headers={"host": "desk.example:7860"}.items())[0] == 200


def test_only_the_page_itself_asks():
    assert asked("/gradio_api/upload", headers={"origin": "http://127.0.0.1:7860"}.items())[0] == 200
    for origin in ("http://evil.example", "null", "http://127.0.0.1:8000"):
        assert asked("/gradio_api/upload", headers={"origin": origin}.items())[0] == 403


def test_what_is_answered_may_load_nothing_from_elsewhere():
    _, headers = asked("/")
    assert headers["content-security-policy"].startswith("default-src 'self';")
    assert headers["x-content-type-options"] == "nosniff"
