import io
import json
import struct
import zlib
from functools import partial

import numpy as np
import pandas as pd
import pytest
from composed import settings_of
from PIL import Image


def encoded(image, kind, **options):
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def blocks(seed, size=(60, 44)):
    """Draw an image of sixteen random colours."""
    colours = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    return Image.fromarray(colours).resize(size, Image.Resampling.NEAREST)


def with_alpha():
    image = blocks(1).convert("RGBA")
    image.putalpha(128)
    return encoded(image, "PNG")


def turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(blocks(2), "JPEG", exif=exif, quality=95)


def bomb(side=20_000):
    """Write a PNG whose header says that it is enormous, around a few bytes."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def deep():
    grey = np.random.default_rng(3).integers(0, 65536, (4, 4), np.uint16).repeat(12, 0).repeat(12, 1)
    return encoded(Image.fromarray(grey), "PNG")


@pytest.fixture(scope="session")
def images_and_reasons():
    """Twenty files' contents by name, ten of them odd, and why some of these cannot be read."""
    whole = encoded(Image.effect_noise((80, 80), 90).convert("RGB"), "JPEG")
    contents = {
        "alpha.png": with_alpha(),
        "palette.gif": encoded(blocks(4).quantize(16), "GIF"),
        "turned.jpg": turned(),
        "cmyk.jpg": encoded(blocks(5).convert("CMYK"), "JPEG"),
        "deep.png": deep(),
        "truncated.jpg": whole[: len(whole) // 2],
        "empty.png": b"",
        "text.jpg": b"no image",
        "bomb.png": bomb(),
        "huge.png": encoded(blocks(6), "PNG") + bytes(3_000_000),
    }
    contents |= {
        f"usual{number}.{kind}": encoded(blocks(100 + number, (70 + 9 * number, 60)), {"jpg": "JPEG"}.get(kind, "PNG"))
        for number, kind in enumerate(["png", "jpg"] * 5)
    }
    reasons = {
        "truncated.jpg": "truncated",
        "empty.png": "empty file",
        "text.jpg": "not an image",
        "bomb.png": "million pixels",
    }
    return contents, reasons


@pytest.fixture(scope="module")
def twenty(tmp_path_factory, images_and_reasons):
    """A folder of the twenty files."""
    folder = tmp_path_factory.mktemp("twenty")
    for name, content in images_and_reasons[0].items():
        (folder / name).write_bytes(content)
    return folder


COLOURS = ("red", "green", "blue")
SIZES = (8, 12, 8)


def save_members(folder):
    """Save three classifiers that answer `bright` by the mean of red, of green and of blue; return files by name."""
    import keras

    from facemask_ensemble.models.classifier import build_classifier

    files = {}
    for channel, (name, size) in enumerate(zip(COLOURS, SIZES, strict=True)):
        scaled = partial(keras.layers.Rescaling, 1 / 255)
        model = build_classifier(name, lambda pixels, scaled=scaled: scaled()(pixels), size, 2, dropout=0.0)
        kernel = np.zeros((3, 2), "float32")
        kernel[channel, 1] = 4
        model.get_layer("probabilities").set_weights([kernel, np.array([2, 0], "float32")])
        files[name] = folder / name / "model.keras"
        files[name].parent.mkdir(parents=True)
        model.save(files[name])
    return files


@pytest.fixture(scope="session")
def shipped(tmp_path_factory, make_place):
    """A place with a store, in whose registry three small members and their majority are `lights@champion`."""
    from facemask_ensemble import tracking
    from facemask_ensemble.settings.ship import ShipSettings
    from facemask_ensemble.ship import ship

    place = make_place(tmp_path_factory.mktemp("shipped"))
    outputs = place / "outputs"
    store = tracking.open_store(None, outputs)
    members = []
    for name, file in save_members(place).items():
        tags = {"kind": "member", "backbone": name, "image_size": "8", "parameters": "8", "init": "weights by hand"}
        run_id = tracking.start_run(store, "lights", name, tags, {})
        tracking.finish_run(store, run_id, files=file.parent, metrics={})
        members.append({"name": name, "run_id": run_id, "weight": None, "milliseconds": 1.0})
    log_report(store, place, members)
    ship(settings_of(ShipSettings, "ship", f"output_dir={outputs}"))
    return place


def log_report(store, place, members):
    from facemask_ensemble import tracking

    about = {
        "name": "lights", "rule": "majority", "ties": "mean_probability", "tie_arguments": {}, "learned": {},
        "class_names": ["dark", "bright"], "members": members, "fingerprint": "f1", "study": "lights",
    }  # fmt: skip
    card = {"accuracy": 0.5, "accuracy_interval": [0.4, 0.6], "images": 2, "sentence": "Half of them."}
    folder = place / "report" / "ensemble"
    folder.mkdir(parents=True)
    for name, content in (("ensemble", about), ("card", card)):
        (folder / f"{name}.json").write_text(json.dumps(content))
    (folder / "card.html").write_text("the card")
    answers = pd.DataFrame({"sha256": ["a", "b"], "label": [0, 1], "prediction": [0, 0]})
    answers.to_parquet(folder / "answers.parquet", index=False)
    run_id = tracking.start_run(store, "lights", "report", {"kind": "report"}, {})
    tracking.finish_run(store, run_id, files=folder.parent, metrics={})
    return run_id
