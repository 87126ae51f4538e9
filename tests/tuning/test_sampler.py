import optuna

from facemask_ensemble.tuning.sampler import Numbered


def drawn(seed):
    study = optuna.create_study(sampler=Numbered(optuna.samplers.RandomSampler, seed))
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=4)
    return [trial.params["x"] for trial in study.trials]


def test_searches_of_neighbouring_seeds_have_no_draw_in_common():
    found = [value for seed in range(4) for value in drawn(seed)]
    assert len(set(found)) == len(found) == 16


def test_the_same_seed_draws_the_same():
    assert drawn(3) == drawn(3)
