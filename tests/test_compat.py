"""Each patch of recbole_mm.compat: the break is there without it, gone with it, and left alone where there is none."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import types
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recbole_mm import compat, unsafe_calls

PACKAGE_PARENT = str(Path(compat.__file__).parents[1])

# patch: (library, first version with the break, code that meets it, the error)
BREAKS = {
    "numpy_scalar_names": (
        ("numpy", (2, 0)),
        "from recbole.config import Config; Config('BPR', 'ml-100k', config_dict={'use_gpu': False})",
        "`np.float_` was removed in the NumPy 2.0 release",
    ),
    "numpy_scalar_names without a Config": (
        ("numpy", (1, 24)),
        "from recbole.data.interaction import Interaction; Interaction({'a': [1]})",
        "module 'numpy' has no attribute 'float'",
    ),
    "scipy_dok_matrix_update": (
        ("scipy", (1, 13)),
        "import scipy.sparse as sp; sp.dok_matrix((2, 2))._update({(0, 1): 1.0})",
        "no attribute '_update'",
    ),
    "collector_counts": (
        ("recbole", (1, 2)),
        "from types import SimpleNamespace as S; from recbole.evaluator.collector import Collector, DataStruct\n"
        "d = DataStruct(); d.set('data.num_items', 3); Collector.get_data_struct(S(data_struct=d))",
        "'int' object has no attribute 'cpu'",
    ),
    "csv_engine": (
        ("recbole", (1, 2)),
        "import io, recbole.data.dataset.dataset as d; from pandas.io.parsers.readers import PythonParser\n"
        "def slow(*given): raise RuntimeError('text in lists')\n"
        "PythonParser.read = slow\n"
        "d.pd.read_csv(io.StringIO('a\\n1'), delimiter='\\t', engine='python')",
        "text in lists",
    ),
    "remapped_categories": (
        ("recbole", (1, 2)),
        "import pandas, recbole.data.dataset.dataset as d; from recbole.utils import FeatureType\n"
        "data = object.__new__(d.Dataset); data.field2id_token, data.field2token_id = {}, {}\n"
        "fast = pandas.factorize\n"
        "def factorize(values):\n"
        "    if values.dtype == object and len(values) > 2: raise RuntimeError('a text for each row')\n"
        "    return fast(values)\n"
        "d.pd.factorize = factorize\n"
        "feat = pandas.DataFrame({'a': pandas.Categorical(['x', 'y', 'x'])})\n"
        "data._remap([(feat, 'a', FeatureType.TOKEN)]); assert feat['a'].tolist() == [1, 2, 1]",
        "a text for each row",
    ),
    "filter_of_nothing": (
        ("recbole", (1, 2)),
        "from collections import defaultdict; import recbole.data.dataset.dataset as d\n"
        "def count(rows): raise RuntimeError('counted row by row')\n"
        "d.Counter = count\n"
        "data = object.__new__(d.Dataset); data.uid_field, data.iid_field = 'user_id', 'item_id'\n"
        "data.inter_feat = d.pd.DataFrame({'user_id': ['a'], 'item_id': ['b']})\n"
        "data.config = defaultdict(lambda: '[0,inf)'); data._filter_by_inter_num()",
        "counted row by row",
    ),
    "preloaded_weights": (
        ("torch", (2, 0)),
        "import numpy, torch; from recbole.data.dataset.dataset import Dataset; data = object.__new__(Dataset)\n"
        "data._preloaded_weight = {'e': numpy.ones((2, 2))}\n"
        "torch.ones(1, 2) @ torch.from_numpy(data.get_preload_weight('e'))",
        "to have the same dtype",
    ),
    "interaction_index": (
        ("recbole", (1, 2)),
        "import torch; from recbole.data.interaction import Interaction\n"
        "class Index(torch.Tensor):\n    def tolist(self): raise RuntimeError('a list of rows')\n"
        "Interaction({'a': torch.arange(3)})[torch.arange(2).as_subclass(Index)]",
        "a list of rows",
    ),
    "trainer_amp": (
        ("torch", (2, 4)),
        "import warnings; warnings.simplefilter('error', FutureWarning)\n"
        "import recbole.trainer.trainer as t; t.amp.GradScaler(enabled=False); t.amp.autocast(enabled=False)",
        "is deprecated",
    ),
}


def run_python(code: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": PACKAGE_PARENT}
    return subprocess.run([sys.executable, "-c", code], cwd=cwd, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("name", BREAKS)
def test_break_is_there_without_the_patch(name: str, tmp_path: Path) -> None:
    (library, since), code, error = BREAKS[name]
    if tuple(map(int, version(library).split(".")[:2])) < since:
        pytest.skip(f"{library} {version(library)} is older than the break")
    broken = run_python(code, tmp_path)
    assert broken.returncode != 0
    assert error in broken.stderr


BEFORE = "import numpy, scipy.sparse, recbole.evaluator.collector, recbole.trainer.trainer"


@pytest.mark.parametrize("imports", ["import recbole_mm", f"{BEFORE}\nimport recbole_mm"], ids=["first", "last"])
def test_no_break_with_the_package(imports: str, tmp_path: Path) -> None:
    """The same code runs, whether the package is imported before the modules that it patches or after them."""
    fixed = run_python("\n".join([imports, *(code for _, code, _ in BREAKS.values())]), tmp_path)
    assert fixed.returncode == 0, fixed.stderr


def test_every_patch_has_its_break_here() -> None:
    patches = set(compat.PATCHES) - set(unsafe_calls.PATCHES)  # these have tests of their own
    assert {patch.__name__ for _, patch in patches} == {name.split()[0] for name in BREAKS}


def test_applying_again_changes_nothing() -> None:
    """Every patch sees that its break is fixed; the import hook is there once."""
    compat.apply()
    compat.apply()
    assert sum(isinstance(finder, compat._PatchAtImport) for finder in sys.meta_path) == 1
    for module, patch in compat.PATCHES:
        __import__(module)
        assert patch(sys.modules[module]) is False, patch.__name__


TEXT = st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters='"'), max_size=8)
TEXT |= st.sampled_from(['"Great Performances" Cats (1998)', 'the "best" of', '""', '"NA"', "NA"])


@given(st.lists(st.tuples(TEXT, st.floats(allow_nan=False) | st.none()), max_size=8))
def test_the_fast_parser_reads_what_the_slow_one_reads(rows: list[tuple[str, float | None]]) -> None:
    """What the slow one refuses (a quotation within a field that it begins) the fast one may read."""
    text = "a\tb\n" + "".join(f"{word}\t{'' if number is None else repr(number)}\n" for word, number in rows)
    given = {"delimiter": "\t", "dtype": {"a": str, "b": float}}
    try:
        slow = pandas.read_csv(io.StringIO(text), engine="python", **given)
    except pandas.errors.ParserError:
        return
    fast = pandas.read_csv(io.StringIO(text), engine="c", float_precision="round_trip", **given)
    pandas.testing.assert_frame_equal(slow, fast)


@given(st.lists(st.integers(-3, 2), max_size=5))
def test_rows_are_those_that_a_list_of_numbers_takes(index: list[int]) -> None:
    from recbole.data.interaction import Interaction

    rows = Interaction({"a": torch.tensor([10, 20, 30]), "b": torch.ones(3, 2)})
    wanted = rows["a"][index] if index else rows["a"][:0]
    for form in (torch.tensor(index, dtype=torch.long), np.array(index, dtype=np.int64)):
        taken = rows[form]
        assert torch.equal(taken["a"], wanted) and taken["b"].shape == (len(index), 2) and len(taken) == len(index)
    mask = np.array([True, False, True])
    assert rows[mask]["a"].tolist() == rows[torch.from_numpy(mask)]["a"].tolist() == [10, 30]
    assert rows[1]["a"] == 20 and rows[0:2]["a"].tolist() == [10, 20]


def test_numpy_names_that_exist_are_kept() -> None:
    numpy = types.ModuleType("numpy")
    scalars = {"float64", "complex128", "str_", "bool_", "int_", "object_"}
    vars(numpy).update({name: object() for name in scalars})
    numpy.float_ = numpy.bool = mine = object()
    assert compat.numpy_scalar_names(numpy) is True
    assert numpy.float_ is numpy.bool is mine
    assert numpy.float is numpy.float64
    assert numpy.long is numpy.int_
    assert numpy.unicode_ is numpy.unicode is numpy.str_


def test_scipy_that_has_update_is_kept() -> None:
    class dok_matrix:
        def _update(self, entries: dict) -> str:
            return "scipy's own"

    assert compat.scipy_dok_matrix_update(types.SimpleNamespace(dok_matrix=dok_matrix)) is False
    assert dok_matrix()._update({}) == "scipy's own"


def test_dok_matrix_update_sets_the_entries() -> None:
    from scipy.sparse import dok_matrix

    matrix = dok_matrix((2, 3))
    matrix[0, 0] = 7
    matrix._update({(0, 1): 1.0, (1, 2): 5.0})
    assert matrix.toarray().tolist() == [[7, 1, 0], [0, 0, 5]]


def test_collector_that_does_not_fail_is_kept() -> None:
    from recbole.evaluator.collector import DataStruct

    class Collector:
        def get_data_struct(self) -> DataStruct:
            return self.data_struct

    own = Collector.get_data_struct
    assert compat.collector_counts(types.SimpleNamespace(Collector=Collector, DataStruct=DataStruct)) is False
    assert Collector.get_data_struct is own


def test_collector_keeps_counts_and_drops_what_was_collected() -> None:
    """As RecBole means it: the counts outlive an evaluation, the tensors of one evaluation do not enter the next."""
    from collections import Counter

    import torch
    from recbole.evaluator.collector import Collector, DataStruct

    collector = types.SimpleNamespace(data_struct=DataStruct())
    popularity = Counter({1: 2, 2: 1})
    collector.data_struct.set("data.num_items", 3)
    collector.data_struct.set("data.count_items", popularity)
    collector.data_struct.set("rec.items", torch.tensor([[1, 2]]))

    returned = Collector.get_data_struct(collector)
    assert returned.get("data.num_items") == 3
    assert returned.get("data.count_items") == popularity
    assert returned.get("rec.items").tolist() == [[1, 2]]

    assert "rec.items" not in collector.data_struct
    assert collector.data_struct.get("data.num_items") == 3
    returned.get("data.count_items")[1] = 100
    assert collector.data_struct.get("data.count_items") == Counter({1: 2, 2: 1})


def test_coverage_and_popularity_metrics_of_a_known_recommendation() -> None:
    """Through RecBole's own metric classes: three items, the list of each of two users is [1, 2]."""
    from collections import Counter

    import torch
    from recbole.evaluator.collector import Collector, DataStruct
    from recbole.evaluator.metrics import AveragePopularity, ItemCoverage

    collector = types.SimpleNamespace(data_struct=DataStruct())
    collector.data_struct.set("data.num_items", 4)  # with the padding item
    collector.data_struct.set("data.count_items", Counter({1: 2, 2: 4}))
    collector.data_struct.set("rec.items", torch.tensor([[1, 2], [1, 2]]))
    data = Collector.get_data_struct(collector)

    config = {"topk": [2], "metric_decimal_place": 4}
    assert ItemCoverage(config).calculate_metric(data) == {"itemcoverage@2": pytest.approx(2 / 4)}
    assert AveragePopularity(config).calculate_metric(data) == {"averagepopularity@2": pytest.approx(3)}


def test_module_that_does_not_exist_is_not_found() -> None:
    """The hook leaves "not found" to the import system, also for a module it is waiting for."""
    assert compat._PatchAtImport().find_spec("recbole.no_such_module", None) is None
    assert compat._PatchAtImport().find_spec("recbole.trainer.trainer", []) is None
