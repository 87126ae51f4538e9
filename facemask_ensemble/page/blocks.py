"""The page in Gradio's blocks: its components and events."""

from typing import Any

import gradio as gr

from facemask_ensemble.page import views
from facemask_ensemble.page.components import Camera, Choice, Switch, Uploads
from facemask_ensemble.page.events import SHOWN, Events
from facemask_ensemble.page.service import Desk
from facemask_ensemble.page.wording import question

SWEEP = 300  # seconds between two looks at what is too old to be kept
ONE_AT_A_TIME: dict[str, Any] = {"concurrency_id": "desk", "concurrency_limit": 1}
PICK = """
element.addEventListener('click', event => {
  const button = event.target.closest('button[data-place]');
  if (button) trigger('select', {place: Number(button.dataset.place)});
});
"""


def build_page(desk: Desk, keep_seconds: float, address: str) -> gr.Blocks:
    """Build the page of an ensemble at an address; uploads are deleted after so many seconds."""
    title = f"{question(desk.ensemble.class_names, desk.task)} · facemask_ensemble"
    keep = max(1, int(keep_seconds))
    with gr.Blocks(title=title, analytics_enabled=False, delete_cache=(min(SWEEP, keep), keep)) as page:
        gr.HTML(views.head(desk), elem_id="head")
        uploads, camera = _sources()
        parts = _answer(desk)
        answered = gr.State(time_to_live=keep)
        gr.HTML(views.card(desk), elem_id="card")
        gr.HTML(views.programs(address), elem_id="programs")
        gr.HTML(views.foot(desk, keep_seconds), elem_id="foot")
        events, shown = Events(desk), [parts[name] for name in SHOWN]
        silent = {**ONE_AT_A_TIME, "api_visibility": "private"}
        uploads.upload(events.receive, uploads, [uploads, answered, *shown], show_progress_on=uploads, **silent)
        camera.input(events.receive, camera, [camera, answered, *shown], show_progress_on=camera, **silent)
        parts["images"].select(events.pick, answered, shown, show_progress_on=parts["answer"], **silent)
        parts["looks"].input(events.look, [answered, parts["place"], parts["looks"]], parts["shown"], **silent)
        _add_endpoint(events)
    return page


def _sources() -> tuple[Uploads, Camera]:
    """Lay out where images come from."""
    with gr.Tabs(elem_id="sources"):
        with gr.Tab("Images"):
            uploads = Uploads(label="Images", show_label=False, container=False, file_count="multiple", elem_id="drop")
        with gr.Tab("Camera"):
            camera = Camera(
                label="Camera", show_label=False, container=False, sources=["webcam"], buttons=[], height=320,
                elem_id="camera",
            )  # fmt: skip
    return uploads, camera


def _answer(desk: Desk) -> dict[str, Any]:
    """Lay out what is shown of an answer, by the names in `SHOWN`; before the first one, a hint."""
    parts: dict[str, Any] = {"place": gr.State(0)}
    with gr.Column(elem_id="desk"):
        parts["hint"] = gr.HTML(views.hint(desk), elem_id="hint")
        parts["images"] = gr.HTML(visible=False, elem_id="images", js_on_load=PICK)
        with gr.Column(visible=False, elem_id="figure") as parts["figure"]:
            parts["shown"] = gr.HTML(elem_id="shown")
            parts["looks"] = Choice(label="Where a member looked", elem_id="looks", container=False)
        parts["answer"] = gr.HTML(visible=False, elem_id="answer")
        parts["votes"] = gr.HTML(visible=False, elem_id="votes")
    return parts


def _add_endpoint(events: Events) -> None:
    """Add the endpoint for programs, which is not visible."""
    files = Uploads(label="files", file_count="multiple", visible=False)
    gr.Button(visible=False).click(
        events.predict,
        [files, Switch(label="probabilities", visible=False)],
        gr.JSON(label="rows", visible=False),
        api_name="predict",
        api_description="Answer images: a row each, as in the table of `predict`, with `file` in place of `path`.",
        **ONE_AT_A_TIME,
    )
