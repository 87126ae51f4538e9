"""What a page keeps of what is sent to it, with members that need no TensorFlow."""

import io
import json
import os
import re
import signal
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from processes import STOPS, wait_until

pytest.importorskip("gradio", reason='pip install "facemask-ensemble[app]"')
import uvicorn

from facemask_ensemble.ensemble import voting
from facemask_ensemble.ensemble.rules import make_rule
from facemask_ensemble.errors import InputError
from facemask_ensemble.page.blocks import build_page
from facemask_ensemble.page.card import no_card
from facemask_ensemble.page.server import Server, bind, make_app
from facemask_ensemble.page.service import Desk
from facemask_ensemble.prediction.ensemble import Ensemble, Member
from facemask_ensemble.serving.uploads import Limits
from facemask_ensemble.signals import Stopped, stop_on_signals
from facemask_ensemble.task import task_named


class Brightness:
    """A network that answers by the mean of all channels."""

    size, milliseconds = 8, None

    def __call__(self, pixels):
        share = pixels.mean(axis=(1, 2, 3), dtype=np.float32) / 255
        return np.stack([1 - share, share], axis=1)


class Darkness(Brightness):
    """A network that answers the other way round."""

    def __call__(self, pixels):
        return super().__call__(pixels)[:, ::-1]


@pytest.fixture
def desk():
    rule = make_rule("majority", voting.majority).fit(np.empty(0), np.empty(0))
    ensemble = Ensemble(["dark", "bright"], [Member("ada", Brightness())], rule)
    return Desk(
        ensemble, "1 member trained on lights", no_card("lights"), Limits(images=2), None, task_named("generic")
    )


@pytest.mark.heavy
def test_what_was_sent_is_deleted_when_it_is_too_old(desk, tmp_path, monkeypatch):
    from starlette.testclient import TestClient

    for name in ("GRADIO_TEMP_DIR", "GRADIO_EXAMPLES_CACHE", "GRADIO_ANALYTICS_ENABLED", "HF_HUB_DISABLE_TELEMETRY"):
        monkeypatch.setenv(name, "")  # put back afterwards
    content = io.BytesIO()
    Image.new("RGB", (20, 20), "white").save(content, "PNG")
    app = make_app(desk, tmp_path, "http://127.0.0.1:7860", keep_seconds=1)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        before = client.post("/gradio_api/upload", files={"files": ("a.png", content.getvalue())}).json()
        kept = [file for file in tmp_path.glob("sent/**/*") if file.is_file()]
        assert [str(file) for file in kept] == before
        wait_until(lambda: not kept[0].exists(), "what was sent is deleted")
        assert not [file for file in tmp_path.glob("**/*") if file.is_file()]


def test_a_member_alone_is_said_to_be_one_and_no_heatmap_is_offered_without_a_method(desk, tmp_path):
    from facemask_ensemble.page import views
    from facemask_ensemble.page.service import Sent

    Image.new("RGB", (20, 20), (255, 255, 255)).save(tmp_path / "white.png")
    answered = desk.answer([Sent("white.png", tmp_path / "white.png"), Sent("gone.png", tmp_path / "gone.png")])
    assert "The one member asked says bright." in views.answer(desk, answered, 0)
    assert views.looks(desk, answered, 0) == []
    assert answered.table["reason"].tolist() == ["", "no longer stored; send it again"]
    (tmp_path / "white.png").unlink()
    assert "no longer stored; send it again" in views.figure(desk, answered, 0)


def test_a_member_that_was_not_asked_is_shown_so_and_has_no_heatmap(desk, tmp_path):
    from facemask_ensemble.page import views
    from facemask_ensemble.page.service import Sent

    members = [Member(name, Brightness()) for name in ("ada", "bea", "cleo")]
    three = replace(desk, ensemble=replace(desk.ensemble, members=members, order=[0, 2, 1]), method=lambda model: None)
    Image.new("RGB", (20, 20), (204, 204, 204)).save(tmp_path / "grey.png")
    answered = three.answer([Sent("grey.png", tmp_path / "grey.png")])
    assert "not asked: it could not change the vote" in views.votes(three, answered, 0)
    assert views.votes(three, answered, 0).count("80.0") == 3 * 2  # ada, cleo and their mean, each with its bar
    assert views.looks(three, answered, 0) == [
        ("the image", -1), ("members behind the answer", -2), ("ada", 0), ("cleo", 2),
    ]  # fmt: skip
    said = views.answer(three, answered, 0)
    assert "Both members asked say bright." in said
    assert "2 of 3 members asked" in said


def test_members_on_either_side_of_the_answer_are_offered_together_if_there_are_several(desk, tmp_path):
    from facemask_ensemble.page import views
    from facemask_ensemble.page.service import Sent

    networks = {"ada": Brightness(), "bea": Darkness(), "cleo": Brightness(), "dan": Darkness(), "eve": Brightness()}
    members = [Member(name, network) for name, network in networks.items()]
    five = replace(desk, ensemble=replace(desk.ensemble, members=members), method=lambda model: None)
    Image.new("RGB", (20, 20), (204, 204, 204)).save(tmp_path / "grey.png")
    answered = five.answer([Sent("grey.png", tmp_path / "grey.png")])
    assert answered.table["prediction"].tolist() == ["bright"]
    assert five.sides(answered, 0) == {-2: {0: 1, 2: 1, 4: 1}, -3: {1: 0, 3: 0}}
    assert [name for name, _ in views.looks(five, answered, 0)] == [
        "the image", "members behind the answer", "other members", *networks,
    ]  # fmt: skip


@pytest.fixture
def heeded():
    """Heed SIGTERM and SIGHUP as a command does, and ignore SIGINT."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in STOPS}
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    stop_on_signals()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as where there is a terminal
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_stops_lets_the_server_end_before_it_is_heeded(number, heeded):
    server = Server(uvicorn.Config(app=None))
    with pytest.raises(Stopped) as stopped, server.capture_signals():
        os.kill(os.getpid(), signal.SIGINT)
        assert not server.should_exit
        os.kill(os.getpid(), number)
        assert server.should_exit
    assert stopped.value.number == number
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_an_address_that_is_taken_or_of_another_machine_is_refused():
    with bind("127.0.0.1", 0) as first:
        first.listen()
        port = first.getsockname()[1]
        with pytest.raises(InputError, match=f"host=127.0.0.1 port={port}: the page cannot listen there .*in use"):
            bind("127.0.0.1", port)
    with pytest.raises(InputError, match="host=192.0.2.1 port=0: the page cannot listen there"):
        bind("192.0.2.1", 0)


@pytest.mark.heavy
def test_a_page_has_the_words_of_its_task(desk):
    def told(task):
        page = build_page(replace(desk, task=task_named(task)), 60, "http://127.0.0.1:7860")
        return json.dumps(page.get_config_file(), default=str).replace("facemask_ensemble", "")

    generic, masks = told("generic"), told("masks")
    assert "Which is it: dark or bright?" in generic and "Which is it: dark or bright?" in masks
    assert "It can be wrong: let a person look." in generic
    assert not re.search(r"mask|\bface", generic, re.I)
    assert "Not a judgement about a person: let one look." in masks
