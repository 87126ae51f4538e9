"""Face by face through the command line: `predict detector=…` for images, `webcam` for a video."""

import json
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from composed import settings_of
from PIL import Image, ImageColor
from processes import start, wait_until

from facemask_ensemble.data.inputs import open_input
from facemask_ensemble.errors import InputError
from facemask_ensemble.faces.drawing import STYLES, strip_height
from facemask_ensemble.faces.recording import Recorder
from facemask_ensemble.faces.video import Footage
from facemask_ensemble.predict import predict
from facemask_ensemble.prediction.columnar import to_parquet
from facemask_ensemble.prediction.face_predictions import COLUMNS, COUNTS
from facemask_ensemble.prediction.results_table import AnswerTable
from facemask_ensemble.scenes import draw_scene
from facemask_ensemble.settings.predict import PredictSettings
from facemask_ensemble.settings.webcam import WebcamSettings
from facemask_ensemble.webcam import watch

CLASSES = ["with_mask", "without_mask"]
RED, BLUE = (210, 20, 30), (20, 40, 220)
STUBS = """
import json, time
from facemask_ensemble.faces.boxes import Box

class Halves:
    def __init__(self, **settings):
        pass

    def __call__(self, image):
        height, width = image.shape[:2]
        right, left = Box(width // 2, 0, width - width // 2, height, 0.5), Box(0, 0, width // 2, height)
        return [right, left][: width % 3]

class Truth:
    def __init__(self, **settings):
        self.frames = iter(json.load(open("truth.json")))

    def __call__(self, image):
        return [Box(*box) for box in next(self.frames)]

class Slow(Halves):
    def __call__(self, image):
        time.sleep(0.02)
        return super().__call__(image)
"""
HALVES = ("detector=haar", "detector.find._target_=stubs.Halves", "detector.margin=0")


@pytest.fixture(scope="module")
def place(tmp_path_factory, make_place):
    """A place with two members that take red for a mask and blue for none, photographs, and a video of drawn people."""
    from facemask_ensemble import tracking

    place = make_place(tmp_path_factory.mktemp("faces"))
    store = tracking.open_store(None, place / "outputs")
    for name, size in (("small", 8), ("large", 12)):
        log_member(store, place / f"files-{name}", name, size)
    (place / "stubs.py").write_text(STUBS)
    (place / "photos").mkdir()
    for number in range(14):
        Image.fromarray(photo(number)).save(place / "photos" / f"{number:02d}.png")
    (place / "photos" / "05.png").write_text("no image")
    scenes = [draw_scene(seed=3, index=number, size=320) for number in range(9)]
    boxes = [[[x0, y0, x1 - x0, y1 - y0] for x0, y0, x1, y1 in (face.box for face in scene.faces)] for scene in scenes]
    (place / "truth.json").write_text(json.dumps(boxes))
    film(place / "drawn.mp4", [scene.pixels for scene in scenes])
    return place


@pytest.fixture
def here(place, monkeypatch):
    """Call what a command does in this process, in the place, with the config that it would compose."""
    monkeypatch.chdir(place)
    monkeypatch.syspath_prepend(str(place))

    def call(work, name, *overrides):
        kind, given, images = WebcamSettings, [], []
        if name == "predict":
            kind, given, images = PredictSettings, [f"input={place}/photos"], [open_input("photos")]
        settings = settings_of(kind, name, *given, *overrides)
        return work(settings, *images, {"voting": "majority", "ties": "mean_probability"})

    return call


def log_member(store, folder, name, size):
    """Log a classifier made by hand as a training does: e^(8 red) : e^(8 blue) are the odds of a mask."""
    import keras

    from facemask_ensemble import tracking
    from facemask_ensemble.models.classifier import build_classifier

    model = build_classifier(name, lambda pixels: keras.layers.Rescaling(1 / 255)(pixels), size, 2, dropout=0.0)
    model.get_layer("probabilities").set_weights(
        [np.diag([8.0, 0, 8])[:, [0, 2]].astype("float32"), np.zeros(2, "float32")]
    )
    folder.mkdir()
    model.save(folder / "model.keras")
    tags = {
        "kind": "member", "backbone": name, "image_size": str(size), "parameters": str(size), "init": "by hand",
        "precision": "float32", "dataset": "folders", "fingerprint": "f", "class_names": json.dumps(CLASSES),
    }  # fmt: skip
    tracking.finish_run(store, tracking.start_run(store, "faces", name, tags, {}), files=folder, metrics={})


