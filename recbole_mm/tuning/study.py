"""What optuna does in a search: it draws the options of trials at random, and ends hopeless trials early.

The study lives in memory. A search that goes on tells it the trials of the log first; nothing of optuna's is written or
read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from recbole_mm.errors import InputError
from recbole_mm.tuning.search_space import SearchSpace
from recbole_mm.tuning.trial import Trial

PRUNERS = ("median", "none")
FINISHED = 4  # trials that are trained to their end before any is pruned
WARM_UP = 10  # epochs in which no trial is pruned: a small learning rate starts slowly
ATTEMPTS = 100  # after so many draws without a new trial, a small space is exhausted


class Study:
    """Draws and pruning of one search.

    Args:
        seed: of the draws.
        bigger: whether a larger score is better.
        pruner: one of `PRUNERS`.

    Raises:
        InputError: optuna is missing, or there is no such pruner.
    """

    def __init__(self, space: SearchSpace, seed: int, bigger: bool, pruner: str = "median") -> None:
        try:
            import optuna
        except ImportError as error:
            raise InputError("tuning needs optuna, which is missing; type: pip install 'recbole-mm[tune]'") from error
        if pruner not in PRUNERS:
            raise InputError(f"pruner '{pruner}' is unknown; pruners: {', '.join(PRUNERS)}")
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna, self._space, self._seed = optuna, space, seed
        never = optuna.pruners.NopPruner()
        median = optuna.pruners.MedianPruner(n_startup_trials=FINISHED, n_warmup_steps=WARM_UP, n_min_trials=FINISHED)
        self._study = optuna.create_study(
            direction="maximize" if bigger else "minimize",
            sampler=optuna.samplers.RandomSampler(seed),
            pruner=median if pruner == "median" else never,
        )
        self._running: dict[int, Any] = {}

    def draw(self, number: int, tried: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
        """Options of a random trial: they depend on the seed, its number, and which options were tried.

        Returns:
            None if a small space has no options that were not tried.
        """
        for attempt in range(ATTEMPTS):
            own_seed = int(np.random.SeedSequence([self._seed, number, attempt]).generate_state(1)[0])
            sampler = self._optuna.samplers.RandomSampler(own_seed)
            drawn = {
                option: sampler.sample_independent(self._study, self._frozen(), option, distribution)
                for option, distribution in self._distributions().items()
            }
            options = self._space.options(drawn)
            if options not in tried:
                return options
        return None

    def _distributions(self) -> dict[str, Any]:
        """Optuna's form of the space. A choice has the positions of its values, since these may be lists."""
        distributions = self._optuna.distributions
        found: dict[str, Any] = {}
        for option, distribution in self._space.distributions.items():
            ((name, values),) = distribution.items()
            if name == "choice":
                found[option] = distributions.CategoricalDistribution(range(len(values)))
            else:
                found[option] = distributions.FloatDistribution(*map(float, values), log=name == "loguniform")
        return found

    def _frozen(self) -> Any:
        return self._optuna.trial.create_trial(state=self._optuna.trial.TrialState.RUNNING)

    def start(self, number: int) -> None:
        """A trial starts to train."""
        self._running[number] = self._study.ask()

    def is_hopeless(self, number: int, epoch: int, score: float) -> bool:
        """Whether to end the trial after this epoch: its best score is worse than the median of finished trials."""
        self._running[number].report(score, epoch)
        return self._running[number].should_prune()

    def end(self, trial: Trial) -> None:
        """A trial has ended, or is one of the log."""
        states = self._optuna.trial.TrialState
        state = states.FAIL if trial.score is None else states.PRUNED if trial.pruned else states.COMPLETE
        value = trial.score if state == states.COMPLETE else None
        running = self._running.pop(trial.number, None)
        if running is not None:
            self._study.tell(running, value, state=state)
            return
        self._study.add_trial(
            self._optuna.trial.create_trial(
                state=state, value=value, intermediate_values={int(epoch): score for epoch, score in trial.scores}
            )
        )
