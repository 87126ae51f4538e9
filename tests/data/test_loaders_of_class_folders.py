"""The three loaders read one manifest: the same images, labels and steps."""

import hashlib
import os

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from facemask_ensemble.data.manifest import Manifest
from facemask_ensemble.errors import InputError

SIZE, BATCH = 16, 4
CLASSES = ("wearing a mask", "none", "Größe")  # not in alphabetical order, nor of plain letters


def image(seed, side=SIZE):
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


def manifest_of(root, files, splits=None):
    """Describe files, a label each in the order given."""
    rows = pd.DataFrame(
        {
            "path": [path for path, _ in files],
            "sha256": [hashlib.sha256((root / path).read_bytes()).hexdigest() for path, _ in files],
            "label": [label for _, label in files],
            "group": "",
            "split": splits or "train",
            "look": "",
            "mirrored": "",
        }
    )
    return Manifest("hands", root, CLASSES, rows, pd.DataFrame(columns=["path", "reason"]))


@pytest.fixture
def manifest(tmp_path):
    """Eleven training images of another size than the network's, and three of validation that lack a class."""
    root, files = tmp_path / "my images", []
    root.mkdir()
    for number in range(14):
        files.append((f"image {number}\n.png", (2, 0, 1)[number % 3] if number < 11 else number % 2))
        Image.fromarray(image(number, side=20 + number)).save(root / files[-1][0])
    return manifest_of(root, files, ["train"] * 11 + ["validation"] * 3)


def load(name, manifest, folder, split="train", *, labels="one_hot", resize="ours", **options):
    from facemask_ensemble.data import loaders

    keys = {"labels": labels} if name == "tf_data" else {"labels": labels, "resize": resize}
    return getattr(loaders, name)(manifest, split, SIZE, BATCH, folder, **keys, **options)


def epoch(data):
    pixels, labels = (np.concatenate(arrays) for arrays in zip(*data.as_numpy_iterator(), strict=True))
    return pixels, labels


def by_image(data):
    """Map every image of an epoch, as bytes, to its label."""
    pixels, labels = epoch(data)
    assert pixels.min() >= 0 and pixels.max() <= 255
    assert (pixels == pixels.astype(np.uint8)).all()
    found = {array.astype(np.uint8).tobytes(): label.tolist() for array, label in zip(pixels, labels, strict=True)}
    assert len(found) == len(pixels)
    return found


NAMES = pytest.mark.parametrize("name", ["tf_data", "directory", "generator"])


@pytest.mark.parametrize("split", ["train", "validation"])
@pytest.mark.parametrize("name", ["directory", "generator"])
def test_keras_readers_give_exactly_our_pixels_with_the_same_labels(name, split, manifest, tmp_path):
    ours = by_image(load("tf_data", manifest, tmp_path / "data", split))
    assert by_image(load(name, manifest, tmp_path / "data", split)) == ours
    assert by_image(load(name, manifest, tmp_path / "data", split, shuffle_seed=5)) == ours


@NAMES
@pytest.mark.parametrize("labels", ["one_hot", "integers"])
def test_labels_are_the_manifests_in_the_encoding_asked_for(name, labels, manifest, tmp_path):
    from facemask_ensemble.data.loaders import read_split

    rows, pixels = manifest.split("validation"), read_split(manifest, "validation", SIZE, tmp_path)
    expected = np.eye(3)[rows["label"]] if labels == "one_hot" else rows["label"]
    found = by_image(load(name, manifest, tmp_path, "validation", labels=labels))
    assert found == {array.tobytes(): label.tolist() for array, label in zip(pixels, np.asarray(expected), strict=True)}


