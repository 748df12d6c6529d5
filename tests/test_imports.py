"""Imports run downwards: a package imports what lies below it, and no modules import each other in a circle.

Imports inside functions and under ``TYPE_CHECKING`` count as well: each says that one module knows another. The package
itself, `recbole_mm`, stands outside: it looks its public names up when they are used.
"""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter

from recbole_mm.benchmark.imports import modules_of, read_imports

# Lowest first. Packages of one line do not import each other.
LAYERS = (
    ("errors", "resources", "environment", "finite"),
    ("unsafe_calls",),
    ("compat",),
    ("files",),
    ("features",),
    ("data",),
    ("evaluation", "extract"),
    ("model",),
    ("config",),
    ("datasets",),
    ("interchange",),
    ("training",),
    ("inference",),
    ("serve",),
    ("tuning", "demo", "report"),
    ("benchmark", "measure"),
    ("cli",),
)
HEIGHT = {name: height for height, names in enumerate(LAYERS) for name in names}


def imports_of_the_package() -> set[tuple[str, str]]:
    """(importing module, imported module) for each import between modules of recbole_mm."""
    modules = modules_of()
    found = set()
    for name, path in modules.items():
        imports = read_imports(path, name)
        imported = (imports.on_import | imports.in_functions | imports.for_types) & modules.keys()
        found |= {(name, other) for other in imported - {name}}
    return {(one, other) for one, other in found if "recbole_mm" not in (one, other)}


def upward(imports: set[tuple[str, str]]) -> list[tuple[str, str]]:
    """Imports of what lies higher than the importing package, or beside it."""

    def package_of(module: str) -> str:
        return module.split(".")[1]

    between = [pair for pair in imports if package_of(pair[0]) != package_of(pair[1])]
    return sorted(pair for pair in between if HEIGHT[package_of(pair[0])] <= HEIGHT[package_of(pair[1])])


def circle(imports: set[tuple[str, str]]) -> list[str]:
    """Modules of which each imports the next, the first and the last being the same; empty if there is no circle."""
    graph: dict[str, set[str]] = {}
    for one, other in imports:
        graph.setdefault(one, set()).add(other)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1][::-1]
    return []


def test_every_package_has_a_height() -> None:
    assert {module.split(".")[1] for module in modules_of() if "." in module} == set(HEIGHT)


def test_no_import_goes_upwards() -> None:
    assert upward(imports_of_the_package()) == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circle(imports_of_the_package()) == []


def test_an_upward_import_and_a_circle_are_found() -> None:
    up = ("recbole_mm.data.dataset", "recbole_mm.model.users")
    beside = ("recbole_mm.demo.app", "recbole_mm.report.html")
    down = ("recbole_mm.model.users", "recbole_mm.data.splits")
    assert upward({up, beside, down}) == [up, beside]
    assert circle({up, down}) == []
    found = circle({up, down, (down[1], "recbole_mm.data.dataset")})
    assert found[0] == found[-1] and set(found) == {*up, *down}


def test_no_module_reaches_into_private_members_of_another() -> None:
    """``other._name``, unless the module itself has a class or function that defines ``_name``, or it is RecBole's."""
    of_recbole = {"_change_feat_format", "_drop_unused_col", "_update", "_data_dict", "_foreach_lerp_"}
    of_recbole |= {"_replace", "_asdict", "_fields"}  # of named tuples: public in spite of their names
    of_recbole |= {"_dataset", "_version"}  # the data set of any loader; torch's documented count of changes in place
    reached = []
    for module, path in modules_of().items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        own = {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
        own |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and is_self(node.value)}
        for node in ast.walk(tree):
            if not isinstance(node, ast.Attribute) or not node.attr.startswith("_") or node.attr.startswith("__"):
                continue
            if not is_self(node.value) and node.attr not in own | of_recbole:
                reached.append(f"{module}:{node.lineno}: {ast.unparse(node)}")
    assert reached == []


def is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")
