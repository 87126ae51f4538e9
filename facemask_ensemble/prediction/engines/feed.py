"""Feed image files to workers: in order, and only some at a time."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from facemask_ensemble.data.decoding import ImageError
from facemask_ensemble.data.input_images import Item
from facemask_ensemble.errors import InputError

PARCEL = 64  # images that a worker is given at once
HEAVY = 64_000_000  # bytes of files in a parcel, but for one that is larger alone


@dataclass(frozen=True)
class Parcel:
    """Images that travel together: their names, their files, and why a file cannot be read, else "".

    `first` is the place of the first among all.
    """

    first: int
    names: list[str]
    files: list[bytes]
    reasons: list[str]

    def items(self) -> Iterator[Item]:
        """Unpack the images."""
        for name, file, reason in zip(self.names, self.files, self.reasons, strict=True):
            yield Item(name, _reader(file, reason))


def parcels(items: Iterator[Item], most: int = PARCEL) -> Iterator[Parcel]:
    """Read the files of images, some at a time.

    Raises:
        InputError: the input ends in damage; what came before it is yielded first.
    """
    parcel, damage = Parcel(0, [], [], []), None
    try:
        for item in items:
            file, reason = _read(item)
            parcel.names.append(item.name)
            parcel.files.append(file)
            parcel.reasons.append(reason)
            if len(parcel.names) == most or sum(map(len, parcel.files)) > HEAVY:
                yield parcel
                parcel = Parcel(parcel.first + len(parcel.names), [], [], [])
    except InputError as error:
        damage = error
    if parcel.names:
        yield parcel
    if damage:
        raise damage


class Feeder(threading.Thread):
    """A thread that puts parcels into a queue, and None at their end.

    `put` puts one, waiting for room for a while, and tells whether there was any. `damage` is what ended the input
    before its end, to be raised once all that came before it is answered.
    """

    def __init__(self, items: Iterator[Item], put: Callable[[Parcel | None], bool]) -> None:
        super().__init__(daemon=True)
        self.damage: InputError | None = None
        self._items, self._put, self._ended = items, put, threading.Event()

    def run(self) -> None:
        """Put one parcel after another."""
        try:
            for parcel in parcels(self._items):
                self._insist(parcel)
                if self._ended.is_set():
                    return
        except InputError as damage:
            self.damage = damage
        self._insist(None)

    def end(self) -> None:
        """Stop putting parcels, and wait for the thread to end."""
        self._ended.set()
        self.join()

    def _insist(self, parcel: Parcel | None) -> None:
        while not self._ended.is_set() and not self._put(parcel):
            pass


def _read(item: Item) -> tuple[bytes, str]:
    try:
        return item.read(), ""
    except ImageError as error:
        return b"", str(error) or "cannot be read"


def _reader(file: bytes, reason: str) -> Callable[[], bytes]:
    def read() -> bytes:
        if reason:
            raise ImageError(reason)
        return file

    return read
