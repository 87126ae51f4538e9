from functools import partial

import numpy as np
import pytest


@pytest.fixture(scope="session")
def classifier():
    """Build a classifier of three classes with a convolution, batch normalisation and random weights."""
    import keras

    from facemask_ensemble.models.classifier import build_classifier

    def build(name, size, seed=0):
        draw = partial(keras.initializers.RandomNormal, 0, 0.5)

        def features(pixels):
            scaled = keras.layers.Normalization(mean=[120.0, 110, 100], variance=[3600.0, 3000, 2500], dtype="float32")
            x = keras.layers.Conv2D(8, 3, kernel_initializer=draw(seed=seed))(scaled(pixels))
            return keras.layers.ReLU()(keras.layers.BatchNormalization()(x))

        model = build_classifier(name, features, size, 3, dropout=0.1)
        model.get_layer("probabilities").set_weights(
            [np.random.default_rng(seed).normal(0, 0.7, (8, 3)).astype("float32"), np.zeros(3, "float32")]
        )
        return model

    return build


@pytest.fixture(scope="session")
def sources(classifier, tmp_path_factory):
    """Three saved members of two sizes, one of them in half precision, without validation images."""
    import keras

    from facemask_ensemble.ensemble.sources import Source

    folder, found = tmp_path_factory.mktemp("members"), []
    for seed, (name, size) in enumerate((("ada", 8), ("bea", 12), ("cid", 8))):
        keras.config.set_dtype_policy("mixed_bfloat16" if name == "bea" else "float32")
        try:
            model = classifier(name, size, seed)
        finally:
            keras.config.set_dtype_policy("float32")
        model.save(folder / f"{name}.keras")
        found.append(Source(name, folder / f"{name}.keras"))
    return found


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """Thirty images of coloured blocks, and one file that is none."""
    from PIL import Image

    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for number in range(30):
        blocks = Image.fromarray(rng.integers(0, 256, (4, 5, 3), np.uint8))
        blocks.resize((50, 40), Image.Resampling.NEAREST).save(folder / f"{number:02d}.png")
    (folder / "99.jpg").write_text("no image")
    return folder
