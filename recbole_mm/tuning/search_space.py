"""Search spaces of `recbole_mm.tuning.search`: the options of a model that are searched, and their values.

A space is an entry of ``properties/tuning/<task>.yaml``: model -> option -> one distribution, e.g.

    learning_rate: {loguniform: [0.0005, 0.02]}     between two numbers, uniform in the logarithm
    dropout_prob: {uniform: [0.0, 0.5]}             between two numbers
    embedding_size: {choice: [16, 32, 64]}          one of these

A user's own file (``--space``) has the same form, for one model also without the model's name; or it is a file of
RecBole's HyperTuning, with lines such as ``learning_rate loguniform -8,0`` and ``n_layers choice [1,2,3]``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recbole_mm.config.config import Config
from recbole_mm.config.sources import Given, read_packaged
from recbole_mm.errors import InputError, nearest
from recbole_mm.finite import is_finite, shown
from recbole_mm.tuning.recbole_space import read_recbole_space

DISTRIBUTIONS = ("choice", "uniform", "loguniform")
DIGITS = 3  # significant digits of a random number: more make no difference and are hard to read


class NoSpaceError(InputError):
    """There is nothing to search for this model."""


@dataclass(frozen=True)
class SearchSpace:
    """Distributions of one model's options.

    Attributes:
        distributions: option -> its distribution, as in the file.
        file: of the distributions.
    """

    distributions: Mapping[str, Mapping[str, list]]
    file: Path

    def options(self, drawn: Mapping[str, Any]) -> dict[str, Any]:
        """Options of a run, in the order of the file.

        Args:
            drawn: option -> a number of its range, or the position of a choice.
        """
        options = {}
        for option, distribution in self.distributions.items():
            ((name, values),) = distribution.items()
            if name == "choice":
                options[option] = values[int(drawn[option])]
            else:
                rounded = float(f"{drawn[option]:.{DIGITS}g}")
                options[option] = min(max(rounded, float(values[0])), float(values[1]))
        return options


def read_space(file: Path, config: Config, given_are_fixed: bool = False) -> SearchSpace:
    """The space of a run's model. The model accepts all its values.

    Args:
        file: of this package's form, or (with another suffix than .yaml) of RecBole's.
        given_are_fixed: options that the run is given leave the space; otherwise they are an error.

    Raises:
        NoSpaceError: no space for the model.
        InputError: an unknown distribution or option, an empty choice, limits in the wrong
            order, or a value that the option does not accept. Names file and model.
    """
    model = config["model"]
    if file.suffix in (".yaml", ".yml"):
        spaces = read_packaged(file)
        if spaces and all(isinstance(one, dict) and set(one) & set(DISTRIBUTIONS) for one in spaces.values()):
            spaces = {model: spaces}
    else:
        spaces = {model: read_recbole_space(file)}
    if model not in spaces:
        raise NoSpaceError(
            f"{file}: no search space for model '{model}'.{nearest(model, spaces)} Add one, or tune another model"
        )
    origin = f"{file}: {model}"
    options = spaces[model]
    if not isinstance(options, dict) or not options:
        raise InputError(f"{origin}: no options; write one 'option: {{distribution: values}}' on each line")
    for option, distribution in options.items():
        for value in _limits(origin, option, distribution):
            config.schema.check({option: Given(value, origin)})
        if option in config.given and not given_are_fixed:
            raise InputError(f"option '{option}' is given, but it is searched ({origin}); leave it out")
    free = {option: distribution for option, distribution in options.items() if option not in config.given}
    if not free:
        raise NoSpaceError(f"{origin}: every option of its search space is given")
    return SearchSpace(free, file)


def _limits(origin: str, option: str, distribution: Any) -> list:
    """Every value of a choice, or both ends of a range."""
    if not isinstance(distribution, dict) or len(distribution) != 1:
        raise InputError(f"{origin}: option '{option}' must have one distribution, e.g. {{choice: [1, 2]}}")
    ((name, values),) = distribution.items()
    if name not in DISTRIBUTIONS:
        raise InputError(
            f"{origin}: option '{option}': '{name}' is not a distribution.{nearest(str(name), DISTRIBUTIONS)} "
            f"Distributions: {', '.join(DISTRIBUTIONS)}"
        )
    if not isinstance(values, list) or not values:
        raise InputError(f"{origin}: option '{option}': {name} has no values; give a list")
    if name == "choice":
        return values
    if len(values) != 2 or not all(map(is_finite, values)) or not values[0] < values[1]:
        raise InputError(f"{origin}: option '{option}': {name} takes two numbers [low, high], not {shown(values)}")
    if name == "loguniform" and values[0] <= 0:
        raise InputError(f"{origin}: option '{option}': loguniform takes numbers above 0, not {values}")
    return [float(value) for value in values]  # floats: the option must accept numbers that are not whole
