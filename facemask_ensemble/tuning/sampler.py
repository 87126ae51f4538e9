"""Draw by Optuna's samplers, the same in every trial of a number, whichever process runs it."""

from collections.abc import Callable, Sequence
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from facemask_ensemble.seeds import derived


class Numbered(BaseSampler):
    """A new sampler for every trial, seeded by the search's seed and the trial's number.

    Otherwise parallel processes would all start with the same values, and a search that resumes would repeat its
    first values.

    Args:
        make: takes a seed and gives the sampler.
        seed: of the search.
    """

    def __init__(self, make: Callable[..., BaseSampler], seed: int) -> None:
        self.make, self.seed = make, seed
        self.now = make(seed=seed)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:  # noqa: D102
        self.now = self.make(seed=derived(self.seed, trial.number))
        self.now.before_trial(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:  # noqa: D102
        return self.now.infer_relative_search_space(study, trial)

    def sample_relative(  # noqa: D102
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self.now.sample_relative(study, trial, search_space)

    def sample_independent(  # noqa: D102
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self.now.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(  # noqa: D102
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        self.now.after_trial(study, trial, state, values)
