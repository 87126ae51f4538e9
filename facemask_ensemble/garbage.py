"""Python's garbage collection, paused where very many objects are made that stay."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def collection_paused() -> Iterator[Callable[[], None]]:
    """Look for no garbage in this block: imports and the tracing of a network make almost none.

    Python would look through all objects again and again while their number grows, which takes seconds.

    Yields:
        What ends the pause before the block does.
    """
    resume = gc.enable if gc.isenabled() else lambda: None
    gc.disable()
    try:
        yield resume
    finally:
        resume()
