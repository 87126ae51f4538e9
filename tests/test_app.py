"""The page in a real browser, its endpoint, and what may not be had from it: one server for all of these."""

import base64
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import zlib
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from processes import HANG, start

pytestmark = pytest.mark.heavy

CLASSES = ["none", "all", "some"]
MEMBERS = {"ada": (8, 0), "bea": (4, 0), "cleo": (32, 1)}  # pixels of a cell, and by how much its answers are shifted
SIZE = 32
NAUGHTY = "{{value}}${1+1}<b>bold<b>.png"
E2 = np.exp(2)
get, post = (partial(method, timeout=HANG) for method in (httpx.get, httpx.post))


def cells(name, cell, shift):
    """Build a member that finds red, green or blue by the mean over cells, and answers none, all or some, shifted."""
    import keras

    from facemask_ensemble.models.classifier import build_classifier

    def features(pixels):
        scaled = keras.layers.Rescaling(1 / 255)(pixels)
        return keras.layers.Conv2D(3, cell, cell, use_bias=False, name="colours")(scaled)

    model = build_classifier(name, features, SIZE, 3, dropout=0.0)
    kernel = np.zeros((cell, cell, 3, 3), np.float32)
    kernel[:, :, range(3), range(3)] = 1 / cell**2
    model.get_layer("colours").set_weights([kernel])
    model.get_layer("probabilities").set_weights([4 * np.roll(np.eye(3, dtype=np.float32), shift, axis=1), np.zeros(3)])
    return model


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A shipped ensemble of three members; the third sees no more than one cell."""
    from facemask_ensemble.packaging.package import PackagedMember, write_package

    place = tmp_path_factory.mktemp("package")
    packed = []
    for name, (cell, shift) in MEMBERS.items():
        cells(name, cell, shift).save(place / f"{name}.keras")
        packed.append(PackagedMember(place / f"{name}.keras", SIZE, 1.0, "random initialisation"))
    about = {
        "name": "colours", "task": "masks", "rule": "majority", "ties": "mean_probability", "tie_arguments": {},
        "learned": {}, "class_names": CLASSES,
        "members": [{"name": name, "run_id": name, "weight": None} for name in MEMBERS],
    }  # fmt: skip
    card = {"accuracy": 0.9, "accuracy_interval": [0.85, 0.95], "images": 100, "sentence": "It is right."}
    (place / "card.json").write_text(json.dumps(card))
    (place / "card.html").write_text("<!doctype html><style>b { color: blue }</style><b>the whole card</b>")
    write_package(about, packed, place, place / "shipped")
    return place / "shipped"


@pytest.fixture(scope="module")
def server(package, tmp_path_factory):
    """The page of that ensemble, which takes 1 MB a file and 6 files: its process, its address and its folder."""
    place = tmp_path_factory.mktemp("page")
    (place / "temporary").mkdir()
    command = [sys.executable, "-m", "facemask_ensemble.app", f"ensemble={package}", "port=0"]
    with (place / "stderr").open("w") as stderr:
        process = start(
            [*command, "limits.megabytes=1", "limits.images=6"], cwd=place, stdout=subprocess.PIPE, stderr=stderr,
            text=True, env={**os.environ, "TMPDIR": str(place / "temporary")},
        )  # fmt: skip
    said = "".join(_until(process.stdout, "page: "))
    assert "page: " in said, (said, (place / "stderr").read_text())
    yield process, re.search(r"page: (\S+)", said)[1], place
    process.kill()
    process.wait()


def _until(lines, beginning):
    for line in lines:
        yield line
        if line.startswith(beginning):
            return


@pytest.fixture(scope="module")
def address(server):
    return server[1]


@pytest.fixture(scope="module")
def browser():
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("no Chromium here to drive the page with: apt install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright drives the page")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--use-fake-device-for-media-stream",
                  "--use-fake-ui-for-media-stream"],
        )  # fmt: skip
        yield opened
        opened.close()


@pytest.fixture
def page(browser, address):
    """The page in a browser; nothing was asked of any other host, and no error was shown."""
    context = browser.new_context(viewport={"width": 1400, "height": 900}, service_workers="block")
    opened = context.new_page()
    opened.set_default_timeout(HANG * 1000)
    asked = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(address, wait_until="domcontentloaded")
    opened.wait_for_selector(".hint")
    yield opened
    assert opened.locator(".toast-body").count() == 0
    context.close()
    elsewhere = [url for url in asked if not url.startswith((f"{address}/", "data:", "blob:"))]
    assert asked and not elsewhere


def png(image):
    content = io.BytesIO()
    Image.fromarray(image).save(content, "PNG")
    return content.getvalue()


def half(channel=0):
    """Draw an image whose left half is red, green or blue, and whose right half is black."""
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, :32, channel] = 255
    return image


def drop(page, **files):
    payloads = [{"name": name, "mimeType": "", "buffer": content} for name, content in files.items()]
    page.set_input_files("#drop input[type=file]", payloads)


def shown_pixels(page):
    source = page.locator("#shown img").get_attribute("src")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))).convert("RGB"))


def test_an_image_is_answered_with_the_vote_and_each_members_probabilities(page):
    assert page.locator("h1").inner_text() == "Who wears a mask: all, some or none?"
    assert "Trained from random initialisation" in page.locator("#head").inner_text()
    drop(page, **{"half.png": png(half())})
    page.wait_for_selector(".answer")
    said = page.locator(".answer").inner_text()
    assert page.locator(".answer .word").inner_text() == "none"
    assert "2 of 3 members say none." in said
    assert "Nobody wears a mask." in said
    # The mean of half a red image is 0.5, so the logits are 2, 0 and 0; cleo's are 0, 2 and 0.
    assert f"{100 * (2 * E2 + 1) / (E2 + 2) / 3:.1f} %" in said
    assert "67 %" in said
    cells = page.locator(".members tbody tr").all_inner_texts()
    high, low = (f"{100 * value / (E2 + 2):.1f}" for value in (E2, 1))
    expected = [["ada", "●" + high, low, low], ["bea", "●" + high, low, low], ["cleo", low, "○" + high, low]]
    assert [[part for part in re.split(r"\s+", text) if part not in ("32", "px")] for text in cells] == expected


def test_a_heatmap_is_drawn_when_it_is_asked_for_or_the_reason_given(page):
    drop(page, **{"half.png": png(half())})
    page.wait_for_selector("#shown img")
    before = shown_pixels(page).astype(int)
    page.get_by_role("radio", name="ada").check()
    page.wait_for_selector("text=Where ada saw none, its own answer (78.7 %)")
    after, width = shown_pixels(page).astype(int), before.shape[1]
    changed = np.abs(after - before).sum(axis=2).mean(axis=0)
    assert changed[: width // 4].min() > 100
    assert changed[-width // 4 :].max() < 40
    page.get_by_role("radio", name="cleo").check()
    page.wait_for_selector("text=its last feature map is 1x1 at 32 px")
    assert "no heatmap of cleo" in page.locator("#shown").inner_text()
    page.get_by_role("radio", name="the image").check()
    page.wait_for_selector("#shown figcaption:has-text('half.png')")
    assert np.abs(shown_pixels(page) - before).max() == 0


def test_the_members_behind_the_answer_are_shown_together_and_one_other_is_not(page):
    """Of a red half ada and bea say none, cleo all."""
    drop(page, **{"half.png": png(half())})
    page.wait_for_selector("#shown img")
    assert page.get_by_role("radio", name="other members").count() == 0
    before = shown_pixels(page).astype(int)
    page.get_by_role("radio", name="members behind the answer").check()
    page.wait_for_selector("text=Where the 2 members that say none looked: the mean of their heatmaps.")
    changed = np.abs(shown_pixels(page).astype(int) - before).sum(axis=2).mean(axis=0)
    assert changed[: before.shape[1] // 4].min() > 100
    assert changed[-before.shape[1] // 4 :].max() < 40


def test_of_several_files_each_has_its_answer_or_its_reason_and_one_is_chosen(page):
    files = {"red.png": png(half()), "notes.txt": b"no image", NAUGHTY: png(half(2)), "empty.jpg": b" "}
    drop(page, **files)
    page.wait_for_selector(".strip button")
    rows = [" ".join(text.split()) for text in page.locator(".strip button").all_inner_texts()]
    assert rows == [
        "red.png none 56 %",
        "∅ notes.txt not an image",
        f"{NAUGHTY} some 56 %",
        "∅ empty.jpg not an image",
    ]
    assert page.locator(".strip b:has-text('bold')").count() == 0
    page.locator(".strip button").nth(1).click()
    page.wait_for_selector("text=This file was left out: not an image.")
    assert page.locator("#shown img").count() == 0
    page.locator(".strip button").nth(2).click()
    page.wait_for_selector(".answer .word:has-text('some')")
    assert page.locator(".answer .eyebrow").inner_text() == NAUGHTY


def test_the_camera_takes_an_image_that_is_answered(page):
    page.get_by_role("tab", name="Camera").click()
    page.locator("#camera button", has_text=re.compile("webcam", re.I)).click()
    page.wait_for_function("document.querySelector('#camera video')?.videoWidth > 0")
    page.get_by_role("button", name=re.compile("capture", re.I)).click()
    page.wait_for_selector(".answer .word")
    assert page.locator(".answer .word").inner_text() in CLASSES


def test_the_ship_card_is_there_and_can_run_nothing(page):
    assert "90.0 % of 100 test images right, 95 % interval 85.0 to 95.0 %" in page.locator("#card").inner_text()
    page.locator("#card summary").click()
    assert page.locator("#card details p").first.inner_text() == "It is right."
    frame = page.locator("#card iframe")
    assert frame.get_attribute("sandbox") == ""
    assert page.frame_locator("#card iframe").locator("b").inner_text() == "the whole card"


def test_the_page_fits_a_narrow_phone(page):
    page.set_viewport_size({"width": 360, "height": 740})
    drop(page, **{"half.png": png(half()), "notes.txt": b"no image"})
    page.wait_for_selector(".answer")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.locator(".members").bounding_box()["width"] <= 340


def test_a_shipped_ensemble_brings_the_question_of_its_task(address):
    assert "Who wears a mask: all, some or none?" in httpx.get(f"{address}/config", timeout=30).text


def test_a_program_is_given_the_rows_of_predict(address, tmp_path):
    from gradio_client import Client, handle_file

    for name, image in (("red.png", half()), ("blue.png", half(2))):
        (tmp_path / name).write_bytes(png(image))
    (tmp_path / "text.jpg").write_text("no image")
    files = [handle_file(tmp_path / name) for name in ("red.png", "text.jpg", "blue.png")]
    client = Client(address, verbose=False, httpx_kwargs={"timeout": HANG})
    rows = client.predict(files, api_name="/predict")
    confidence = round(float((2 * E2 + 1) / (E2 + 2) / 3), 4)
    votes = {"vote_ada": "none", "vote_bea": "none", "vote_cleo": "all"}
    known = {"agreement": 0.6667, "tie": False, "reason": "", "confidence": pytest.approx(confidence, abs=2e-4)}
    assert rows[0] == {"file": "red.png", "prediction": "none", **votes, **known}
    assert rows[1]["reason"] == "not an image"
    assert (rows[1]["prediction"], rows[1]["confidence"], rows[1]["vote_ada"]) == ("", None, "")
    assert (rows[2]["prediction"], rows[2]["vote_cleo"]) == ("some", "none")
    [with_more] = client.predict(files[:1], True, api_name="/predict")
    assert with_more["probabilities"]["cleo"]["all"] == pytest.approx(E2 / (E2 + 2), abs=1e-3)
    client.close()


def test_files_beyond_the_limits_are_rows_with_their_reason(address, tmp_path):
    from gradio_client import Client, handle_file

    bomb = bytearray(png(np.zeros((1, 1, 3), np.uint8)))
    bomb[16:24] = (20_000).to_bytes(4, "big") * 2
    bomb[29:33] = zlib.crc32(bytes(bomb[12:29])).to_bytes(4, "big")
    for number in range(8):
        (tmp_path / f"{number}.png").write_bytes(bomb if number == 0 else png(half()))
    client = Client(address, verbose=False, httpx_kwargs={"timeout": HANG})
    rows = client.predict([handle_file(tmp_path / f"{number}.png") for number in range(8)], api_name="/predict")
    assert rows[0]["reason"] == "more than 40 million pixels"
    assert [row["reason"] for row in rows[1:]] == [""] * 5 + ["not answered: more than 6 files at once; send fewer"] * 2
    client.close()
    sent = post(f"{address}/gradio_api/upload", files={"files": ("large.png", bytes(1_100_000))})
    assert sent.status_code == 413
    assert "/" not in sent.text


@pytest.fixture
def tempting():
    """A server of this machine, and what was asked of it."""
    asked = []

    class Noted(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(png(half()))

        def log_message(self, *given):
            pass

    serving = HTTPServer(("127.0.0.1", 0), Noted)
    thread = threading.Thread(target=serving.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{serving.server_address[1]}/secret.png", asked
    serving.shutdown()
    thread.join()
    serving.server_close()


def outcome(address, data):
    """Ask the endpoint with data of one's own; return what comes back, as text."""
    event = post(f"{address}/gradio_api/call/predict", json={"data": data}).json()["event_id"]
    return get(f"{address}/gradio_api/call/predict/{event}").text


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "{package}/card.json", "{sent}/../../../../../../etc/passwd", "a\0b", ""]
)
def test_no_path_of_a_client_is_opened(address, server, package, path):
    sent = post(f"{address}/gradio_api/upload", files={"files": ("a.png", png(half()))}).json()[0]
    before = sorted(server[2].glob("temporary/**/*"))
    data = {"path": path.format(package=package, sent=Path(sent).parent), "meta": {"_type": "gradio.FileData"}}
    said = outcome(address, [[data], False])
    assert said.startswith("event: error")
    assert "/" not in said.partition("data:")[2]
    assert sorted(server[2].glob("temporary/**/*")) == before


