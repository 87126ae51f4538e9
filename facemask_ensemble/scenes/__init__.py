"""Scenes of drawn people with and without masks: the embedded dataset."""

from facemask_ensemble.scenes.folder import draw_folder
from facemask_ensemble.scenes.scene import CLASS_NAMES, Face, Scene, draw_scene, example_image

__all__ = ["CLASS_NAMES", "Face", "Scene", "draw_folder", "draw_scene", "example_image"]
