from __future__ import annotations

from pathlib import Path

import pytest

from recbole_mm.benchmark.imports import Imports, import_closure, modules_of, read_imports

SOURCE = """
from typing import TYPE_CHECKING
import json
from pkg.low import name
from . import beside
from ..top import other
if TYPE_CHECKING:
    from pkg.types import Kind
class A:
    import pkg.of_class
    def method(self):
        from pkg.late import function
        return lambda: function
"""


@pytest.fixture
def package(tmp_path) -> Path:
    folder = tmp_path / "pkg"
    for name, source in {
        "__init__": "",
        "top": "",
        "low": "from pkg import top",
        "late": "import pkg.low",
        "types": "raise AssertionError",
        "of_class": "",
        "unused": "from pkg.sub.start import A",
        "sub/__init__": "from pkg.sub import helper",
        "sub/helper": "from pkg.sub.start import A  # a circle ends",
        "sub/beside": "",
        "sub/start": SOURCE,
    }.items():
        path = folder / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return folder


def test_imports_are_told_apart_by_when_they_run(package):
    found = read_imports(package / "sub" / "start.py", "pkg.sub.start")
    assert found == Imports(
        on_import=frozenset(
            {"typing", "typing.TYPE_CHECKING", "json", "pkg.low", "pkg.low.name", "pkg.sub", "pkg.sub.beside"}
            | {"pkg.top", "pkg.top.other", "pkg.of_class"}
        ),
        in_functions=frozenset({"pkg.late", "pkg.late.function"}),
        for_types=frozenset({"pkg.types", "pkg.types.Kind"}),
    )


def test_the_closure_is_everything_that_runs_and_nothing_else(package):
    assert set(modules_of(package)) - set(import_closure(["pkg.sub.start"], package)) == {"pkg.types", "pkg.unused"}
    alone = import_closure(["pkg.sub.start"], package, lambda module, imports: imports.on_import)
    assert "pkg.late" not in alone and "pkg.low" in alone


def test_a_changed_file_is_read_again(package):
    path = package / "top.py"
    assert read_imports(path, "pkg.top").on_import == set()
    path.write_text("import json")
    assert read_imports(path, "pkg.top").on_import == {"json"}


def test_an_entry_must_exist(package):
    with pytest.raises(KeyError, match="pkg.nothing"):
        import_closure(["pkg.nothing"], package)