def masks_of(number):
    """Tell which of a photograph's faces wear a mask: the right one alone where there is one, the left one before."""
    return [number // 3 % 2 == 0, number % 2 == 0][2 - number % 3 :]


def photo(number):
    """Draw a photograph of 60 + number pixels across, its two halves red for a mask and blue for none."""
    image = np.zeros((40, 60 + number, 3), np.uint8)
    half = (60 + number) // 2
    image[:, :half] = RED if number // 3 % 2 == 0 else BLUE
    image[:, half:] = RED if number % 2 == 0 else BLUE
    return image


def film(file, images, rate=10.0):
    height, width = images[0].shape[:2]
    recorder = Recorder(file, rate, (width, height), None)
    for number, image in enumerate(images):
        recorder.write(image, number / rate)
    recorder.close()


@pytest.fixture(scope="module")
def answered(place, command):
    """The photos answered face by face, and what was printed."""
    done = command("predict", "input=photos", *HALVES, "output=whole/answers.csv", cwd=place)
    assert done.returncode == 0, done.stderr
    return done, pd.read_csv(place / "whole" / "answers.csv"), pd.read_csv(place / "whole" / "faces.csv")


@pytest.mark.heavy
def test_every_image_has_a_row_and_every_face_one_of_its_own(place, answered):
    """An image of w pixels across has w % 3 faces: 0 for 60, 1 for 61 (the right half), 2 for 62."""
    done, table, faces = answered
    assert table["path"].tolist() == [f"photos/{number:02d}.png" for number in range(14)]
    assert table.loc[5, ["prediction", "reason"]].isna().tolist() == [True, False]
    assert table.loc[5, "reason"] == "not an image"
    expected = {number: masks_of(number) for number in range(14) if number != 5}
    readable = table.drop(5)
    assert readable["faces"].tolist() == [len(masks) for masks in expected.values()]
    assert readable["masked"].tolist() == [sum(masks) for masks in expected.values()]
    assert readable["prediction"].tolist() == [answer(masks) for masks in expected.values()]
    assert faces["mask"].tolist() == [mask for masks in expected.values() for mask in masks]
    assert faces["prediction"].tolist() == [CLASSES[not mask] for mask in faces["mask"]]
    for member in ("small", "large"):
        assert (faces[f"vote_{member}"] == faces["prediction"]).all()
    two = faces[faces["path"] == "photos/02.png"]
    assert two[["left", "top", "width", "height"]].to_numpy().tolist() == [[0, 0, 31, 40], [31, 0, 31, 40]]
    assert two["score"].fillna(0).tolist() == [0, 0.5]
    odds = {True: 8 * (210 - 30) / 255, False: 8 * (220 - 20) / 255}
    assert faces["confidence"].tolist() == pytest.approx(
        [1 / (1 + np.exp(-odds[mask])) for mask in faces["mask"]], abs=1e-4
    )
    lowest = faces.groupby("path")["confidence"].min()
    assert readable.set_index("path")["confidence"].dropna().to_dict() == pytest.approx(lowest.to_dict())
    assert f"faces: {len(faces)}, {faces['mask'].sum()} with a mask, {(~faces['mask']).sum()} without" in done.stdout


@pytest.mark.heavy
def test_every_readable_image_is_drawn_with_its_boxes_large_enough_to_read(place, answered):
    drawn = sorted(file.name for file in (place / "whole" / "boxes").iterdir())
    assert drawn == [f"{number:05d}_{number:02d}.jpg" for number in range(14) if number != 5]
    with Image.open(place / "whole" / "boxes" / "00002_02.jpg") as image:
        assert image.width == 800


@pytest.mark.heavy
def test_stopped_in_the_middle_and_started_again_no_image_and_no_face_is_missing_or_twice(
    place, answered, here, monkeypatch, capsys
):
    append = AnswerTable.append

    def die(table, rows):
        append(table, rows)
        if len(table.rows.read_text().splitlines()) > 8:
            os.truncate(table.rows, table.rows.stat().st_size - 7)
            raise KeyboardInterrupt

    monkeypatch.setattr(AnswerTable, "append", die)
    with pytest.raises(KeyboardInterrupt):
        here(predict, "predict", *HALVES, "output=killed/answers.csv")
    monkeypatch.setattr(AnswerTable, "append", append)
    here(predict, "predict", *HALVES, "output=killed/answers.csv")
    assert "resumes after 7 images answered earlier" in capsys.readouterr().out
    pd.testing.assert_frame_equal(pd.read_csv(place / "killed" / "answers.csv"), answered[1])
    pd.testing.assert_frame_equal(pd.read_csv(place / "killed" / "faces.csv"), answered[2])
    assert len(list((place / "killed" / "boxes").iterdir())) == 13


@pytest.mark.heavy
def test_a_parquet_table_has_its_numbers_as_numbers(place, answered):
    to_parquet(place / "whole" / "answers.csv", place / "answers.parquet", COLUMNS, COUNTS)
    table = pd.read_parquet(place / "answers.parquet")
    pd.testing.assert_frame_equal(table, answered[1], check_dtype=False)
    assert table["faces"].sum() == answered[1]["faces"].sum()


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("detector.longest=100", "was written with different detector; give again=true"),
        (
            "detector.masked=[rock]",
            "names none of the members' classes, with_mask, without_mask; give detector.masked=",
        ),
    ],
)
def test_a_table_of_another_detector_and_classes_without_a_mask_are_refused(given, words, answered, here):
    with pytest.raises(InputError, match=words):
        here(predict, "predict", *HALVES, "output=whole/answers.csv", given)


