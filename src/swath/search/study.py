"""An Optuna study, told and asked, with nothing of it in the user's way.

Theory of operation
-------------------
A study lives in memory and is made anew from the history of a run: no pickle, no file. A trial is a proposal that was
asked for or adopted; it counts as running until its result is told.

What a sampler proposes depends on its generators of random numbers. They are seeded before every question from the
search's root seed, the number of the proposal and how often it was asked for before. So the answer depends on the history
and on nothing else: a study that was made anew answers as the one that went on would have.

What the samplers make of trials that are running: ``tpe`` counts them among the bad ones (the constant liar of
D. Ginsbourger, R. Le Riche, L. Carraro, "Kriging is well-suited to parallelize optimization", 2010,
doi:10.1007/978-3-642-10701-6_6), ``gp`` integrates over what they may give, ``cma-es`` and ``nsga-ii`` do not look at
them: they go by generations.
"""

from __future__ import annotations

import warnings
from hashlib import blake2b
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from swath.definition.domains import Bell, Between, Listed, Steps
from swath.definition.searching import POPULATION
from swath.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from optuna import Trial
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler

    from swath.definition.domains import Chosen, Code, Domain
    from swath.definition.searching import Search

NEEDS: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "tpe": (("optuna", "search"),),
    "gp": (("optuna", "search"), ("scipy", "gp"), ("torch", "gp")),
    "cma-es": (("optuna", "search"), ("cmaes", "search")),
    "nsga-ii": (("optuna", "search"),),
}
"""What a method imports, and the extra that brings it."""


def demand(method: str) -> None:
    """Make sure, in a millisecond, that what a method needs is installed.

    Raises
    ------
    UsageError
        It is not; the text says what to install.
    """
    for package, extra in NEEDS[method]:
        if find_spec(package) is None:
            raise UsageError(
                f"search.method: {method} needs {package}, which is not installed: pip install 'swath[{extra}]'"
            )


class Study:
    """A study for one search.

    Parameters
    ----------
    search : Search
        What it looks for; its method is one of `NEEDS`.
    signs : sequence of int
        For every goal, 1 if it should be small, -1 if it should be large.
    root : int
        The root of all randomness.

    Attributes
    ----------
    generational : bool
        Whether the method goes by generations of trials with a result.

    Raises
    ------
    UsageError
        Something that the method needs is not installed.
    """

    def __init__(self, search: Search, signs: Sequence[int], root: int) -> None:
        demand(search.method)
        warnings.filterwarnings("ignore", "IProgress not found")  # tqdm's, of a bar that nobody asked for
        import optuna  # noqa: PLC0415  # 0.2 s that only searches pay

        self._chosen = search.chosen
        self._root = root
        self.generational = search.method in {"cma-es", "nsga-ii"}
        self._distributions = {each.name: _distribution(each.domain) for each in search.chosen}
        self._always = {
            each.name: self._distributions[each.name] for each in search.chosen if each.when is None
        }
        self._failed, self._pruned = optuna.trial.TrialState.FAIL, optuna.trial.TrialState.PRUNED
        said = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(
            optuna.logging.WARNING
        )  # it would print the name that it invents for the study
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                sampler = _sampler(search)
            self._study = optuna.create_study(
                directions=["minimize" if sign > 0 else "maximize" for sign in signs], sampler=sampler
            )
        finally:
            optuna.logging.set_verbosity(said)
        if (
            search.method == "gp"
        ):  # an infinite value is a bad one, and it takes it for the worst of the others
            warnings.filterwarnings("ignore", "Clip non-finite values", UserWarning)
        self._generators = list(_generators(sampler))

    def ask(
        self, number: int, attempt: int, active: Callable[[Chosen, Mapping[str, Any]], bool]
    ) -> tuple[Trial, dict[str, Any]]:
        """Ask for a proposal.

        Parameters
        ----------
        number : int
            Which proposal of the search it will be.
        attempt : int
            How often it was asked for before.
        active : callable
            Tells, of a parameter, whether it is present beside the values chosen so far.

        Returns
        -------
        trial : Trial
            To be told of by `tell`.
        row : dict of str to value
            The active parameters.
        """
        self._seed(number, attempt)
        trial = self._study.ask(self._always)
        codes, row = dict(trial.params), {}
        for each in self._chosen:
            if each.when is None:
                row[each.name] = each.domain.value(codes[each.name])
            elif active(each, row):
                code = _suggested(trial, each.name, self._distributions[each.name])
                row[each.name] = each.domain.value(code)
        return trial, row

    def codes(self, row: Mapping[str, Any]) -> dict[str, Code]:
        """Return a row as the method knows it. Raises `Wrong` if a value is outside its domain."""
        return {each.name: each.domain.code(row[each.name]) for each in self._chosen if each.name in row}

    def adopt(self, number: int, row: Mapping[str, Any]) -> Trial:
        """Take in a proposal that somebody else made; it counts as running until it is told.

        Raises
        ------
        Wrong
            A value is outside its domain.
        """
        codes = self.codes(row)
        self._seed(number, 0)
        self._study.enqueue_trial(codes)
        trial = self._study.ask({name: self._distributions[name] for name in codes})
        if self.generational:  # a look at what the method would propose places the trial in a generation
            _ = trial.relative_params
        return trial

    def succeed(self, trial: Trial, values: Sequence[float], violations: Mapping[str, float]) -> None:
        """Tell the values of the goals, and by how much the trial misses each bound (at most 0: it does not)."""
        for bound, violation in violations.items():
            trial.set_constraint(bound, violation)
        self._study.tell(trial, list(values))

    def prune(self, trial: Trial, step: int, value: float) -> None:
        """Tell that a trial was ended early, and what it had at its last step; there must be one goal."""
        trial.report(value, step)
        self._study.tell(trial, state=self._pruned)

    def fail(self, trial: Trial) -> None:
        """Tell that there will be no result."""
        self._study.tell(trial, state=self._failed)

    def _seed(self, number: int, attempt: int) -> None:
        for place, generator in enumerate(self._generators):
            text = f"{self._root} {number} {attempt} {place}".encode()
            generator.seed(int.from_bytes(blake2b(text, digest_size=4).digest(), "little"))


