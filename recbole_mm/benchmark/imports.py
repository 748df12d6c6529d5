"""What modules of this package import, read off their source: nothing is imported to find out."""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Imports:
    """Names that a module imports, as written: modules, and 'module.name' for what is imported from a module.

    Attributes:
        on_import: imported when the module is.
        in_functions: imported when a function of it runs.
        for_types: imported under ``if TYPE_CHECKING``, which is never run.
    """

    on_import: frozenset[str]
    in_functions: frozenset[str]
    for_types: frozenset[str]


def modules_of(package: Path = PACKAGE) -> dict[str, Path]:
    """Name -> file of each module of the package that lies in the folder."""
    names = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


def read_imports(path: Path, module: str) -> Imports:
    """What the file of the module imports.

    >>> "recbole_mm.errors" in read_imports(PACKAGE / "config" / "sources.py", "recbole_mm.config.sources").on_import
    True
    """
    status = path.stat()
    return _read_imports(path, module, status.st_size, status.st_mtime_ns)


@functools.cache
def _read_imports(path: Path, module: str, size: int, modified: int) -> Imports:
    found: dict[str, set[str]] = {"on_import": set(), "in_functions": set(), "for_types": set()}
    folder = module if path.name == "__init__.py" else module.rpartition(".")[0]

    def visit(node: ast.AST, when: str) -> None:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)) and when == "on_import":
            when = "in_functions"
        if isinstance(node, ast.Import):
            found[when].update(one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = folder.split(".")[: len(folder.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            found[when].update([base, *(f"{base}.{one.name}" for one in node.names)])
        elif isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            for child in node.body:
                visit(child, "for_types")
            for child in node.orelse:
                visit(child, when)
        else:
            for child in ast.iter_child_nodes(node):
                visit(child, when)

    visit(ast.parse(path.read_text(encoding="utf-8")), "on_import")
    return Imports(**{when: frozenset(names) for when, names in found.items()})


def import_closure(
    entries: Iterable[str],
    package: Path = PACKAGE,
    follow: Callable[[str, Imports], Iterable[str]] = lambda module, imports: imports.on_import | imports.in_functions,
) -> dict[str, Path]:
    """The modules of the package that run when the entries do: these, what they import, what that imports, and so on.

    The packages that a module lies in belong to it, since Python runs their ``__init__`` first.

    Args:
        entries: names of modules.
        package: folder of the package.
        follow: what of a module's imports is followed; by default all that can run.

    Returns:
        Name -> file.

    Raises:
        KeyError: an entry is no module of the package.
    """
    modules = modules_of(package)
    closure: dict[str, Path] = {}
    waiting = sorted(set(entries))
    while waiting:
        name = waiting.pop()
        if name in closure:
            continue
        closure[name] = modules[name]
        named = {*follow(name, read_imports(modules[name], name)), *_packages_of(name)}
        waiting += sorted(named & modules.keys())
    return closure


def _packages_of(module: str) -> Iterator[str]:
    while "." in module:
        module = module.rpartition(".")[0]
        yield module
