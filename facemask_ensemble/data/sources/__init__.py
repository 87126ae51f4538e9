"""Where labelled images come from: each source lists the images of one kind of dataset, without checking them."""

from facemask_ensemble.data.sources.class_layout import folders
from facemask_ensemble.data.sources.competition import kaggle_masks
from facemask_ensemble.data.sources.drawn import scenes
from facemask_ensemble.data.sources.faces import face_crops
from facemask_ensemble.data.sources.street import street_masks
from facemask_ensemble.data.sources.tables import table

__all__ = ["face_crops", "folders", "kaggle_masks", "scenes", "street_masks", "table"]
