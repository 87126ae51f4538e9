import numpy as np
import pytest
from PIL import Image


def noise(seed, side=48):
    """An image of random coarse blocks, unlike that of any other seed."""
    blocks = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(blocks).resize((side, side), Image.Resampling.NEAREST)


@pytest.fixture
def save_noise():
    def save(path, seed, **options):
        path.parent.mkdir(parents=True, exist_ok=True)
        noise(seed).save(path, **options)
        return path

    return save


@pytest.fixture
def class_folders(tmp_path, save_noise):
    """Two classes, `cat` and `dog`, of 20 different images each."""
    root = tmp_path / "images"
    for label, name in enumerate(["cat", "dog"]):
        for index in range(20):
            save_noise(root / name / f"{index:02}.png", 100 * label + index)
    return root
