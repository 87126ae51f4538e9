from functools import partial

import numpy as np
import pytest


@pytest.fixture
def members(tmp_path):
    """Two saved classifiers of different sizes that answer by the mean of red and of green."""
    import keras

    from facemask_ensemble.models.classifier import build_classifier

    files = {}
    for name, size, channel in (("red", 8, 0), ("green", 12, 1)):
        scaled = partial(keras.layers.Rescaling, 1 / 255)
        model = build_classifier(name, lambda pixels, scaled=scaled: scaled()(pixels), size, 2, dropout=0.0)
        kernel = np.zeros((3, 2), "float32")
        kernel[channel, 1] = 2
        model.get_layer("probabilities").set_weights([kernel, np.array([1, 0], "float32")])
        files[name] = tmp_path / f"{name}.keras"
        model.save(files[name])
    return files
