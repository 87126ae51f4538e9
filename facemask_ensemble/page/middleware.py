"""Middleware before Gradio: only the routes that the page needs are open.

Gradio can do more than this page asks of it: fetch addresses for a client, record the screen, edit its own code.
"""

import ipaddress
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

OPEN = re.compile(
    r"/(config/?|theme\.css|favicon\.ico|manifest\.json|robots\.txt)?"
    r"|/(assets|static|svelte)/[\w./@-]+"
    r"|/gradio_api/(info|openapi\.json|app_id|startup-events|theme\.css|upload|upload_progress|cancel|reset)/?"
    r"|/gradio_api/(queue/(join|data)|heartbeat/\w+|call/predict(/\w+)?)/?"
)
FILE = "/gradio_api/file="
LOCAL = ("localhost", "127.0.0.1", "::1")
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self' data:; worker-src 'self' blob:; "
        "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Gate:
    """Refuse requests that the page does not make, and forbid answers to load anything from other hosts.

    Args:
        app: behind the gate.
        host: at which the page is; where that is this machine alone, a browser must ask for it by such a name.
        sent: the folder of what was sent, of which files may be asked for.
    """

    def __init__(self, app: ASGIApp, host: str, sent: Path) -> None:
        self._app, self._alone, self._sent = app, _is_loopback(host), str(sent)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or answer that it may not."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await (self._refusal(scope) or self._app)(scope, receive, _with_headers(send))

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        headers = Headers(scope=scope)
        asked, origin = headers.get("host", ""), headers.get("origin")
        if self._alone and _name(asked) not in LOCAL:  # another name that was made to lead here
            return PlainTextResponse("this page answers only requests from this machine", 421)
        if origin is not None and urlsplit(origin).netloc != asked:
            return PlainTextResponse("only the page itself may send requests", 403)
        path = unquote(scope["path"])
        if ".." not in path and (OPEN.fullmatch(path) or path.startswith(f"{FILE}{self._sent}/")):
            return None
        return PlainTextResponse("not found", 404)


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(HEADERS)
        await send(message)

    return sent


def _name(netloc: str) -> str:
    return urlsplit(f"//{netloc}").hostname or ""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
