"""The only file that patches RecBole 1.2.1 or the libraries under it.

RecBole 1.2.1 was written for numpy 1, scipy 1.12 and torch 2.5. Each function below fixes one incompatibility and names
the library, the version, the error message and the place in RecBole. A function changes its module only if the
incompatibility exists, and returns whether it did. No code of RecBole is copied, and nothing is patched that a subclass
can fix: the trainer handles checkpoints that ``torch.load`` refuses since torch 2.6.

:func:`apply` imports nothing: a module that is not loaded yet is patched at the end of its first import.
"""

from __future__ import annotations

import copy
import csv
import functools
import importlib.abc
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import Any

from recbole_mm import unsafe_calls

# What pandas takes for a missing number.
MISSING_NUMBERS = (
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"),
    *("<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
)

_TABLES: ContextVar[Mapping[str, Callable[[list[str]], Any]] | None] = ContextVar("tables", default=None)


@contextmanager
def read_before(tables: Mapping[str, Callable[[list[str]], Any]]) -> Iterator[None]:
    """Give RecBole data frames in the place of atomic files, while the block runs.

    Args:
        tables: by path of the file: names of columns, in file order -> their data frame.
    """
    token = _TABLES.set(tables)
    try:
        yield
    finally:
        _TABLES.reset(token)


def numpy_scalar_names(numpy: ModuleType) -> bool:
    """numpy >= 2.0: "`np.float_` was removed in the NumPy 2.0 release" at every ``Config()``.

    ``Config.compatibility_settings`` (config/configurator.py) reads ``np.float_``, ``np.complex_`` and ``np.unicode_``
    to set the names that numpy 1.24 removed. RecBole uses those names also without a Config (data/interaction.py:
    "module 'numpy' has no attribute 'float'"). So both groups of names are set, to the types that RecBole means.
    """
    names = {
        "float_": numpy.float64,
        "complex_": numpy.complex128,
        "unicode_": numpy.str_,
        "bool": numpy.bool_,
        "int": numpy.int_,
        "float": numpy.float64,
        "complex": numpy.complex128,
        "object": numpy.object_,
        "str": numpy.str_,
        "long": numpy.int_,
        "unicode": numpy.str_,
    }
    # vars(), not hasattr(): numpy warns about attribute access to a removed name.
    missing = {name: scalar for name, scalar in names.items() if name not in vars(numpy)}
    vars(numpy).update(missing)
    return bool(missing)


def scipy_dok_matrix_update(sparse: ModuleType) -> bool:
    """scipy >= 1.13: "'dok_matrix' object has no attribute '_update'".

    LightGCN, NGCF, GCMC, SpectralCF, NCL, KGIN and MCCLK fill their adjacency matrix with ``A._update(dict)``
    (RecBole issues 2034, 2090, 2185). Since 1.13 scipy stores the entries in ``_dict``.
    """
    if hasattr(sparse.dok_matrix, "_update"):
        return False

    def _update(self, entries: dict) -> None:
        self._dict.update(entries)

    sparse.dok_matrix._update = _update
    return True


def collector_counts(collector: ModuleType) -> bool:
    """All versions: "'int' object has no attribute 'cpu'" ('Counter' for AveragePopularity and TailPercentage).

    ``Collector.get_data_struct`` (evaluator/collector.py) calls ``cpu()`` on all its values, also on the numbers of
    users and items and the popularity counts, which are not tensors. So ItemCoverage, GiniIndex, ShannonEntropy,
    AveragePopularity and TailPercentage cannot be computed (RecBole issue 2194).
    """
    original = collector.Collector.get_data_struct
    probe = SimpleNamespace(data_struct=collector.DataStruct())
    probe.data_struct.set("data.num_items", 1)
    try:
        original(probe)
    except AttributeError:
        pass
    else:
        return False

    @functools.wraps(original)
    def get_data_struct(self):
        data = self.data_struct._data_dict
        numbers = {key: data.pop(key) for key in list(data) if not hasattr(data[key], "cpu")}
        returned = original(self)
        data.update(numbers)
        returned._data_dict.update(copy.deepcopy(numbers))
        return returned

    collector.Collector.get_data_struct = get_data_struct
    return True


def csv_engine(dataset: ModuleType) -> bool:
    """All versions: atomic files are read by the slow Python parser of pandas, and as quoted CSV.

    ``Dataset._load_feat`` (data/dataset/dataset.py) sets ``engine="python"``, which makes a list of texts of each of 20
    million ratings. Both parsers give the same fields, and with ``round_trip`` also the same numbers.

    With the default quoting a title that begins with a quotation mark swallows the rows up to the next one, and an id
    ``null`` or ``NA`` is a missing value whose rows are dropped. Here nothing is quoted, and an id or a word is missing
    only where it is empty.

    A file that was read before (:func:`read_before`) is not read again.
    """
    pandas = dataset.pd
    if not isinstance(pandas, ModuleType):
        return False

    def read_csv(*args, **kwargs):
        if kwargs.get("engine") == "python" and len(kwargs.get("delimiter", "")) == 1:
            kinds = kwargs.get("dtype", {})
            table = (_TABLES.get() or {}).get(str(args[0])) if args else None
            if table is not None:
                return table([column.rpartition(":")[0] for column in kwargs["usecols"]])
            missing = {name: [""] if kind is str else list(MISSING_NUMBERS) for name, kind in kinds.items()}
            kwargs.update(engine="c", float_precision="round_trip", quoting=csv.QUOTE_NONE)
            kwargs.update(keep_default_na=False, na_values=missing)
        return pandas.read_csv(*args, **kwargs)

    dataset.pd = SimpleNamespace(**{**vars(pandas), "read_csv": read_csv})
    return True


def remapped_categories(dataset: ModuleType) -> bool:
    """All versions: to number the ids of 20 million ratings, a Python text of each row is hashed.

    ``Dataset._remap`` (data/dataset/dataset.py) factorizes the texts of all rows. A column of categories (from
    :func:`read_before`) has each text once. RecBole numbers these, in the order in which the rows have them; the
    numbers are those that it would give to the rows.
    """
    pandas, original = dataset.pd, dataset.Dataset._remap
    if getattr(original, "__wrapped__", None):
        return False

    @functools.wraps(original)
    def _remap(self, remap_list):
        shorter, rows_of = [], []
        for feat, field, ftype in remap_list:
            column = feat[field]
            if isinstance(column.dtype, pandas.CategoricalDtype):
                places, codes = pandas.factorize(column.cat.codes.to_numpy())
                texts = column.cat.categories.to_numpy().take(codes)  # an empty value has code -1
                texts[codes < 0] = None
                rows_of.append((feat, field, places))
                feat = pandas.DataFrame({field: texts})
            else:
                rows_of.append(None)
            shorter.append((feat, field, ftype))
        original(self, shorter)
        for (short, field, _), rows in zip(shorter, rows_of):
            if rows is not None:
                feat, field, places = rows
                feat[field] = short[field].to_numpy()[places]

    dataset.Dataset._remap = _remap
    return True


def filter_of_nothing(dataset: ModuleType) -> bool:
    """All versions: users and items are counted row by row, for a filter that keeps all of them.

    ``Dataset._filter_by_inter_num`` (data/dataset/dataset.py) does so for the interval ``[0,inf)``, RecBole's default.
    """
    original = dataset.Dataset._filter_by_inter_num
    if getattr(original, "__wrapped__", None):
        return False

    @functools.wraps(original)
    def _filter_by_inter_num(self):
        intervals = {self.config[f"{kind}_inter_num_interval"] for kind in ("user", "item")}
        if not intervals <= {"[0,inf)", None}:
            original(self)

    dataset.Dataset._filter_by_inter_num = _filter_by_inter_num
    return True


def preloaded_weights(dataset: ModuleType) -> bool:
    """torch >= 2.0: "expected m1 and m2 to have the same dtype, but got: float != double" in training of KSR.

    ``Dataset._preload_weight_matrix`` (data/dataset/dataset.py) makes float64 matrices of the vectors in a file. KSR
    multiplies them with its float32 weights.
    """
    original = dataset.Dataset.get_preload_weight
    if getattr(original, "__wrapped__", None):
        return False

    @functools.wraps(original)
    def get_preload_weight(self, field):
        return original(self, field).astype("float32")

    dataset.Dataset.get_preload_weight = get_preload_weight
    return True


def interaction_index(interaction: ModuleType) -> bool:
    """All versions: rows are selected by a Python list of row numbers, which is slow for many rows.

    ``Interaction.__getitem__`` (data/interaction.py) calls ``index.tolist()`` to shuffle, sort and split all ratings,
    and for each batch. Parts of consecutive rows are given as a ``range``, which torch reads number by number.
    """
    original = interaction.Interaction.__getitem__
    if getattr(original, "__wrapped__", None):
        return False
    torch, numpy = interaction.torch, interaction.np

    @functools.wraps(original)
    def __getitem__(self, index):
        if isinstance(index, numpy.ndarray) and index.ndim == 1 and index.dtype != object:
            index = torch.from_numpy(numpy.ascontiguousarray(index))
        if isinstance(index, range) and index.step == 1:
            rows = slice(index.start, index.stop)
            return interaction.Interaction({name: values[rows] for name, values in self.interaction.items()})
        if not isinstance(index, torch.Tensor) or index.ndim != 1:
            return original(self, index)
        return interaction.Interaction({name: values[index] for name, values in self.interaction.items()})

    interaction.Interaction.__getitem__ = __getitem__
    return True


def trainer_amp(trainer: ModuleType) -> bool:
    """torch >= 2.4: "FutureWarning: `torch.cuda.amp.GradScaler(args...)` is deprecated" in every training.

    trainer/trainer.py uses GradScaler and autocast of ``torch.cuda.amp``. Their replacements in ``torch.amp`` need the
    name of the device.
    """
    torch = trainer.torch
    if trainer.amp is not torch.cuda.amp or not hasattr(torch.amp, "GradScaler"):
        return False
    trainer.amp = SimpleNamespace(
        GradScaler=functools.partial(torch.amp.GradScaler, "cuda"),
        autocast=functools.partial(torch.amp.autocast, "cuda"),
    )
    return True


def no_tensorboard() -> None:
    """All versions: in distributed training each rank writes event files, but only rank 0 should.

    ``Trainer.__init__`` (trainer/trainer.py) opens a writer in every process. This function is called in the processes
    of all ranks except 0, so that they open none.
    """
    from recbole.trainer import trainer

    no_writer = SimpleNamespace(add_scalar=lambda *_: None, add_hparams=lambda *_: None)
    trainer.get_tensorboard = lambda logger: no_writer


PATCHES: tuple[tuple[str, Callable[[ModuleType], bool]], ...] = (
    ("numpy", numpy_scalar_names),
    ("scipy.sparse", scipy_dok_matrix_update),
    ("recbole.data.dataset.dataset", csv_engine),
    ("recbole.data.dataset.dataset", remapped_categories),
    ("recbole.data.dataset.dataset", filter_of_nothing),
    ("recbole.data.dataset.dataset", preloaded_weights),
    ("recbole.data.interaction", interaction_index),
    ("recbole.evaluator.collector", collector_counts),
    ("recbole.trainer.trainer", trainer_amp),
    *unsafe_calls.PATCHES,
)
"""(module, function that patches it); the order does not matter."""


def apply() -> None:
    """Patch the modules of :data:`PATCHES`: imported modules now, other modules at their import. Idempotent."""
    unsafe_calls.keep_weights_only()
    for name, patch in PATCHES:
        if name in sys.modules:
            patch(sys.modules[name])
    if not any(isinstance(finder, _PatchAtImport) for finder in sys.meta_path):
        sys.meta_path.insert(0, _PatchAtImport())


class _PatchAtImport(importlib.abc.MetaPathFinder):
    """Finds the modules of :data:`PATCHES` by the other finders, and patches each module after its execution.

    Importing ``recbole.evaluator`` only to patch it would take about four seconds (torch, pandas, scikit-learn).
    """

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        patches = [patch for module, patch in PATCHES if module == name]
        if not patches:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        spec = next((spec for finder in others if (spec := finder.find_spec(name, path, target))), None)
        if spec is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            for patch in patches:
                patch(module)

        spec.loader.exec_module = exec_module
        return spec
