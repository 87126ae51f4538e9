"""Gradio's components, restricted to files that were uploaded to this page.

Those of Gradio fetch an address that a client names, and open and decode images on their own; these do neither.
"""

from pathlib import Path
from typing import Any

import gradio as gr
from gradio import component_meta
from gradio.data_classes import FileData
from gradio.utils import get_upload_folder

from facemask_ensemble.page.service import Sent

NOT_SENT = "a file that was not uploaded to this page"
component_meta.create_or_modify_pyi = lambda *_: None  # it would write a file of types beside this one


class _SentAlone:
    """A file that a client only names is neither opened nor fetched."""

    temp_files: set[str]

    async def async_move_resource_to_block_cache(self, url_or_file_path: str | Path | None) -> str | None:
        return self.move_resource_to_block_cache(url_or_file_path)

    def move_resource_to_block_cache(self, url_or_file_path: str | Path | None) -> str | None:
        if url_or_file_path is None:
            return None
        file = str(_checked(url_or_file_path))
        self.temp_files.add(file)
        return file


class Uploads(_SentAlone, gr.File):
    """Several files, as the paths at which Gradio keeps them."""

    def get_block_name(self) -> str:
        """Name the component that draws it."""
        return "file"

    def preprocess(self, payload: Any) -> Any:
        """Give the files that were sent."""
        return [_sent(data) for data in payload or []]


class Camera(_SentAlone, gr.Image):
    """One image of the camera, as the path at which Gradio keeps it."""

    def get_block_name(self) -> str:
        """Name the component that draws it."""
        return "image"

    def preprocess(self, payload: Any) -> Any:
        """Give the image that was sent."""
        return [] if payload is None else [_sent(payload)]


class Choice(_SentAlone, gr.Radio):
    """One of several."""

    def get_block_name(self) -> str:
        """Name the component that draws it."""
        return "radio"


class Switch(_SentAlone, gr.Checkbox):
    """Yes or no."""

    def get_block_name(self) -> str:
        """Name the component that draws it."""
        return "checkbox"


def _sent(data: FileData) -> Sent:
    return Sent(data.orig_name or Path(data.path).name, _checked(data.path))


def _checked(path: str | Path) -> Path:
    """Give a file back if it lies where Gradio puts what is sent."""
    try:
        file = Path(path).resolve()
        known = file.is_file() and file.is_relative_to(Path(get_upload_folder()).resolve())
    except (OSError, ValueError):
        known = False
    if not known:
        raise gr.Error(NOT_SENT, print_exception=False)
    return file