@pytest.mark.heavy
@NAMES
def test_every_epoch_has_all_images_once_in_three_steps_and_another_order(name, manifest, tmp_path):
    import keras

    def orders(seed):
        keras.utils.set_random_seed(1)
        data = load(name, manifest, tmp_path, shuffle_seed=seed)
        assert len(data) == 3
        passes = [[len(pixels) for pixels, _ in data.as_numpy_iterator()] for _ in range(2)]
        assert passes == [[4, 4, 3]] * 2
        seen = [[array.tobytes() for array in epoch(data)[0]] for _ in range(3)]
        assert {frozenset(order) for order in seen} == {frozenset(seen[0])}
        assert len(seen[0]) == len(set(seen[0])) == 11
        assert len({tuple(order) for order in seen}) == 3
        return seen

    assert orders(7) == orders(7)
    assert orders(7) != orders(8)


@pytest.mark.heavy
@NAMES
def test_no_pass_of_one_seed_has_the_order_of_a_pass_of_another(name, manifest, tmp_path):
    """Eleven images have 40 million orders; by sums, seed 0 in pass 1 is seed 1, or seed 3 after three batches."""
    seen = []
    for seed in (0, 1, 2, 3, 6):
        data = load(name, manifest, tmp_path, shuffle_seed=seed)
        seen += [tuple(array.tobytes() for array in epoch(data)[0]) for _ in range(4)]
    assert len(set(seen)) == len(seen) == 20


@NAMES
def test_without_a_seed_the_order_stays(name, manifest, tmp_path):
    data = load(name, manifest, tmp_path)
    np.testing.assert_array_equal(epoch(data)[0], epoch(data)[0])


def test_an_epoch_left_half_way_is_not_gone_on_with(manifest, tmp_path):
    data = load("generator", manifest, tmp_path, shuffle_seed=3)
    next(iter(data))
    assert len(by_image(data)) == 11


@NAMES
def test_red_stays_red(name, tmp_path):
    Image.new("RGB", (30, 30), (250, 20, 3)).save(tmp_path / "red.png")
    for resize in ["ours"] if name == "tf_data" else ["ours", "reader"]:
        data = load(name, manifest_of(tmp_path, [("red.png", 0)]), tmp_path / "data", resize=resize)
        assert epoch(data)[0][0, 8, 8].tolist() == [250, 20, 3]


@NAMES
def test_augmentation_comes_last_and_leaves_the_labels_alone(name, manifest, tmp_path):
    import tensorflow as tf

    plain = epoch(load(name, manifest, tmp_path))
    negative = epoch(
        load(name, manifest, tmp_path, augment=lambda pixels, labels: (255 - tf.cast(pixels, tf.float32), labels))
    )
    np.testing.assert_array_equal(negative[0], 255 - plain[0].astype(np.float32))
    np.testing.assert_array_equal(negative[1], plain[1])


def test_the_readers_say_nothing(manifest, tmp_path, capfd):
    for name in ("directory", "generator"):
        epoch(load(name, manifest, tmp_path))
    assert capfd.readouterr().out == ""


def test_reading_the_originals_is_what_users_of_keras_get(manifest, tmp_path):
    """Bilinear without antialiasing, and nearest, each by a library of its own."""
    import tensorflow as tf

    bilinear, nearest = (
        epoch(load(name, manifest, tmp_path / "data", resize="reader"))[0] for name in ("directory", "generator")
    )
    rows = manifest.split("train").sort_values("label", kind="stable")
    for row, first, second in zip(rows.itertuples(), bilinear, nearest, strict=True):
        with Image.open(manifest.root / row.path) as image:
            np.testing.assert_allclose(first, tf.image.resize(np.asarray(image), (SIZE, SIZE)), atol=1e-3)
            np.testing.assert_array_equal(second, image.resize((SIZE, SIZE), Image.Resampling.NEAREST))


