"""Delay signals that stop a command until a transaction has ended."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from facemask_ensemble.signals import ONE_REQUEST_SECONDS, STOPS


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let the first signal to stop wait for the end of the block, or of the function that this decorates.

    An interrupted transaction keeps a database locked as long as the traceback lives: too long to say in it that the
    run was stopped. A signal that comes later than `ONE_REQUEST_SECONDS` takes effect immediately, because a
    server may not answer. Only the main thread gets signals; in another thread nothing changes.
    """
    handlers = {number: signal.getsignal(number) for number in STOPS}
    came: list[tuple[int, float]] = []

    def wait(number: int, frame: object) -> None:
        handler = handlers[signal.Signals(number)]
        now = time.monotonic()
        if came and now - came[0][1] >= ONE_REQUEST_SECONDS and callable(handler):
            handler(number, frame)  # type: ignore[arg-type]
        came.append((number, now))

    heeded = [number for number, handler in handlers.items() if callable(handler)]
    if threading.current_thread() is not threading.main_thread():
        heeded = []
    try:
        for number in heeded:
            signal.signal(number, wait)
        yield
    finally:
        for number in heeded:
            signal.signal(number, handlers[number])
        if came:
            signal.raise_signal(came[0][0])
