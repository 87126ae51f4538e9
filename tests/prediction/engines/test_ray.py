"""Ray: the same answers as here, in the same order, from workers that hold the members."""

import importlib.util
import os
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from composed import settings_of
from PIL import Image
from processes import HANG

from facemask_ensemble.data.inputs import open_input
from facemask_ensemble.ensemble import voting
from facemask_ensemble.ensemble.rules import make_rule
from facemask_ensemble.ensemble.sources import Source
from facemask_ensemble.errors import InputError
from facemask_ensemble.prediction.choice import Choice
from facemask_ensemble.prediction.engines import Load, local
from facemask_ensemble.prediction.engines.cluster import joined, room
from facemask_ensemble.prediction.engines.ray import _in_order, answer
from facemask_ensemble.settings.predict import PredictSettings

COUNT = 150
needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed")


@pytest.fixture(scope="module")
def load():
    return Load(settings_of(PredictSettings, "predict", "input=.").runtime, 32, "decided")


@pytest.fixture(scope="module")
def choice(tmp_path_factory):
    """Three members of two sizes that answer by the mean of red, of green and of red again."""
    import keras

    from facemask_ensemble.models.classifier import build_classifier

    folder, sources = tmp_path_factory.mktemp("members"), []
    for name, size, channel in (("red", 8, 0), ("green", 12, 1), ("again", 8, 0)):
        model = build_classifier(name, lambda pixels: keras.layers.Rescaling(1 / 255)(pixels), size, 2, dropout=0.0)
        kernel = np.zeros((3, 2), "float32")
        kernel[channel, 1] = 2
        model.get_layer("probabilities").set_weights([kernel, np.array([1, 0], "float32")])
        model.save(folder / f"{name}.keras")
        # What asks a store about validation images cannot be sent to a worker.
        sources.append(Source(name, folder / f"{name}.keras", lambda: ([], np.zeros((0, 2), np.float32))))
    vote = make_rule("majority", voting.majority).fit(np.empty(0), np.empty(0))
    return Choice(["a", "b"], sources, vote, [1, 2, 3], "masks", {}, "three members")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for number in range(COUNT):
        Image.new("RGB", (20, 16), tuple(rng.integers(0, 256, 3).tolist())).save(folder / f"{number:03d}.png")
    (folder / "070.png").write_text("no image")
    return folder


@pytest.fixture(scope="module")
def cluster():
    """The address of a Ray of two cores that goes on until the tests are done."""
    os.environ |= {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}  # on 127.0.0.1 alone
    script = (
        "import ray, sys\n"
        "found = ray.init('local', num_cpus=2, include_dashboard=False, log_to_driver=False)\n"
        "print(found.address_info['gcs_address'], flush=True)\n"
        "sys.stdin.read()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield process.stdout.readline().strip()
    process.stdin.close()
    process.wait(HANG)


def on_ray(choice, load, items, cluster, **given):
    return answer(choice, load, items, None, **{"address": cluster, "workers": None, "cores": 1, "gpus": 0} | given)


@pytest.mark.heavy
@needs_ray
def test_ray_gives_the_answers_of_one_machine_in_the_order_of_the_images(choice, load, photos, cluster, monkeypatch):
    monkeypatch.setattr("facemask_ensemble.prediction.engines.feed.PARCEL", 16)

    def broken():
        yield from open_input(str(photos)).items()
        raise InputError("the archive is damaged")

    expected = list(local.answer(choice, load, open_input(str(photos)).items(), None))
    found = []
    with pytest.raises(InputError, match="the archive is damaged"):
        found.extend(on_ray(choice, load, broken(), cluster))
    for name in ("names", "reasons"):
        whole = [[value for one in some for value in getattr(one.chunk, name)] for some in (found, expected)]
        assert whole[0] == whole[1]
        assert len(whole[0]) == COUNT
    probs = [np.concatenate([one.probs for one in some], axis=1) for some in (found, expected)]
    np.testing.assert_allclose(probs[0], probs[1], atol=1e-6)
    assert np.isnan(probs[0][2]).any()  # where two members had decided, the third was not asked


@pytest.mark.heavy
@needs_ray
def test_what_a_worker_refuses_is_said_in_its_own_words(choice, load, photos, cluster, tmp_path):
    import keras

    model = keras.models.load_model(choice.sources[0].file)
    model.get_layer("probabilities").set_weights([np.full((3, 2), np.nan, "float32"), np.zeros(2, "float32")])
    model.save(tmp_path / "red.keras")
    broken = replace(choice, sources=[Source("red", tmp_path / "red.keras")])
    with pytest.raises(InputError, match="^members: red gives probabilities that are nan or infinite; train it again$"):
        list(on_ray(broken, load, open_input(str(photos)).items(), cluster, workers=1))
    with pytest.raises(InputError, match=r"engine.workers=3: with engine.cores=1 .*only 2 .*2 cores"):
        list(on_ray(choice, load, iter([]), cluster, workers=3))


@pytest.mark.heavy
@needs_ray
def test_sigterm_is_heeded_as_before_where_a_cluster_is_joined(cluster):
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with joined(cluster):
            assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, before)


def test_answers_that_are_missing_are_an_error_and_not_a_gap():
    class Batch:
        def __init__(self, first, names):
            self.row = {"first": first, "names": names, "reasons": [""] * len(names), "refusal": ""}
            self.row["probs"] = np.zeros((2, len(names), 3), np.float32).tobytes()

        def to_pylist(self):
            return [self.row]

    found = _in_order([Batch(0, ["a", "b"]), Batch(3, ["d"])], 2)
    assert next(found).probs.shape == (2, 2, 3)
    with pytest.raises(InputError, match="images from number 3 on were lost in Ray; .* run the same command again"):
        next(found)


@pytest.mark.parametrize(
    ("given", "expected"), [((None, 2, 0), 4), ((3, 2, 0), 3), ((None, 1, 0.5), 2), ((None, 1, 1), 1)]
)
def test_there_are_as_many_workers_as_the_cluster_has_room_for(given, expected):
    assert room({"CPU": 9.0, "GPU": 1.0}, *given) == expected


@needs_ray
def test_an_address_at_which_nobody_listens_is_refused_at_once(choice, load, closed_port):
    for address in (f"127.0.0.1:{closed_port}", f"ray://127.0.0.1:{closed_port}", "somewhere"):
        with pytest.raises(InputError, match=f"engine.address={address}: nothing listens there"):
            list(on_ray(choice, load, iter([]), address))
