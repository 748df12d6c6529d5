"""Search spaces of `recbole_mm.tuning.search`: the options of a model that are searched, and their values.

A space is an entry of ``properties/tuning/<task>.yaml``: model -> option -> one distribution, e.g.

    learning_rate: {loguniform: [0.0005, 0.02]}     between two numbers, uniform in the logarithm
    dropout_prob: {uniform: [0.0, 0.5]}             between two numbers
    embedding_size: {choice: [16, 32, 64]}          one of these
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recbole_mm.config.config import Config
from recbole_mm.config.options.option import kind_of
from recbole_mm.config.sources import Given, read_packaged
from recbole_mm.errors import InputError, nearest

DISTRIBUTIONS = ("choice", "uniform", "loguniform")
DIGITS = 3  # significant digits of a random number: more make no difference and are hard to read


@dataclass(frozen=True)
class SearchSpace:
    """Distributions of one model's options.

    Attributes:
        distributions: option -> its distribution, as in the file.
        file: of the distributions.
    """

    distributions: Mapping[str, Mapping[str, list]]
    file: Path

    def for_recbole(self) -> dict[str, dict[str, list]]:
        """``params_dict`` of RecBole's HyperTuning: distribution -> option -> values.

        A choice has the positions of its values, because hyperopt would change values that are lists. loguniform has
        logarithms, as hyperopt expects.
        """
        space: dict[str, dict[str, list]] = {}
        for option, distribution in self.distributions.items():
            ((name, values),) = distribution.items()
            if name == "choice":
                values = list(range(len(values)))
            elif name == "loguniform":
                values = [math.log(value) for value in values]
            space.setdefault(name, {})[option] = values
        return space

    def options(self, drawn: Mapping[str, Any]) -> dict[str, Any]:
        """Options of a run from values drawn by HyperTuning, in the order of the file."""
        options = {}
        for option, distribution in self.distributions.items():
            ((name, values),) = distribution.items()
            if name == "choice":
                options[option] = values[int(drawn[option])]
            else:
                options[option] = float(f"{drawn[option]:.{DIGITS}g}")
        return options


def read_space(file: Path, config: Config) -> SearchSpace:
    """The space of a run's model. The model accepts all its values.

    Raises:
        InputError: no space for the model, an unknown distribution or option, an empty choice, limits in the wrong
            order, or a value that the option does not accept. Names file and model.
    """
    spaces = read_packaged(file)
    model = config["model"]
    if model not in spaces:
        raise InputError(
            f"{file}: no search space for model '{model}'.{nearest(model, spaces)} Add one, or tune another model"
        )
    origin = f"{file}: {model}"
    options = spaces[model]
    if not isinstance(options, dict) or not options:
        raise InputError(f"{origin}: no options; write one 'option: {{distribution: values}}' on each line")
    for option, distribution in options.items():
        for value in _limits(origin, option, distribution):
            config.schema.check({option: Given(value, origin)})
        if option in config.given:
            raise InputError(f"option '{option}' is given, but it is searched ({origin}); leave it out")
    return SearchSpace(options, file)


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
    numbers = all(kind_of(value) in ("int", "number") for value in values)
    if len(values) != 2 or not numbers or not -math.inf < values[0] < values[1] < math.inf:
        raise InputError(f"{origin}: option '{option}': {name} takes two numbers [low, high], not {values}")
    if name == "loguniform" and values[0] <= 0:
        raise InputError(f"{origin}: option '{option}': loguniform takes numbers above 0, not {values}")
    return [float(value) for value in values]  # floats: the option must accept numbers that are not whole
