"""Every model of the installed RecBole on a small data set, under each protocol; writes docs/builtin-models.md.

    python -m recbole_mm.measure.builtin_models --page=docs/builtin-models.md
    python -m recbole_mm.measure.builtin_models --models RecVAE SHAN

A model works if it trains for two epochs, if its checkpoint gives the same metrics again, and if training resumed after
the first epoch equals training that was not stopped. The models are those that RecBole has, found by walking its
folders; no list is kept here.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from recbole_mm.config.schema import RECBOLE_PROPERTIES, model_property_file
from recbole_mm.config.sources import read_packaged
from recbole_mm.errors import InputError
from recbole_mm.measure.small_data import NAME, write_small_data
from recbole_mm.model.registry import kind_of_model, packages_of, recbole_model_names
from recbole_mm.training.session import run

RANKING, RATING = ("ranking", "temporal"), ("u1", "cold-item")
PROTOCOLS = (*RANKING, *RATING)
OPTIONS: dict[str, Any] = {
    **{"show_progress": False, "state": "ERROR", "gpu_id": "", "train_batch_size": 128},
    "MAX_ITEM_LIST_LENGTH": 5,  # of sequential models
    "eval_step": 0,  # the last epoch is kept: what is compared are epochs, not which one is best
}
# For the models that have them: a small data set has fewer users than NCL's default number of clusters.
OF_SOME_MODELS = {"save_step": 1, "num_clusters": 5}
WORKS, NO_RESUME = "yes", "yes, in one epoch"
MARK = {WORKS: "✓", NO_RESUME: "✓ ¹", None: "–"}


@dataclass(frozen=True)
class Outcome:
    """What became of a model under a protocol.

    Attributes:
        model, protocol: names.
        works: `WORKS`, or `NO_RESUME` for a model that is trained in one epoch; None if it was refused.
        refusal: the line that a user reads; empty if it works.
        metrics: names of what the run reports.
    """

    model: str
    protocol: str
    works: str | None
    refusal: str = ""
    metrics: tuple[str, ...] = ()


class NotTheSame(Exception):
    """A model ran, but evaluating or resuming its checkpoint gave other numbers."""


def try_model(model: str, protocol: str, data_path: Path) -> Outcome:
    """Train, evaluate and resume a model on the small data set in ``data_path``; files go to the working directory.

    Raises:
        NotTheSame: naming what differs. Any other exception but `InputError` is a fault of this package, too.
    """
    own, epochs = _own_options(model), epochs_option(model)
    options = {**OPTIONS, "data_path": str(data_path), "protocol": protocol}
    options.update({name: value for name, value in OF_SOME_MODELS.items() if name in own})
    try:
        whole = run(model, NAME, config_dict={**options, epochs: 2})
        part = whole if whole.epochs < 2 else run(model, NAME, config_dict={**options, epochs: 1})
        evaluated = run(arguments=[f"--evaluate={part.checkpoint}"])
    except InputError as error:
        return Outcome(model, protocol, None, str(error))
    _same(model, "evaluating its checkpoint", part.test, evaluated.test)
    found = Outcome(model, protocol, WORKS, metrics=tuple(whole.test))
    if part is whole:
        return replace(found, works=NO_RESUME)
    resumed = run(arguments=[f"--resume={part.checkpoint}", f"--{epochs}=2"])
    _same(model, "the loss of epoch 2 after resuming", whole.history[-1]["losses"], resumed.history[-1]["losses"])
    _same(model, "the metrics after resuming", whole.test, resumed.test)
    return found


def epochs_option(model: str) -> str:
    """The option that says how long a model is trained; one that is trained in stages begins with pretraining."""
    return "pretrain_epochs" if "pretrain_epochs" in _own_options(model) else "epochs"


def _own_options(model: str) -> dict[str, Any]:
    path = model_property_file(RECBOLE_PROPERTIES / "model", model)
    return read_packaged(path) if path else {}


def _same(model: str, what: str, expected: dict[str, float], found: dict[str, float]) -> None:
    if repr(expected) != repr(found):  # by repr, so that nan is the same as nan
        raise NotTheSame(f"{model}: {what}: {found}, not {expected}")


@contextmanager
def in_a_folder() -> Iterator[Path]:
    """A temporary working directory with the small data set; yields the data's path."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        os.chdir(folder)
        try:
            yield write_small_data(Path(folder) / "dataset")
        finally:
            os.chdir(before)


def sweep(models: Sequence[str], protocols: Sequence[str] = PROTOCOLS) -> list[Outcome]:
    """Every model under every protocol; says each outcome as it comes."""
    outcomes = []
    with in_a_folder() as data_path:
        for model in models:
            for protocol in protocols:
                outcomes.append(try_model(model, protocol, data_path))
                print(model, protocol, outcomes[-1].works or outcomes[-1].refusal, flush=True)
    return outcomes


def table(outcomes: Sequence[Outcome]) -> str:
    """The rows of the page: one for each model, by kind."""
    by_model: dict[str, dict[str, Outcome]] = {}
    for outcome in outcomes:
        by_model.setdefault(outcome.model, {})[outcome.protocol] = outcome
    lines = [
        "| model | kind | ranks: `ranking` | ranks: `temporal` | rates: `u1` … `u5` | rates: `cold-item` | needs |",
        "|---|---|---|---|---|---|---|",
    ]
    for model, found in by_model.items():
        marks = " | ".join(MARK[found[protocol].works] if protocol in found else "" for protocol in PROTOCOLS)
        needs = ", ".join(f"`{package}`" for package in packages_of(model))
        lines.append(f"| {model} | {kind_of_model(model)} | {marks} | {needs} |")
    return "\n".join(lines)


def write_page(path: Path, rows: str) -> None:
    """Put the rows in the place of those that the page has; its text stays.

    Raises:
        InputError: the page has no table of models.
    """
    lines = path.read_text("utf-8").splitlines()
    places = [number for number, line in enumerate(lines) if line.startswith("| model | kind |")]
    if len(places) != 1:
        raise InputError(f"{path}: has no table that begins with '| model | kind |'; use docs/builtin-models.md")
    end = next((k for k in range(places[0], len(lines)) if not lines[k].startswith("|")), len(lines))
    path.write_text("\n".join([*lines[: places[0]], rows, *lines[end:]]) + "\n", "utf-8")


def main(arguments: list[str] | None = None) -> None:
    """Print each outcome, then the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=recbole_model_names(), help="default: all")
    parser.add_argument("--page", type=Path, help="page whose table is replaced")
    options = parser.parse_args(arguments)
    rows = table(sweep(options.models))
    print(rows)
    if options.page:
        write_page(options.page, rows)


if __name__ == "__main__":
    main()