def test_no_address_of_a_client_is_fetched(address, tempting):
    url, asked = tempting
    for data in ({"path": url}, {"path": "a.png", "url": url}, {"url": url, "path": ""}):
        said = outcome(address, [[{**data, "meta": {"_type": "gradio.FileData"}}], False])
        assert said.startswith("event: error")
    for route in (f"file={url}", f"proxy={url}"):
        assert get(f"{address}/gradio_api/{route}").status_code == 404
    assert asked == []


def test_other_inputs_take_no_file_either(address, server, tempting):
    """A radio button or a switch is handed what a client sends, too."""
    url, asked = tempting
    before = sorted(server[2].glob("temporary/**/*"))
    for path in ("/etc/passwd", url):
        data = {"path": path, "meta": {"_type": "gradio.FileData"}}
        assert outcome(address, [[], data]).startswith("event: error")
        config = get(f"{address}/config").json()
        for number, dependency in enumerate(config["dependencies"]):
            body = {"data": [data] * len(dependency["inputs"]), "fn_index": number, "session_hash": "s"}
            post(f"{address}/gradio_api/queue/join", json=body)
    assert "close_stream" in get(f"{address}/gradio_api/queue/data", params={"session_hash": "s"}).text
    assert asked == []
    assert sorted(server[2].glob("temporary/**/*")) == before