def test_original_files_are_linked_and_never_changed(manifest, tmp_path):
    before = {path: (manifest.root / path).read_bytes() for path in manifest.rows["path"]}
    for name in ("directory", "generator"):
        by_image_count = len(epoch(load(name, manifest, tmp_path / "data", resize="reader"))[0])
        assert by_image_count == 11
    links = [path for path in (tmp_path / "data" / "originals").rglob("*") if not path.is_dir()]
    assert len(links) == 11 and all(link.is_symlink() for link in links)
    assert {path: (manifest.root / path).read_bytes() for path in manifest.rows["path"]} == before


def test_where_links_cannot_be_made_the_originals_are_copied(manifest, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError("operation not supported")

    monkeypatch.setattr("pathlib.Path.symlink_to", refuse)
    load("directory", manifest, tmp_path / "data", resize="reader")
    files = [path for path in (tmp_path / "data" / "originals").rglob("*.png")]
    kept = {hashlib.sha256(path.read_bytes()).hexdigest() for path in files if not path.is_symlink()}
    assert kept == set(manifest.split("train")["sha256"])


def test_images_are_written_once_under_their_labels_numbers_and_contents(manifest, tmp_path):
    load("directory", manifest, tmp_path)
    (target,) = (tmp_path / "normalised").glob("*/train")
    files = {path.relative_to(target).as_posix(): path.stat().st_mtime_ns for path in target.rglob("*.png")}
    rows = manifest.split("train")
    assert set(files) == {f"{row.label:03}/{row.Index:06}_{row.sha256[:12]}.png" for row in rows.itertuples()}
    load("generator", manifest, tmp_path)
    assert {path.relative_to(target).as_posix(): path.stat().st_mtime_ns for path in target.rglob("*.png")} == files
    assert [path.name for path in target.parent.iterdir()] == ["train"]


def test_another_label_or_size_gets_a_folder_of_its_own(manifest, tmp_path):
    from facemask_ensemble.data.class_folders import normalised

    pixels = {side: np.zeros((11, side, side, 3), np.uint8) for side in (4, 5)}
    other = manifest_of(manifest.root, [(row.path, 0) for row in manifest.split("train").itertuples()])
    folders = [normalised(manifest, "train", array, tmp_path) for array in pixels.values()]
    folders.append(normalised(other, "train", pixels[4], tmp_path))
    assert len(set(folders)) == 3


def test_of_two_processes_that_write_at_once_one_wins_and_both_go_on(manifest, tmp_path, monkeypatch):
    """The second one finishes while the first is about to."""
    from facemask_ensemble.data import class_folders

    pixels, rename, second = np.zeros((11, 4, 4, 3), np.uint8), class_folders.Path.rename, []

    def slow(self, target):
        if not second:
            second.append(None)
            second.append(class_folders.normalised(manifest, "train", pixels, tmp_path))
        return rename(self, target)

    monkeypatch.setattr(class_folders.Path, "rename", slow)
    first = class_folders.normalised(manifest, "train", pixels, tmp_path)
    assert second[1] == first
    assert len(list(first.rglob("*.png"))) == 11
    assert [path.name for path in first.parent.iterdir()] == ["train"]


def test_a_full_disk_leaves_nothing_behind_and_names_the_next_step(manifest, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(InputError, match=r"cannot hold 11 images \(No space left on device\): free some space"):
        load("directory", manifest, tmp_path / "data")
    assert not [path for path in (tmp_path / "data" / "normalised").rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", ["directory", "generator"])
def test_a_folder_that_lost_an_image_is_refused_by_its_path(name, manifest, tmp_path):
    load(name, manifest, tmp_path)
    next((tmp_path / "normalised").rglob("*.png")).unlink()
    with pytest.raises(InputError, match=r"train has 10 of 11 images; delete the folder, and it is written again"):
        load(name, manifest, tmp_path)


def save_kind(kind, path):
    """Write a smooth image of a kind, as lossless as it can be."""
    side = np.linspace(20, 230, SIZE).astype(np.uint8)
    image = Image.fromarray(np.stack(np.broadcast_arrays(side[:, None], side[None, :], np.uint8(90)), axis=2))
    match kind:
        case "webp":
            image.save(path, format="WEBP")
        case "tiff":
            image.save(path, format="TIFF")
        case "cmyk":
            image.convert("CMYK").save(path, format="JPEG")
        case "rotated":
            exif = Image.Exif()
            exif[0x0112] = 6
            image.save(path, format="JPEG", exif=exif)
        case "deep":
            Image.fromarray(np.full((SIZE, SIZE), 40000, np.uint16)).save(path, format="PNG")
        case "see-through":
            image.putalpha(100)
            image.save(path, format="PNG")
        case "few-bits":
            image.quantize(16).save(path, format="BMP")
        case "opaque":
            image.convert("RGBA").save(path, format="PNG")
        case "palette":
            image.quantize(16).save(path, format="PNG")
        case "grey":
            image.convert("L").save(path, format="PNG")
        case "black-and-white":
            image.convert("1").save(path, format="PNG")
        case "bmp":
            image.save(path, format="BMP")
        case "gif":
            image.save(path, format="GIF", save_all=True, append_images=[Image.new("RGB", (SIZE, SIZE))])
        case "jpeg":
            image.save(path, format="JPEG", quality=98, subsampling=0)
        case "grey-jpeg":
            image.convert("L").save(path, format="JPEG", quality=98)


@pytest.mark.parametrize("name", ["directory", "generator"])
@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("webp", "a WEBP by its content"),
        ("tiff", "a TIFF by its content"),
        ("cmyk", "in CMYK colours"),
        ("rotated", "EXIF-rotated"),
        ("deep", "a PNG of 16 bits"),
        ("see-through", "partly transparent"),
        ("few-bits", "a BMP without 24 bits a pixel"),
    ],
)
def test_a_file_that_keras_shows_otherwise_is_refused_by_name(name, kind, why, tmp_path):
    save_kind("jpeg", tmp_path / "sound.jpg")
    save_kind(kind, tmp_path / "odd.jpg")
    save_kind(kind, tmp_path / "odder.jpg")
    manifest = manifest_of(tmp_path, [("sound.jpg", 0), ("odd.jpg", 1), ("odder.jpg", 1)])
    with pytest.raises(InputError, match=rf"odd\.jpg is {why}, .*; give loader.resize=ours"):
        load(name, manifest, tmp_path / "data", resize="reader")
    assert len(epoch(load(name, manifest, tmp_path / "data"))[0]) == 3


@pytest.mark.parametrize("name", ["directory", "generator"])
@pytest.mark.parametrize("kind", ["opaque", "palette", "grey", "black-and-white", "bmp", "gif", "jpeg", "grey-jpeg"])
def test_a_file_that_is_accepted_shows_as_our_own_reader_shows_it(name, kind, tmp_path):
    """At the network's size nothing is resized; JPEG decoders may differ by a few grey levels."""
    save_kind(kind, tmp_path / "any.name")
    manifest = manifest_of(tmp_path, [("any.name", 2)])
    with Image.open(tmp_path / "any.name") as image:
        expected = np.asarray(image.convert("RGB"), dtype=np.float32)
    pixels, labels = epoch(load(name, manifest, tmp_path / "data", resize="reader"))
    difference = np.abs(pixels[0] - expected)
    assert difference.mean() < 3 and difference.max() <= 10 if "jpeg" in kind else (difference == 0).all()
    assert labels[0].tolist() == [0, 0, 1]


def test_real_photographs_are_the_same_to_all_three(real_data, tmp_path):
    paths = sorted((real_data / "rock_paper_scissors" / "test").glob("*/*"))[::20]
    manifest = manifest_of(
        real_data, [(os.path.relpath(path, real_data), number % 3) for number, path in enumerate(paths)]
    )
    found = [by_image(load(name, manifest, tmp_path)) for name in ("tf_data", "directory", "generator")]
    assert found[0] == found[1] == found[2]