def _generators(sampler: BaseSampler) -> Iterator[np.random.RandomState]:
    """Yield the generators of a sampler, and of the samplers inside it."""
    from optuna.samplers import BaseSampler  # noqa: PLC0415  # imported by now

    for inner in vars(sampler).values():
        if isinstance(inner, BaseSampler):
            yield from _generators(inner)
        elif isinstance(generator := getattr(inner, "rng", None), np.random.RandomState):
            yield generator


def _sampler(search: Search) -> BaseSampler:
    from optuna import samplers  # noqa: PLC0415  # imported by now

    match search.method:
        case "tpe":
            return samplers.TPESampler(seed=0, n_startup_trials=search.startup)
        case "gp":
            return samplers.GPSampler(
                seed=0, n_startup_trials=search.startup, warn_independent_sampling=False
            )
        case "cma-es":
            return samplers.CmaEsSampler(
                seed=0,
                n_startup_trials=search.startup,
                popsize=search.population,
                warn_independent_sampling=False,
            )
    return samplers.NSGAIISampler(seed=0, population_size=search.population or POPULATION)


def _distribution(domain: Domain) -> BaseDistribution:
    from optuna import distributions  # noqa: PLC0415  # imported by now

    match domain:
        case Listed(ordered=False):
            return distributions.CategoricalDistribution(range(domain.size))
        case Listed() | Steps():
            return distributions.IntDistribution(0, domain.size - 1)
        case Between():
            return distributions.FloatDistribution(domain.low, domain.high, log=domain.log)
        case Bell():
            return distributions.FloatDistribution(0.0, 1.0)


def _suggested(trial: Trial, name: str, distribution: BaseDistribution) -> Code:
    """Let a trial choose by a distribution that only some trials have."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution  # noqa: PLC0415

    match distribution:
        case CategoricalDistribution():
            return trial.suggest_categorical(name, range(len(distribution.choices)))
        case IntDistribution():
            return trial.suggest_int(name, distribution.low, distribution.high)
        case FloatDistribution():
            return trial.suggest_float(name, distribution.low, distribution.high, log=distribution.log)
    raise AssertionError(distribution)
