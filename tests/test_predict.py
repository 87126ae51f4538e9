"""Predictions through the command line: without end, stopped, resumed, and asked of as few members as it takes."""

import json
import os
import re
import signal
import subprocess
import sys
import zipfile

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from processes import start

pytestmark = pytest.mark.heavy

MEMBERS = {"basic_cnn": 32, "deep_cnn": 32, "four_convolutions": 48}  # pixels
SMALL = ("schedule.epochs=1", "precision=float32", "batch_size=8", "augmentation=none", "study=three")
ENDED = """
import os, signal, sys
from functools import partial
import facemask_ensemble.training.member
from facemask_ensemble.data import chunks
from facemask_ensemble.predict import main
from facemask_ensemble.prediction.results_table import AnswerTable

append = AnswerTable.append
chunks.read_chunks = partial(chunks.read_chunks, most=32)

def lines(table):
    with table.rows.open() as file:
        return sum(1 for _ in file)

def die(table, rows):
    append(table, rows)
    if lines(table) > 130:
        os.truncate(table.rows, table.rows.stat().st_size - 7)
        os.kill(os.getpid(), signal.SIGKILL)

def stop(table, rows):
    append(table, rows)
    if lines(table) > 130:
        os.kill(os.getpid(), signal.SIGTERM)

for output, end in {"killed.csv": die, "stopped.csv": stop}.items():
    if child := os.fork():
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    else:
        AnswerTable.append = end
        sys.argv = ["predict", "input=many", "votes=all", f"output={output}"]
        os.dup2(2, 1)
        main()
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory, make_place, command, draw_faces):
    """A place with three members that have hardly learned anything, and 300 small images, two of them spoilt."""
    place = make_place(tmp_path_factory.mktemp("predict"))
    draw_faces(place / "masks", ["bare", "masked"], 20)
    for backbone, size in MEMBERS.items():
        done = command(
            "train", f"backbone={backbone}", f"image_size={size}", *SMALL, "dataset=folders", "dataset.root=masks",
            cwd=place,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    rng = np.random.default_rng(0)
    (place / "many").mkdir()
    for number in range(300):
        blocks = rng.integers(0, 256, (4, 4, 3), np.uint8)
        image = Image.fromarray(blocks).resize((48, 40), Image.Resampling.NEAREST)
        image.save(place / "many" / f"{number:03d}.{'jpg' if number % 3 else 'png'}")
    (place / "many" / "100.jpg").write_bytes(b"")
    (place / "many" / "299.jpg").write_text("no image")
    return place


def predicted(command, place, *arguments, output="answers.csv"):
    done = command("predict", *arguments, f"output={output}", cwd=place)
    assert done.returncode == 0, done.stderr
    return done, pd.read_parquet(place / output) if output.endswith("parquet") else pd.read_csv(place / output)


@pytest.fixture(scope="module")
def everyone(place, command):
    return predicted(command, place, "input=many", "votes=all", output="everyone.csv")


def test_a_majority_that_is_decided_is_that_of_all_members(place, command, everyone):
    done, table = predicted(command, place, "input=many", output="decided.csv")
    columns = ["path", "prediction", "tie", "reason"]
    pd.testing.assert_frame_equal(table[columns], everyone[1][columns])
    assert "member answers: 894 of 894 (3 members x 298 images)" in everyone[0].stdout
    votes = table[[f"vote_{name}" for name in MEMBERS]].notna()
    asked = int(re.search(r"member answers: (\d+) of 894 \(3 members x 298 images\)", done.stdout)[1])
    assert asked == votes.to_numpy().sum() < 894
    readable = table["reason"].isna()
    assert set(votes[readable].sum(axis=1)) == {2, 3}
    assert not votes[~readable].any(axis=None)
    assert table.loc[~readable, "path"].tolist() == ["many/100.jpg", "many/299.jpg"]


@pytest.fixture(scope="module")
def ended(place):
    """How a prediction ends that is killed in the middle, how one that is stopped there, and what they say."""
    process = start([sys.executable, "-c", ENDED], cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    codes, said = process.communicate()
    killed, stopped = map(int, codes.split())
    return killed, stopped, said


def test_killed_in_the_middle_and_started_again_every_image_is_there_once(place, command, everyone, ended):
    killed, _, said = ended
    assert killed == -signal.SIGKILL, said
    assert not (place / "killed.csv").read_text().endswith("\n")
    done, table = predicted(command, place, "input=many", "votes=all", output="killed.csv")
    assert "resumes after 159 images answered earlier" in done.stdout
    pd.testing.assert_frame_equal(table, everyone[1], atol=1e-4)
    before = os.stat(place / "killed.csv").st_mtime_ns
    again, same = predicted(command, place, "input=many", "votes=all", output="killed.csv")
    assert "member answers: 894 of 894" in again.stdout
    assert os.stat(place / "killed.csv").st_mtime_ns == before
    pd.testing.assert_frame_equal(same, table)


def test_stopped_by_sigterm_the_table_is_whole_and_the_same_command_goes_on(place, command, everyone, ended):
    _, stopped, said = ended
    assert stopped == 143, said
    assert "Traceback" not in said
    assert (place / "stopped.csv").read_text().endswith("\n")
    done, table = predicted(command, place, "input=many", "votes=all", output="stopped.csv")
    assert "resumes after 160 images answered earlier" in done.stdout
    pd.testing.assert_frame_equal(table, everyone[1], atol=1e-4)


def test_another_rule_members_or_input_do_not_mix_with_what_is_there(place, command, everyone, assert_refused):
    for other, word in {
        "votes=decided": "votes", "voting=soft": "rule", "ties=abstain": "ties", "input=masks": "input",
        "members=[{}]": "members",
    }.items():  # fmt: skip
        run = json.loads((place / "everyone.csv.json").read_text())["members"][0]
        given = ["input=many", "votes=all", "output=everyone.csv", other.format(run)]
        given = given[1:] if other.startswith("input") else given
        refused = command("predict", *given, cwd=place)
        assert_refused(refused, f"was written with different {word};", "again=true", "another output=FILE")


def test_an_archive_a_list_and_standard_input_are_answered_like_the_folder(place, command, everyone):
    names = everyone[1]["path"].tolist()
    with zipfile.ZipFile(place / "many.zip", "w") as archive:
        for name in names:
            archive.write(place / name, name)
    (place / "list.txt").write_text("\n".join(names))
    _, zipped = predicted(command, place, "input=many.zip", "votes=all", output="zipped.parquet")
    assert zipped["path"].tolist() == [f"many.zip/{name}" for name in names]
    _, listed = predicted(command, place, "input=list.txt", "votes=all", output="listed.csv")
    piped = subprocess.run(
        [sys.executable, "-m", "facemask_ensemble.predict", "input=-", "votes=all", "output=piped.csv"],
        cwd=place, input="\n".join(names), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert piped.returncode == 0, piped.stderr
    for table in (listed, pd.read_csv(place / "piped.csv"), zipped.assign(path=names)):
        pd.testing.assert_frame_equal(table, everyone[1], check_dtype=False, atol=1e-4)


def test_heatmaps_are_drawn_of_the_members_that_were_asked(place, command):
    (place / "few").mkdir()
    for number in range(4):
        os.link(place / "many" / f"{3 * number:03d}.png", place / "few" / f"{number}.png")
    (place / "few" / "0.png").unlink()
    (place / "few" / "0.png").write_bytes(b"")
    done, table = predicted(command, place, "input=few", "heatmap=gradcam", output="heat/answers.csv")
    expected = {
        f"{row:05d}_{row}--{name}.jpg"
        for row in range(4)
        for name in MEMBERS
        if pd.notna(table.loc[row, f"vote_{name}"])
    }
    together = {"consensus", "losers", "disagreement"}
    files = {file.name for file in (place / "heat" / "overlays").iterdir()}
    drawn = {name for name in files if name.rpartition("--")[2].removesuffix(".jpg") not in together}
    assert drawn <= expected
    for stem in {name.rpartition("--")[0] for name in drawn}:
        assert {f"{stem}--consensus.jpg", f"{stem}--losers.jpg"} & files
    own = Image.open(place / "many" / "003.png").size
    assert all(Image.open(place / "heat" / "overlays" / name).size == own for name in files)
    silent = set(re.findall(r"no heatmap of (\w+)", done.stdout))
    assert all(name.rpartition("--")[2].removesuffix(".jpg") in silent for name in expected - drawn)
    assert drawn


def test_images_none_of_which_can_be_read_are_refused_with_their_table(place, command, assert_refused):
    (place / "bad").mkdir()
    for name in ("a.jpg", "b.jpg"):
        (place / "bad" / name).write_text("no image")
    done = command("predict", "input=bad", "output=bad.csv", cwd=place)
    assert done.returncode == 2
    assert "error: input: none of 2 images can be read (bad/a.jpg: not an image); give other images" in done.stderr
    assert pd.read_csv(place / "bad.csv")["reason"].tolist() == ["not an image"] * 2


CONVERTED = """
import sys
sys.argv = ["predict", *sys.argv[1:]]
from facemask_ensemble.predict import main
main()
sys.exit(" ".join({"tensorflow", "keras", "nncf", "sklearn", "matplotlib"} & {*sys.modules}) or None)
"""


def test_openvino_answers_as_keras_does_without_tensorflow_and_its_decided_majority_as_all(place, preloaded, everyone):
    runtime = ("input=many", "runtime=openvino", "runtime.precision=float32")
    done = subprocess.run(
        [preloaded, "-m", "facemask_ensemble.predict", *runtime, "votes=all", "output=openvino.csv"],
        cwd=place, capture_output=True, text=True, check=True,
    )  # fmt: skip
    full = pd.read_csv(place / "openvino.csv")
    for name in MEMBERS:
        assert f"{name}: converting to OpenVINO (only once)" in done.stdout
        assert f"{name} in float32: 0 of 6 validation images (0.00%) answered differently from Keras" in done.stdout
    assert (full["prediction"] == everyone[1]["prediction"]).sum() >= 297
    fresh = subprocess.run(
        [sys.executable, "-c", CONVERTED, *runtime, "output=decided-openvino.csv"],
        cwd=place, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (fresh.returncode, "converting to OpenVINO" in fresh.stdout) == (0, False), fresh.stderr
    decided = pd.read_csv(place / "decided-openvino.csv")
    columns = ["path", "prediction", "tie", "reason"]
    pd.testing.assert_frame_equal(decided[columns], full[columns])
    votes = decided.loc[decided["reason"].isna(), [f"vote_{name}" for name in MEMBERS]]
    assert (votes.notna().sum(axis=1) == votes.nunique(axis=1) + 1).all()  # two that agree, or all three


def test_a_precision_that_there_is_not_is_refused_before_anything_is_read(place, command, assert_refused):
    done = command("predict", "input=many", "runtime=openvino", "runtime.precision=float64", cwd=place)
    assert_refused(done, "runtime.precision=float64", "auto, quickest, float32, bfloat16, int8")
