"""Files on their way to workers: in order, and never many at a time."""

import threading

from processes import HANG

from facemask_ensemble.data.decoding import ImageError
from facemask_ensemble.data.input_images import Item
from facemask_ensemble.errors import InputError
from facemask_ensemble.prediction.engines import feed
from facemask_ensemble.prediction.engines.feed import Feeder, parcels


def refuse():
    raise ImageError("not a file")


def items(count):
    for number in range(count):
        yield Item(f"{number}.png", refuse if number == 2 else lambda number=number: bytes([number]))


def test_parcels_hold_every_image_once_in_order_with_its_file_or_its_reason():
    found = list(parcels(items(5), most=2))
    assert [(one.first, one.names) for one in found] == [
        (0, ["0.png", "1.png"]), (2, ["2.png", "3.png"]), (4, ["4.png"]),
    ]  # fmt: skip
    assert [file for one in found for file in one.files] == [b"\0", b"\1", b"", b"\3", b"\4"]
    unpacked = [item for one in found for item in one.items()]
    assert [item.read() for item in unpacked if item.name != "2.png"] == [b"\0", b"\1", b"\3", b"\4"]
    try:
        unpacked[2].read()
    except ImageError as error:
        assert str(error) == "not a file"


def test_a_parcel_of_large_files_is_closed_early(monkeypatch):
    monkeypatch.setattr(feed, "HEAVY", 100)
    heavy = (Item(str(number), lambda: bytes(60)) for number in range(5))
    assert [one.names for one in parcels(heavy)] == [["0", "1"], ["2", "3"], ["4"]]


def test_no_file_is_read_while_there_is_no_room_and_an_end_is_heeded():
    read, waited = [], threading.Event()

    def many():
        for number in range(1000):
            read.append(number)
            yield Item(str(number), bytes)

    def put(parcel):
        waited.set()
        return False

    feeder = Feeder(many(), put)
    feeder.start()
    assert waited.wait(HANG)
    feeder.end()
    assert not feeder.is_alive()
    assert len(read) == feed.PARCEL
    assert feeder.damage is None


def test_what_comes_before_damage_is_put_and_the_damage_is_kept():
    def broken():
        yield Item("a", bytes)
        raise InputError("the archive is damaged")

    taken = []
    feeder = Feeder(broken(), lambda parcel: taken.append(parcel) or True)
    feeder.run()
    assert str(feeder.damage) == "the archive is damaged"
    assert [parcel and parcel.names for parcel in taken] == [["a"], None]