@pytest.mark.parametrize(
    "route",
    ["file=/etc/passwd", "component_server", "monitoring", "run/predict", "vibe-code", "process_recording", "stream/a"],
)
def test_what_the_page_does_not_need_is_not_there(address, route):
    for asked in (get, post):
        assert asked(f"{address}/gradio_api/{route}").status_code == 404


def test_another_page_or_another_name_of_this_machine_is_turned_away(address):
    assert get(address).status_code == 200
    assert get(address, headers={"Host": "evil.example"}).status_code == 421
    refused = post(f"{address}/gradio_api/upload", headers={"Origin": "http://evil.example"})
    assert refused.status_code == 403


def test_the_address_is_that_of_this_machine_alone(address):
    assert address.startswith("http://127.0.0.1:")
    port = int(address.rpartition(":")[2])
    others = {found[4][0] for found in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    for other in others - {"127.0.0.1"}:
        with socket.socket() as tried:
            assert tried.connect_ex((other, port)) != 0


def test_a_port_in_use_is_one_line(address, package, command, tmp_path, assert_refused):
    port = address.rpartition(":")[2]
    done = command("app", f"ensemble={package}", f"port={port}", cwd=tmp_path)
    assert_refused(done, f"port={port}", "in use", "give another port")


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("port=70000", ["port=70000", "from 0 to 65535"]),
        ("limits.megabytes=0", ["limits.megabytes=0", "above 0"]),
        ("limits.images=0.5", ["limits.images=0.5", "whole number of at least 1"]),
        ("keep_minutes=soon", ["keep_minutes=soon", "above 0"]),
        ("votes=some", ["votes=some", "decided, all"]),
        ("host=nowhere.invalid", ["host=nowhere.invalid", "the page cannot listen there"]),
        ("ensemble=nowhere", ["ensemble=nowhere", "not a shipped ensemble"]),
    ],
)
def test_what_cannot_be_served_is_refused_in_a_line(argument, words, command, tmp_path, assert_refused):
    assert_refused(command("app", "port=0", argument, cwd=tmp_path), *words)


def test_ctrl_c_stops_it_below_an_open_page_and_nothing_that_was_sent_stays(server, browser):
    process, address, place = server
    before = (place / "stderr").read_text()
    left_open = browser.new_page()
    left_open.goto(address, wait_until="domcontentloaded")
    left_open.wait_for_selector(".hint")
    drop(left_open, **{"half.png": png(half())})
    left_open.wait_for_selector(".answer")
    assert any(file.is_file() for file in place.glob("temporary/**/*"))
    process.send_signal(signal.SIGINT)
    assert process.wait(HANG) == 130
    assert list((place / "temporary").iterdir()) == []
    assert (place / "stderr").read_text() == before
