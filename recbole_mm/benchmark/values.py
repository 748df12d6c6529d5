"""Where the values of a row come from, on a data set that the suite was not made for.

The suites of properties/benchmark were made for ml-100k-mm, and name files of values that were chosen there. On other
data such values would make a row look worse than it is, so they are not used: a row takes the values that were tuned on
the data set itself where there are any, else the defaults. Its label says which. A row whose values were chosen under
another protocol (those of u1 serve all folds) takes the data set's own of that protocol.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from recbole_mm.config.sources import Given, dataset_options, find_file, write_arguments
from recbole_mm.errors import InputError
from recbole_mm.model.registry import MODELS
from recbole_mm.tuning.search_space import NoSpaceError

HOME = "ml-100k-mm"
"""The data set of the suites that are in no folder of a data set."""
PUBLISHED = "published"
_TUNED = re.compile(
    r"(?:properties/)?tuned/(?P<way>with-vectors/)?(?P<dataset>[^/]+)/(?P<protocol>[^/]+)/(?P<model>[^/]+)\.yaml"
)

_TRIALS = re.compile(r", tuned \(\d+ trials\)$")


def protocol_of(protocol: str, folder: Path, dataset: str) -> str:
    """The protocol of a suite's rows on a data set: its published split in place of ``ranking``, if it has one.

    Args:
        folder: of the data set's files.
    """
    if protocol != "ranking":
        return protocol
    own = dataset_options(Given(str(folder.parent), "data_path"), dataset, ())
    return PUBLISHED if "protocol" in own and own["protocol"].value == PUBLISHED else protocol


def adapted(row: str, options: Mapping[str, Any], protocol: str, made_for: str, dataset: str) -> tuple[str, dict]:
    """Label and options of a row of a suite on a data set.

    Args:
        protocol: under which it runs.
        made_for: the data set whose rows the suite's file has.
    """
    if "parts" in options and made_for != dataset:
        return _adapted_parts(row, options, protocol, made_for, dataset)
    files = str(options.get("config_files", "")).split()
    tuned = [name for name in files if _TUNED.fullmatch(name)]
    if made_for == dataset:
        foreign = sorted({match["dataset"] for name in tuned if (match := _TUNED.fullmatch(name))} - {dataset})
        return row + "".join(f", values of {other}" for other in foreign), dict(options)
    if not takes_values(options):
        return row, dict(options)
    own = [name for name in _own_files(options["model"], protocol, dataset, tuned) if _is_there(name)][:1]
    kept = [name for name in files if name not in tuned] + own
    changed = {name: value for name, value in options.items() if name != "config_files"}
    if kept:
        changed["config_files"] = " ".join(kept)
    return f"{row}, {f'tuned on {dataset}' if own else 'defaults'}", changed


def _adapted_parts(
    row: str, options: Mapping[str, Any], protocol: str, made_for: str, dataset: str
) -> tuple[str, dict]:
    """A blend on another data set: each of its models takes the values of that data set."""
    parts = [adapted("", part, protocol, made_for, dataset) for part in options["parts"]]
    sources = sorted({label.removeprefix(", ") for label, _ in parts if label})
    label = f"{row} (models: {', '.join(sources)})" if sources else row
    return label, {**options, "parts": [part for _, part in parts]}


def takes_values(options: Mapping[str, Any]) -> bool:
    """Whether a row is meant to have values that were chosen for the data: it names a tuned file, or it is ours."""
    files = str(options.get("config_files", "")).split()
    if any(_TUNED.fullmatch(name) for name in files):
        return True
    return options.get("tool", "run") in ("run", "missing") and options["model"] in MODELS and not files


def _own_files(model: str, protocol: str, dataset: str, tuned: Sequence[str]) -> list[str]:
    """Files of a row's values on a data set, the first to be preferred: chosen under the row's protocol, or where the
    suite's row ``tuned`` has its values from.

    So one choice on u1 serves all folds, and a row with vectors as input never takes values that were chosen without.
    """
    ways = [("", protocol)]
    if match := next(filter(None, map(_TUNED.fullmatch, tuned)), None):
        way = match["way"] or ""
        ways = [(way, protocol), (way, match["protocol"])]
    return [f"tuned/{way}{dataset}/{under}/{model}.yaml" for way, under in ways]


def _is_there(name: str) -> bool:
    try:
        find_file(name)
    except InputError:
        return False
    return True


def tune_rows(
    rows: Sequence[tuple[str, dict, str]],
    dataset: str,
    trials: int,
    out: Path,
    tune: Callable[..., Path],
    workers: int = 1,
) -> list[tuple[str, dict, str]]:
    """Rows with the best of ``trials`` trials each, on the validation part; rows without a search space as they are.

    A row keeps the options that make it what it is: its search has the others.

    Args:
        rows: label, options and protocol, as of `adapted`.
        out: folder of logs and choices; a search that was interrupted goes on.
        tune: `recbole_mm.tuning.search.tune`.
        workers: trials at a time.
    """
    found = []
    for row, options, protocol in rows:
        name = plain_name(row, dataset)
        if name == row and not takes_values(options):
            found.append((row, options, protocol))
            continue
        files = _files_of_search(options)
        given = {key: value for key, value in options.items() if key not in ("tool", "config_files")}
        given = {"dataset": dataset, **given, "protocol": protocol, "show_progress": False, "state": "ERROR"}
        if files:
            given["config_files"] = " ".join(files)
        print(f"tuning {name}: {trials} trials on the validation part", flush=True)
        try:
            chosen = tune(write_arguments(given), trials, _folder_of_search(name, out), workers, given_are_fixed=True)
        except NoSpaceError as error:
            print(f"{name}: is not tuned: {error}", flush=True)
            found.append((row, options, protocol))
            continue
        found.append((f"{name}, tuned ({trials} trials)", _with_chosen(options, chosen), protocol))
    return found


def tuned_before(
    row: tuple[str, dict, str], labels: Collection[str], dataset: str, out: Path
) -> list[tuple[str, dict, str]]:
    """The forms of a row that were tuned by an earlier command: those in ``labels`` whose chosen values are there.

    Args:
        row: label, options and protocol, as of `adapted`.
        labels: rows whose numbers are kept.
        out: as of `tune_rows`.
    """
    label, options, protocol = row
    name = plain_name(label, dataset)
    chosen = _folder_of_search(name, out) / dataset / protocol / f"{options['model']}.yaml"
    if not chosen.is_file():
        return []
    forms = [one for one in labels if one != name and _TRIALS.sub("", one) == name]
    return [(form, _with_chosen(options, chosen), protocol) for form in sorted(forms)]


def plain_name(row: str, dataset: str) -> str:
    """The label of a row without where its values come from."""
    return _TRIALS.sub("", row.removesuffix(", defaults").removesuffix(f", tuned on {dataset}"))


def _folder_of_search(name: str, out: Path) -> Path:
    return out / re.sub(r"\W+", "-", name)


def _files_of_search(options: Mapping[str, Any]) -> list[str]:
    """Files of a row's options that its search starts from: not the values that were tuned for other data."""
    return [one for one in str(options.get("config_files", "")).split() if not _TUNED.fullmatch(one)]


def _with_chosen(options: Mapping[str, Any], chosen: Path) -> dict[str, Any]:
    return {**options, "config_files": " ".join([*_files_of_search(options), str(chosen)])}
