"""An error inside one of RecBole's models, as one line that says where it is and what to check."""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import recbole

from recbole_mm.errors import InputError
from recbole_mm.model.registry import missing_package

_RECBOLE = Path(recbole.__file__).parent
_STANDARD_LIBRARY = Path(sysconfig.get_paths()["stdlib"])
_ERRORS = (
    *(ValueError, LookupError, TypeError, AttributeError, AssertionError, NotImplementedError),
    *(RuntimeError, ArithmeticError, ImportError, OSError),
)


@contextmanager
def errors_of_recbole(config, doing: str, fields: tuple[str, ...] = ()) -> Iterator[None]:
    """Turn an error that RecBole's code raises into an `InputError`; errors of this package's own code pass.

    Args:
        doing: what the run is about to do, such as "be built" or "train".
        fields: of a batch, for the message about a field that it lacks.

    Raises:
        InputError: names the model, the error, its place and the options to look at.
    """
    try:
        yield
    except InputError:
        raise
    except _ERRORS as error:
        place = _innermost(error)
        model = config["model"]
        if isinstance(error, ImportError) and error.name:
            raise InputError(missing_package(model, error.name)) from error
        if isinstance(error, KeyError) and fields and _is_field(config, str(error.args[0])):
            raise InputError(
                f"{model} asks for field '{error.args[0]}', but this run's data have {', '.join(fields)}; check the "
                f"options load_col, train_neg_sample_args, threshold and LABEL_FIELD"
            ) from error
        if place is None:
            raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise InputError(
            f"{model} cannot {doing} with these data and options ({reason}; {place}): RecBole's model asks for more "
            f"items, users or fields, or for other options; see docs/builtin-models.md and the model's own options"
        ) from error


def _is_field(config, name: str) -> bool:
    fields = {config[option] for option in config.parameters["Dataset"] if option.endswith("_FIELD")}
    return name in fields or name.startswith(config["NEG_PREFIX"])


def _is_library(path: Path) -> bool:
    """Whether code is Python's own or of an installed package other than this one."""
    if "recbole_mm" in path.parts:
        return False
    installed = {"site-packages", "dist-packages"} & set(path.parts)
    return bool(installed) or not path.is_absolute() or path.is_relative_to(_STANDARD_LIBRARY)


def _innermost(error: BaseException) -> str | None:
    """File and line of RecBole's code that raised the error, or that called the library that did.

    None if other code raised it: this package's or a user's.
    """
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path.is_relative_to(_RECBOLE):
            return f"{path.name}, line {frame.lineno}"
        if not _is_library(path):
            return None
    return None
