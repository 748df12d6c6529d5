"""No option, file, folder or checkpoint runs code: RecBole's calls that would, and what each is replaced by.

RecBole 1.2.1 evaluates strings of options as Python, and reads data sets, loaders and vectors with pickle. Each call is
in `CALLS`, with the reason why it cannot run code here; a test searches the installed RecBole for others. `PATCHES`
replace the dangerous names in the modules that use them, so that no way to such a call is left open, whatever option or
file leads there. `recbole_mm.compat` applies them when a module is imported.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any, NoReturn

from recbole_mm.errors import InputError

_LITERAL = "replaced by `read_literal`, which reads numbers, texts and lists and calls nothing"
_WEIGHTS = "torch.load reads weights and plain values only (`weights_only` is its default in the versions required)"
_OVERRIDDEN = "never called: recbole_mm.training reads checkpoints itself"
_REFUSED = "replaced by a refusal; recbole_mm.data.dataset creates data sets without it"
_CONSTANT = "imports a module that RecBole's own code names"

CALLS: dict[tuple[str, str], str] = {
    ("config/configurator.py", "eval("): _LITERAL,
    ("config/configurator.py", "yaml.load("): "never called: recbole_mm.config.sources reads yaml with a safe loader",
    ("data/dataset/dataset.py", "yaml.load("): "reads a file of RecBole's own, of addresses to download from",
    ("data/utils.py", "pickle.load("): _REFUSED,
    ("data/utils.py", "importlib.import_module("): _CONSTANT,
    ("model/context_aware_recommender/kd_dagfm.py", "eval("): "replaced by a look-up among the classes of its module",
    ("model/context_aware_recommender/kd_dagfm.py", "torch.load("): _WEIGHTS,
    ("model/general_recommender/convncf.py", "torch.load("): _WEIGHTS,
    ("model/general_recommender/ldiffrec.py", "np.load("): "replaced by np.load without pickle",
    ("model/general_recommender/nais.py", "torch.load("): _WEIGHTS,
    ("model/general_recommender/neumf.py", "torch.load("): _WEIGHTS,
    ("model/general_recommender/ract.py", "torch.load("): _WEIGHTS,
    ("model/sequential_recommender/s3rec.py", "torch.load("): _WEIGHTS,
    ("quick_start/quick_start.py", "torch.load("): "never imported",
    ("trainer/hyper_tuning.py", "eval("): _LITERAL,
    ("trainer/trainer.py", "__import__("): _CONSTANT,
    ("trainer/trainer.py", "torch.load("): _OVERRIDDEN,
    ("utils/utils.py", "importlib.import_module("): "names of models come from a table; the rest is RecBole's own code",
}
"""(file of RecBole, call) -> why it runs no code from an option or a file."""

# Options that name files of pickled Python objects. They are errors for every model.
PICKLED = ("dataset_save_path", "dataloaders_save_path", "save_dataset", "save_dataloaders")


def read_literal(text: str) -> Any:
    """Value of a Python literal; raises NameError for anything else, as RecBole expects of `eval`."""
    try:
        return ast.literal_eval(text)
    except (ValueError, TypeError, MemoryError, RecursionError) as error:
        raise NameError(f"not a literal: {text[:80]!r}") from error


def _literals(module: ModuleType) -> bool:
    """config/configurator.py and trainer/hyper_tuning.py: ``eval`` of options."""
    if vars(module).get("eval") is read_literal:
        return False
    module.eval = read_literal
    return True


def _teacher(module: ModuleType) -> bool:
    """model/context_aware_recommender/kd_dagfm.py: ``eval`` of the option ``teacher``, meant to be a class name."""
    if "eval" in vars(module):
        return False
    classes = {name: value for name, value in vars(module).items() if isinstance(value, type)}
    classes = {name: value for name, value in classes.items() if value.__module__ == module.__name__}

    def look_up(name: str) -> type:
        if name not in classes:
            raise InputError(f"option 'teacher' is {name[:80]!r}, but takes one of {', '.join(sorted(classes))}")
        return classes[name]

    module.eval = look_up
    return True


def _pickled_data(module: ModuleType) -> bool:
    """data/utils.py: ``pickle.load`` of saved data sets and loaders."""
    if isinstance(module.pickle, SimpleNamespace):
        return False

    def refuse(file: Any) -> NoReturn:
        name = getattr(file, "name", "a file")
        raise InputError(f"{name}: pickled Python objects, which can run code when they are read; delete the file")

    module.pickle = SimpleNamespace(**{**vars(module.pickle), "load": refuse, "loads": refuse})
    return True


def _vectors(module: ModuleType) -> bool:
    """model/general_recommender/ldiffrec.py: ``np.load(…, allow_pickle=True)`` of vectors beside the data."""
    numpy = module.np
    if isinstance(numpy, SimpleNamespace):
        return False

    def load(path: str, **_: Any) -> Any:
        try:
            return numpy.load(path, allow_pickle=False)
        except ValueError as error:
            raise InputError(f"{path}: not an array of numbers ({error}); save it with numpy.save") from error

    module.np = SimpleNamespace(**{**vars(numpy), "load": load})
    return True


PATCHES: tuple[tuple[str, Callable[[ModuleType], bool]], ...] = (
    ("recbole.config.configurator", _literals),
    ("recbole.trainer.hyper_tuning", _literals),
    ("recbole.model.context_aware_recommender.kd_dagfm", _teacher),
    ("recbole.data.utils", _pickled_data),
    ("recbole.model.general_recommender.ldiffrec", _vectors),
)
"""(module, the function that replaces a call in it)."""


def keep_weights_only() -> None:
    """Take away the switch with which torch.load would unpickle any object in this process."""
    os.environ.pop("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", None)