@pytest.mark.heavy
def test_a_video_of_drawn_faces_comes_out_with_their_boxes_and_answers(place, here, capsys):
    given = ("detector.find._target_=stubs.Truth", "detector.longest=null")
    here(watch, "webcam", "source=drawn.mp4", "output=out/drawn.mp4", *given)
    assert "frames: 9, " in capsys.readouterr().out
    table = pd.read_csv(place / "out" / "drawn.csv")
    assert table["frame"].tolist() == list(range(9))
    assert table["seconds"].tolist() == pytest.approx([number / 10 for number in range(9)])
    truth = json.loads((place / "truth.json").read_text())
    found = [json.loads(boxes) for boxes in table["boxes"]]
    assert [[face["box"] for face in frame] for frame in found] == [sorted(frame) for frame in truth]
    assert (table["prediction"] == [answer([face["mask"] for face in frame]) for frame in found]).all()
    footage = Footage(place / "out" / "drawn.mp4")
    top = strip_height(320, 320)
    assert (footage.size, footage.rate) == ((320, 320 + top), 10.0)
    frames = [frame for _, frame in footage.frames()]
    assert len(frames) == 9
    for faces, frame in zip(found, frames, strict=True):
        for face in faces:
            assert nearest(frame, face["box"], top) == face["mask"]


def answer(masks):
    return {0: "none", len(masks): "all"}.get(sum(masks), "some") if masks else "no face"


def nearest(frame, box, top):
    """Tell the answer whose colour is most often seen along a box's lower corners, where no label begins."""
    left, upper, width, height = box
    row = min(upper + height - 1, 318) + top
    edge = frame[row, max(left, 1) : left + width].reshape(-1, 3).astype(int)
    colours = {worn: ImageColor.getrgb(STYLES[worn].colour) for worn in (True, False)}
    closest = {worn: np.abs(edge - colour).sum(axis=1).min() for worn, colour in colours.items()}
    return min(closest, key=closest.get)


@pytest.fixture(scope="module")
def long_film(place):
    film(place / "long.mp4", [np.full((48, 64, 3), 128, np.uint8)] * 2000)


@pytest.mark.heavy
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_the_video_is_closed_and_the_table_is_whole(number, code, place, long_film, preloaded):
    shutil.rmtree(place / "cut", ignore_errors=True)
    python = sys.executable if number == signal.SIGINT else preloaded  # once as users start it
    process = start(
        [python, "-m", "facemask_ensemble.webcam", "source=long.mp4", "output=cut/long.mp4",
         "detector.find._target_=stubs.Slow"],
        cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    table = place / "cut" / "long.csv"
    wait_until(
        lambda: (table.exists() and len(table.read_text().splitlines()) >= 8) or process.poll() is not None, "7 frames"
    )
    process.send_signal(number)
    printed, errors = process.communicate()
    assert (process.returncode, errors) == (code, "")
    rows = pd.read_csv(table)
    frames = len(list(Footage(place / "cut" / "long.mp4").frames()))
    assert 7 <= frames == len(rows) < 2000
    assert f"frames: {frames} of 2000" in printed


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["source=drawn.mp4"], "no window can be shown: .* give output=FILE.mp4"),
        (
            ["source=photos/05.png", "output=a.mp4"],
            "photos/05.png: (cannot be opened as a video|no frame can be read from it); give",
        ),
        (["source=93", "output=a.mp4"], "source=93: no such camera"),
        (["source=drawn.mp4", "output=a.mp4", "codec=ZZZZ"], "with the codec ZZZZ .* give output=FILE.avi codec=MJPG"),
    ],
)
def test_what_opencv_cannot_do_is_refused_without_a_word_of_its_own(given, words, place, here, capfd):
    with pytest.raises(InputError, match=words):
        here(watch, "webcam", *given)
    assert capfd.readouterr().err == ""
    assert not list(place.glob("a.*"))


@pytest.mark.heavy
def test_a_window_that_cannot_be_is_one_line_of_the_command(place, command, assert_refused):
    assert_refused(command("webcam", "source=drawn.mp4", cwd=place), "no window can be shown", "give output=FILE.mp4")


def test_the_webcams_help_teaches_without_importing_tensorflow_or_opencv(tmp_path):
    script = (
        "import sys; sys.argv = ['webcam', '--help']\n"
        "from facemask_ensemble.webcam import main\n"
        "main()\n"
        "assert not {'tensorflow', 'keras', 'mlflow', 'cv2'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "python -m facemask_ensemble.webcam source=street.mp4 output=out.mp4" in done.stdout
    assert os.listdir(tmp_path) == []
