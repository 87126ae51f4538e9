import numpy as np
import pytest

from facemask_ensemble.errors import InputError


def batch(labels, classes=3):
    """Make a batch in which every pixel of an image is its number."""
    pixels = np.broadcast_to(np.arange(len(labels), dtype=np.float32)[:, None, None, None], (len(labels), 4, 4, 3))
    return pixels, np.eye(classes, dtype=np.float32)[labels]


def test_partners_are_of_the_same_group_and_each_is_taken_once():
    from facemask_ensemble.data.augmentation.mixup import partners

    rng = np.random.default_rng(0)
    for _ in range(30):
        group = rng.integers(0, 4, 33)
        found = partners(group, rng.random(33)).numpy()
        np.testing.assert_array_equal(group[found], group)
        assert sorted(found) == list(range(33))


def test_partners_are_those_worked_out_by_hand():
    from facemask_ensemble.data.augmentation.mixup import partners

    # The lots put class 0 (images 0, 2, 3) in the order 3, 0, 2 and class 1 (1, 4) in the order 4, 1.
    found = partners([0, 1, 0, 0, 1], [0.5, 0.9, 0.7, 0.1, 0.2])
    np.testing.assert_array_equal(found, [3, 4, 0, 2, 1])


@pytest.mark.heavy
def test_all_partners_of_a_group_are_as_likely():
    from facemask_ensemble.data.augmentation.mixup import partners

    rng = np.random.default_rng(0)
    found = np.array([partners([0, 0, 1, 0, 1], rng.random(5)) for _ in range(900)])
    for place in (0, 1, 3):
        counts = np.bincount(found[:, place], minlength=5)
        assert counts[[2, 4]].sum() == 0
        assert (np.abs(counts[[0, 1, 3]] - 300) < 60).all()


def test_labels_stay_exactly_true_within_a_class():
    from facemask_ensemble.data.augmentation import MixUp

    labels = np.random.default_rng(0).integers(0, 3, 60)
    pixels, answers = batch(labels)
    mixed, told = MixUp(alpha=1, classes="same", seed=1)(pixels, answers)
    np.testing.assert_allclose(told, answers, atol=1e-6)
    assert np.ptp(mixed, axis=(1, 2, 3)).max() < 1e-4
    assert (np.abs(np.asarray(mixed)[:, 0, 0, 0] - np.arange(60)) > 0.5).sum() > 30


def test_labels_are_mixed_in_the_proportion_of_the_images():
    from facemask_ensemble.data.augmentation import MixUp

    answers = np.eye(40, dtype=np.float32)  # a class an image: the label names both that were mixed, and how much
    pixels, _ = batch(np.arange(40), classes=40)
    mixed, told = MixUp(alpha=1, classes="any", seed=1)(pixels, answers)
    np.testing.assert_allclose(np.sum(told, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(
        np.asarray(mixed)[:, 0, 0, 0], np.asarray(told) @ np.arange(40, dtype=np.float32), atol=1e-4
    )
    assert {np.count_nonzero(row) for row in np.asarray(told)} <= {1, 2}
    assert np.count_nonzero(told) > 60


@pytest.mark.parametrize("alpha", [0.2, 1.0, 8.0])
def test_shares_follow_the_beta_distribution(alpha):
    from scipy.stats import beta, kstest

    from facemask_ensemble.data.augmentation import MixUp

    shares = MixUp(alpha=alpha, seed=1)._shares(4000).numpy()
    assert kstest(shares, beta(alpha, alpha).cdf).pvalue > 0.01


def test_shares_of_a_tiny_alpha_are_0_or_1_and_never_nan():
    from facemask_ensemble.data.augmentation import MixUp

    shares = MixUp(alpha=0.01, seed=1)._shares(4000).numpy()
    assert ((shares >= 0) & (shares <= 1)).all()


def test_an_image_alone_in_its_class_stays_as_it_is():
    from facemask_ensemble.data.augmentation import MixUp

    pixels, answers = batch(np.array([0, 1, 1, 1]))
    mixed, _ = MixUp(alpha=1, seed=1)(pixels + 7, answers)
    np.testing.assert_allclose(mixed[0], pixels[0] + 7, atol=1e-5)


def test_whole_number_labels_are_refused():
    from facemask_ensemble.data.augmentation import MixUp

    pixels, answers = batch(np.array([0, 1, 2]))
    with pytest.raises(InputError, match="give loader.labels=one_hot loader.loss=categorical_crossentropy"):
        MixUp()(pixels, answers.argmax(axis=1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"alpha": 0}, "alpha=0: must be a number above 0"),
        ({"alpha": float("nan")}, "alpha=nan"),
        ({"alpha": float("inf")}, "alpha=inf"),
        ({"classes": "other"}, "classes=other: must be one of same, any"),
    ],
)
def test_impossible_settings_are_refused(arguments, message):
    from facemask_ensemble.data.augmentation import MixUp

    with pytest.raises(InputError, match=message):
        MixUp(**arguments)
