"""The events of the page: each returns a list of updates, in the order of `SHOWN`."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from facemask_ensemble.page import views
from facemask_ensemble.page.service import IMAGE, Answered, Desk, Sent

SHOWN = ("place", "hint", "images", "figure", "shown", "looks", "answer", "votes")
NOTHING = [gr.skip()] * len(SHOWN)


@dataclass(frozen=True)
class Events:
    """The events of a page, answered by its desk."""

    desk: Desk

    def receive(self, sent: list[Sent]) -> list[Any]:
        """Answer what was sent: empty the place it came from, remember the answers, and show the first."""
        if not sent:
            return [gr.skip(), gr.skip(), *NOTHING]
        answered = self.desk.answer(sent)
        return [None, answered, *self.show(answered, answered.first)]

    def pick(self, answered: Answered | None, event: gr.EventData) -> list[Any]:
        """Show another image."""
        place = event._data.get("place") if isinstance(event._data, dict) else None
        if answered is None or not isinstance(place, int) or not 0 <= place < len(answered.sent):
            return NOTHING
        return self.show(answered, place)

    def look(self, answered: Answered | None, place: int, member: int | None) -> Any:
        """Show a member's heatmap, or the image without one."""
        if answered is None or member is None:
            return gr.skip()
        return views.figure(self.desk, answered, place, member)

    def show(self, answered: Answered, place: int) -> list[Any]:
        """Show an image with its answer."""
        readable, several = bool(answered.thumbnails[place]), len(answered.sent) > 1
        choices = views.looks(self.desk, answered, place)
        return [
            place,
            gr.update(visible=False),
            gr.update(value=views.images(answered, place) if several else "", visible=several),
            gr.update(visible=readable),
            views.figure(self.desk, answered, place) if readable else "",
            gr.update(choices=choices, value=IMAGE, visible=bool(choices)),
            gr.update(value=views.answer(self.desk, answered, place), visible=True),
            gr.update(value=views.votes(self.desk, answered, place) if readable else "", visible=readable),
        ]

    def predict(self, files: list[Sent], probabilities: bool = False) -> list[dict[str, Any]]:
        """Answer a program."""
        return self.desk.rows(files, probabilities)
