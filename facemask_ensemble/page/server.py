"""Serve the page on one address, with only the routes that it needs."""

import logging
import os
import signal
import socket
import tempfile
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import uvicorn

from facemask_ensemble.errors import InputError
from facemask_ensemble.page.service import Desk
from facemask_ensemble.signals import STOPS, handlers_kept

if TYPE_CHECKING:
    from starlette.applications import Starlette

WAITING = 32  # questions in the queue; another one is turned away
SESSIONS = 64  # browsers whose answers are remembered
GOODBYE = 1  # seconds that open connections are given at the end


class Server(uvicorn.Server):
    """A server that may stop while pages are open, without an error."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop, and print nothing about connections that break."""
        logging.getLogger("uvicorn.error").disabled = True
        super().handle_exit(sig, frame)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle SIGHUP too, and keep ignoring the signals that the command ignores."""
        before = {number: signal.getsignal(number) for number in STOPS}
        with super().capture_signals(), handlers_kept():
            for number, handler in before.items():
                signal.signal(number, self.handle_exit if callable(handler) else handler)
            yield


def bind(host: str, port: int) -> socket.socket:
    """Listen on the address before anything slow starts.

    Raises:
        InputError: it is taken, or is none of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        raise InputError(
            f"host={host} port={port}: the page cannot listen there ({error.strerror}); give another port, or 0 for "
            "any free one"
        ) from None
    return listener


def serve(desk: Desk, listener: socket.socket, keep_seconds: float, open_browser: bool) -> None:
    """Serve the page until Ctrl-C; what was sent to it is deleted after so many seconds, and at the end."""
    host, port = listener.getsockname()[:2]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    with tempfile.TemporaryDirectory(prefix="facemask-page-") as kept:
        config = uvicorn.Config(
            make_app(desk, Path(kept), address, keep_seconds), log_level="warning", timeout_graceful_shutdown=GOODBYE
        )
        listener.listen()
        print(f"page: {address} (Ctrl-C stops it)", flush=True)
        if open_browser:
            webbrowser.open(address)
        Server(config).run(sockets=[listener])


def make_app(desk: Desk, kept: Path, address: str, keep_seconds: float) -> "Starlette":
    """Make the web application of a page.

    Args:
        desk: that answers.
        kept: an empty folder, for what is sent.
        address: at which the page is.
        keep_seconds: after which what was sent is deleted.
    """
    kept.chmod(0o700)
    os.environ |= {
        "GRADIO_TEMP_DIR": str(kept / "sent"),
        "GRADIO_EXAMPLES_CACHE": str(kept / "examples"),
        "GRADIO_ANALYTICS_ENABLED": "False",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    import gradio as gr
    from fastapi import FastAPI

    from facemask_ensemble.page.blocks import build_page
    from facemask_ensemble.page.middleware import Gate
    from facemask_ensemble.page.theme import STYLE, theme

    page = build_page(desk, keep_seconds, address)
    host = urlsplit(address).hostname or ""
    page.queue(max_size=WAITING, api_open=False)
    page.state_session_capacity = SESSIONS
    page.has_launched = True  # Gradio checks only then whether a file was sent to it
    app = FastAPI(openapi_url=None)
    gr.mount_gradio_app(
        app,
        page,
        "/",
        server_name=host,
        footer_links=[],
        run_history=False,
        allowed_paths=[],
        show_error=False,
        max_file_size=int(desk.limits.megabytes * 1e6),
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        theme=theme(),
        css_paths=STYLE,
    )
    app.add_middleware(Gate, host=host, sent=kept / "sent")
    return app
