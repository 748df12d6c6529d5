"""README.md, CONTRIBUTING.md and docs/*.md as a reader follows them: blocks of each page, top to bottom, in one folder.

Of fenced blocks, those without a language are commands, one on each line. Those of ``python`` run in one namespace for
the page, those of ``yaml`` are options, those of ``text`` are only shown. After a line that ends with "`some/file.py`:"
(or .yaml) a block is that file, or is added to it where it exists.
"""

from __future__ import annotations

import importlib.util
import re
import runpy
import shlex
import sys
import warnings
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from torch.distributed.run import get_args_parser

from recbole_mm.benchmark import suites
from recbole_mm.cli.main import main
from recbole_mm.config.config import Config
from recbole_mm.config.sources import load_yaml
from recbole_mm.inference.load import load
from recbole_mm.report import html
from recbole_mm.training import session

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest brings it there

ROOT = Path(__file__).resolve().parents[1]
OF_THE_SITE = ("index.md", "contributing.md", "changes.md")  # they show other pages, and have no words of their own
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
PAGES += [page for page in sorted((ROOT / "docs").glob("*.md")) if page.name not in OF_THE_SITE]
COMMAND = re.compile(r"(pip|python3?|torchrun|pytest|cp|sphinx-build|recbole-mm) ")
# What they measure takes minutes; that their options exist is checked.
MEASUREMENTS = ("builtin_models", "epochs", "full_size", "loading", "recbole_parity", "serving", "start", "synthetic")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language ('' for commands), where it stands, and the file that its text is, if any."""

    language: str
    text: str
    line: int
    file: str | None


def blocks_of(page: Path) -> list[Block]:
    return [part for part in _parts(page) if isinstance(part, Block)]


def prose_of(page: Path) -> list[str]:
    """Lines outside of the fences."""
    return [part for part in _parts(page) if isinstance(part, str)]


def inline_code(page: Path) -> list[str]:
    """Spans between backticks."""
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", "\n".join(prose_of(page)))]


def _parts(page: Path) -> Iterator[Block | str]:
    before, inside, language, start = "", None, "", 0
    for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
        if inside is not None and line.startswith("```"):
            file = re.search(r"`([\w./-]+\.(?:py|yaml))`:$", before)
            yield Block(language, "\n".join(inside) + "\n", start, file and file[1])
            inside = None
        elif inside is not None:
            inside.append(line)
        elif line.startswith("```"):
            inside, language, start = [], line.removeprefix("```").strip(), number
        else:
            yield line
            before = line.strip() or before
    assert inside is None, f"{page.name}:{start}: the block has no end"


class Reader:
    """Follows a page in the working directory; a command that it does not know how to run is an error.

    Attributes:
        left_out: what could not be run here, and why.
    """

    def __init__(self, page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.page, self.monkeypatch = page, monkeypatch
        self.left_out: list[str] = []
        self._impossible: dict[str, str] = {}
        self.namespace: dict = {"__name__": "__docs__"}
        self.commands: dict[str, Callable[[list[str]], None]] = {
            "pip install": check_requirements,
            "sphinx-build": lambda arguments: None,  # tests/docs/test_site.py builds it
            "pytest": lambda arguments: None,  # .ci/run runs it: test_readme_and_ci_run_the_same_command
            "python run_recbole_mm.py": lambda arguments: self.main(["run", *arguments]),
            "torchrun": self.torchrun,
            "python -m": self.module,
            "recbole-mm tune": lambda given: self.main(["tune", *given, "--trials=1", "--out=tuned", "--epochs=1"]),
            "recbole-mm demo": lambda given: self.listen("demo", given),
            "recbole-mm serve": lambda given: self.listen("serve", given),
        }
        names = ("run", "prepare", "import", "convert", "extract", "recommend", "export", "benchmark", "curves")
        for name in names:
            self.commands[f"recbole-mm {name}"] = lambda arguments, name=name: self.main([name, *arguments])
        if importlib.util.find_spec("matplotlib") is None:
            self.leave_out("curves", "matplotlib (extra 'plot') is not installed")
        _shorten(monkeypatch)

    def follow(self) -> None:
        for block in blocks_of(self.page):
            try:
                self.do(block)
            except (Exception, SystemExit) as error:
                raise AssertionError(f"{self.page.name}:{block.line}: {error!r}\n{block.text}") from error

    def do(self, block: Block) -> None:
        if block.language == "yaml":
            assert isinstance(load_yaml(block.text), dict)
        if block.file is not None:
            path = Path(block.file)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as file:
                file.write(block.text)
        elif block.language == "python":
            exec(compile(block.text, str(self.page), "exec"), self.namespace)  # noqa: S102 - our own documentation
        elif block.language == "":
            for line in block.text.splitlines():
                self.run(line)
        else:
            assert block.language in ("text", "yaml"), f"blocks of '{block.language}' are not run; see doc_pages.py"

    def run(self, line: str) -> None:
        """A line of commands with && between them."""
        for command in line.split("&&"):
            words = shlex.split(command)
            known = [name for name in self.commands if words[: len(name.split())] == name.split()]
            assert known, f"no way to run this is known: {line}"
            name = max(known, key=len)
            self.commands[name]([_existing(word) for word in words[len(name.split()) :]])

    def leave_out(self, word: str, reason: str) -> None:
        """Do not run commands that hold this word; `left_out` tells."""
        self._impossible[word] = reason

    def main(self, arguments: list[str]) -> None:
        for word, reason in self._impossible.items():
            if word in " ".join(arguments):
                self.left_out.append(f"recbole-mm {' '.join(arguments)}: {reason}")
                return
        assert main(arguments) == 0, arguments

    def listen(self, name: str, arguments: list[str]) -> None:
        # Serving has tests of its own; here the command must come that far.
        self.monkeypatch.setattr(f"recbole_mm.cli.{name}.run", lambda options: load(options.checkpoint) and 0)
        self.main([name, *arguments])

    def torchrun(self, arguments: list[str]) -> None:
        """Its options are read by torchrun. On one host ``nproc`` makes the run; other tests start torchrun."""
        read = get_args_parser().parse_args(arguments)
        assert read.training_script == "run_recbole_mm.py"
        options = [argument for argument in read.training_script_args if argument != "--"]
        if read.nnodes == "1:1":
            self.main(["run", *options, f"--nproc={read.nproc_per_node}"])
        else:
            Config(arguments=options)

    def module(self, arguments: list[str]) -> None:
        """``python -m``: of what measures speed only the options are read."""
        name, *options = arguments
        with self.monkeypatch.context() as patch, warnings.catch_warnings():
            warnings.filterwarnings("ignore", "'recbole_mm.* found in sys.modules", RuntimeWarning)
            patch.setattr(sys, "argv", [name, *options])
            if name.removeprefix("recbole_mm.measure.") not in MEASUREMENTS:
                runpy.run_module(name, run_name="__main__", alter_sys=True)
                return
            patch.setattr(ArgumentParser, "parse_args", _parse_and_stop(ArgumentParser.parse_args))
            with pytest.raises(_Read):
                runpy.run_module(name, run_name="__main__", alter_sys=True)


class _Read(Exception):
    """The options of a command have been read."""


def _parse_and_stop(parse: Callable) -> Callable:
    def parse_args(parser: ArgumentParser, *arguments):
        parse(parser, *arguments)
        raise _Read

    return parse_args


def _shorten(monkeypatch: pytest.MonkeyPatch) -> None:
    """One epoch for each training (one more where it is resumed); tables are planned only."""
    train = session.run

    def run(*given, arguments=(), **more):
        kept = [argument for argument in arguments if not argument.startswith("--epochs=")]
        epochs = 2 if any(argument.startswith("--resume=") for argument in kept) else 1
        return train(*given, arguments=[*kept, f"--epochs={epochs}", "--show_progress=False"], **more)

    def plan(
        suite: str,
        dataset: str,
        out: Path,
        workers: int,
        quick: bool,
        config_files: list[str],
        tune_trials: int,
        models: list[str],
        only: list[str],
    ) -> Path:
        rows = suites._read_plan(suite, dataset)
        assert suites._matching([row for row, _, _ in suites._rows(rows, dataset)], only)
        out.mkdir(parents=True, exist_ok=True)
        assert suites._cells(suites._short_form(rows, suite) if quick else rows, dataset, out)
        (out / f"{suite}.md").write_text("planned")
        return out / f"{suite}.md"

    monkeypatch.setattr(session, "run", run)

    def from_cells(suite: str, dataset: str, out: Path) -> Path:
        return plan(suite, dataset, out, 1, False, [], 0, [], [])

    monkeypatch.setattr(suites, "run_suite", plan)
    monkeypatch.setattr(suites, "write_from_cells", from_cells)
    # The committed tables may hold rows that failed when they were made; the command then has another status.
    monkeypatch.setattr("recbole_mm.benchmark.table.failures_of", lambda path: [])
    monkeypatch.setattr(html, "write_html", lambda out, dataset: out / "report.html")


def _existing(word: str) -> str:
    """``--checkpoint=saved/MMASP-….pt`` with the newest such file."""
    option, equals, path = word.rpartition("=")
    if "…" not in path:
        return word
    found = sorted(Path().glob(path.replace("…", "*")), key=lambda file: file.stat().st_mtime)
    assert found, f"{path}: the page has made no such file"
    return f"{option}{equals}{found[-1]}"


def project() -> dict:
    """``[project]`` of pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def extras() -> dict[str, list[str]]:
    """Name of an extra -> its requirements."""
    return project()["optional-dependencies"]


def check_requirements(arguments: list[str]) -> None:
    """``pip install``: names of this package, its extras, or requirements that pyproject.toml has."""
    requirements = [argument for argument in arguments if argument not in ("-e", "--no-deps")]
    assert requirements
    recbole = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["dependency-groups"]["dev"]
    declared = [requirement.split(";")[0] for requirement in [*project()["dependencies"], *sum(extras().values(), [])]]
    for requirement in requirements:
        own = re.fullmatch(r"(?:\.|recbole-mm)(?:\[([\w,]+)\])?", requirement)
        if own is None:
            assert requirement in [*declared, *recbole], requirement
        elif own[1]:
            assert set(own[1].split(",")) <= set(extras()), requirement
