"""Tables of repeated runs: each row of a suite under each protocol and seed, cached by what decides its numbers.

A suite is a file of properties/benchmark. A file of the same name in properties/benchmark/<dataset> takes its place
there if it has rows; without rows it changes only what it names:

    rows        name -> options of `recbole-mm run` (and ``tool``, see cell.py)
    protocols, seeds
    each_model  in place of rows: rows of every model in ``models``; ``imputed`` has the models with imputed vectors
    falls       true: also the metrics against the share of missing vectors (recbole_mm/report/falls.py)
    rows_like   in place of rows: a suite whose rows these are, here with other ``options``
    rows_of     in place of rows and protocols: suite -> the protocol under which its rows run (no tests: it has them)
    options     of every row
    part        test by default; an ablation reports valid, so that nothing is chosen by looking at the test part
    against     a row that the others are subtracted from, and tested against if no row is a built-in model
    columns     of the table, where the usual metrics are not the point
    workers     runs at a time, where it matters (cost: 1)
    quick       protocols, seeds and rows of the short form, and ``bands``: row -> metric -> [lowest, highest]
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from fnmatch import fnmatchcase
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from recbole_mm.benchmark.cell import Cell
from recbole_mm.benchmark.each_model import short_form, with_chosen, with_rows
from recbole_mm.benchmark.kept import Kept, keep, read_kept, read_rows, write_kept
from recbole_mm.benchmark.key import data_folder, make_cell
from recbole_mm.benchmark.rows import check_rows, find_data, find_other, left_out_lines
from recbole_mm.benchmark.runner import run_cells
from recbole_mm.benchmark.table import Failure, read_table, user_totals_of, write_results
from recbole_mm.benchmark.values import HOME, adapted, plain_name, protocol_of, tune_rows, tuned_before
from recbole_mm.config.schema import Schema
from recbole_mm.config.sources import given_options, read_packaged
from recbole_mm.errors import InputError, NotWrittenError, nearest, when_stopped
from recbole_mm.files import make_folder, write_text
from recbole_mm.model.registry import MODELS, get_model
from recbole_mm.report.falls import write_falls
from recbole_mm.report.tables import differences, latex, markdown, significance
from recbole_mm.resources import resource_dir
from recbole_mm.tuning.search import tune

# Options that a file for every row may not hold.
SET_BY_SUITES = {"model", "dataset", "protocol", "seed", "result_file", "predictions_file", "evaluate", "resume"}


def suite_names() -> list[str]:
    """Names of the suites: files of properties/benchmark."""
    return sorted(path.stem for path in (resource_dir("properties") / "benchmark").glob("*.yaml"))


def run_suite(
    suite: str,
    dataset: str,
    out: Path,
    workers: int = 2,
    quick: bool = False,
    config_files: Sequence[str | Path] = (),
    tune_trials: int = 0,
    models: Sequence[str] = (),
    only: Sequence[str] = (),
) -> Path:
    """Run the cells of a suite that are not there yet and write its table.

    Results of runs are kept in ``out/runs``, under a name that changes with all that the numbers depend on (key.py): an
    interrupted suite goes on where it stopped, and what has changed runs again. The numbers of finished runs are also
    in ``out/cells``, small enough to be committed (kept.py): with them a suite goes on from another checkout. A cell
    that fails is shown as failed, with its reason, and stops no other.

    Args:
        suite: name of a file of properties/benchmark.
        workers: runs at a time, each with one thread.
        quick: the short form, ``<suite>-quick``.
        config_files: yaml files of options for every row, the later the stronger; those of a row itself are stronger.
            A data set of the user's own says here what its fields are.
        models: further models, each a row at its defaults; also those of other packages (`recbole_mm.model.outside`).
            A suite with ``each_model`` has these models alone.
        tune_trials: choose the values of each row first, on the validation part, with this many trials each; 0: do not.
        only: names of rows, ``*`` stands for any text; other rows do not run now. The table has those of them whose
            runs are all kept.

    Returns:
        The table, ``out/<suite>.md``; beside it ``.tex`` is the same in LaTeX, ``.csv`` has one line for each run and
        ``.tests.csv`` the significance tests. ``out/results.csv`` holds the lines of all suites there.

    Raises:
        InputError: no such suite, no short form of it, a data set that cannot be built or read, an option in
            ``config_files`` that not every row can take, options that no row can take, a name in ``only`` that no row
            has, or a number of the short form outside its band.
        NotWrittenError: the runs are done, but a table cannot be written; ``result`` is its text.
    """
    if workers < 1:
        raise InputError(f"workers is {workers}, but at least one run must go on at a time")
    if tune_trials < 0:
        raise InputError(f"tune is {tune_trials}, but must be a number of trials, at least 1")
    if suite not in suite_names():
        raise InputError(
            f"suite '{suite}' is unknown.{nearest(suite, suite_names())} Suites: {', '.join(suite_names())}"
        )
    plan = _read_plan(suite, dataset)
    if quick:
        plan, suite = _short_form(plan, suite), f"{suite}-quick"
    plan = {**_with_models(plan, suite, models), "asked_models": list(models)}
    if config_files:
        plan = {**plan, "config_files": [str(name) for name in config_files]}
        _check_config_files(plan, dataset)
    rows = _rows(plan, dataset)
    find_data(dataset, {data_folder(dataset, options, protocol) for _, options, protocol in rows})
    for other in sorted({options["to"] for _, options, _ in rows if "to" in options}):
        find_other(suite, dataset, other, {data_folder(other, options, protocol) for _, options, protocol in rows})
    wanted = _matching([row for row, _, _ in rows], only)
    cells = _cells_of(rows, plan, dataset, out / "runs")
    kept = read_kept(out)
    refused = check_rows(cells, kept)
    rows = [one for one in rows if (one[0], one[2]) not in refused.by_data]
    if tune_trials:
        plan = {**plan, "tune": tune_trials}
        possible = [one for one in rows if (one[0], one[2]) not in refused.wrong and one[0] in wanted]
        tuned = tune_rows(possible, dataset, tune_trials, out / "tuned", tune, plan.get("workers", workers))
        now = {(row, protocol): one for (row, _, protocol), one in zip(possible, tuned, strict=True)}
        # Rows that are not asked for keep their place, and those that cannot run are shown as failed.
        wanted = {now.get((row, protocol), (row,))[0] for row, _, protocol in rows if row in wanted}
        rows = [now.get((row, protocol), (row, options, protocol)) for row, options, protocol in rows]
    labels = {cell.row for cell in read_rows(out, suite)} - wanted
    rows = _in_place(rows, wanted, labels, kept, plan, dataset, out)
    cells = _cells_of(rows, plan, dataset, out / "runs")
    make_folder(out / "runs")
    try:
        asked = [cell for cell in cells if cell.row in wanted]
        reasons = _run_all(asked, kept, refused.wrong, plan.get("workers", workers), suite)
    finally:  # also when it is stopped
        finished = _finished(cells, kept)
        if finished and not quick:
            write_kept(out, suite, list(finished.values()))
    places = [(cell, (cell.row, cell.protocol, cell.seed, cell.file.stem)) for cell in cells]
    later = {cell.row for cell, place in places if cell.row not in wanted and place not in finished}
    numbers: list[Kept | Failure] = []
    for cell, place in places:
        if cell.row in later:
            continue
        reason = reasons.get(cell.file)
        if reason is None and place in finished:
            numbers.append(finished[place])
        else:
            numbers.append(Failure(*place, reason or "its result is gone"))
    plan = _for_dataset(plan, dataset, [one for one in rows if one[0] not in later])
    foot = left_out_lines(refused.by_data) + (f"\nNot run: {'; '.join(sorted(later))}.\n" if later else "")
    return _with_falls(_write_tables(suite, dataset, out, plan, numbers, foot), plan)


def _in_place(
    rows: Sequence[tuple[str, dict, str]],
    wanted: Collection[str],
    labels: Collection[str],
    kept: Collection[str],
    plan: Mapping,
    dataset: str,
    out: Path,
) -> list[tuple[str, dict, str]]:
    """Rows of the table: one that is not in ``wanted`` stands there as an earlier command has tuned it, if it has.

    Args:
        labels: other rows of the suite whose numbers are kept.
        kept: names of all cells that are kept.
    """
    found = []
    for one in rows:
        forms = [] if one[0] in wanted else tuned_before(one, labels, dataset, out / "tuned")
        forms = [form for form in forms if any(c.file.stem in kept for c in _cells_of([form], plan, dataset, out))]
        found += forms if forms and one[0] not in labels else [one, *forms]
    return found


def _matching(rows: Sequence[str], only: Sequence[str]) -> set[str]:
    """Rows with a name in ``only``; all of them if it is empty."""
    if not only:
        return set(rows)
    for name in only:
        if not any(fnmatchcase(row, name) for row in rows):
            raise InputError(
                f"--rows: no row is called '{name}'.{nearest(name, rows)} Rows: {'; '.join(dict.fromkeys(rows))}"
            )
    return {row for row in rows for name in only if fnmatchcase(row, name)}


def write_from_cells(suite: str, dataset: str, out: Path) -> Path:
    """Write the tables of a suite again from ``out/cells`` alone, without data and runs; returns the markdown file.

    Rows of which a seed is missing, since its run failed or was stopped, and rows without any run are named below.

    Raises:
        InputError: there are no cells of the suite, or they are damaged.
    """
    kept = read_rows(out, suite)
    if not kept:
        raise InputError(f"{out / 'cells'}: has no cells of suite '{suite}'; leave --from_cells out to run the suite")
    plan = _read_plan(suite, dataset)
    places = {(cell.row, cell.protocol, cell.seed) for cell in kept}
    missing = {row for row, protocol, _ in places for seed in plan["seeds"] if (row, protocol, seed) not in places}
    if {cell.row for cell in kept} == missing:
        raise InputError(f"{out / 'cells'}: no row of suite '{suite}' has all its seeds; leave --from_cells out")
    kept = [cell for cell in kept if cell.row not in missing]
    rows = [(cell.row, {}, cell.protocol) for cell in kept]
    foot = f"\nNot complete: {'; '.join(sorted(missing))}.\n" if missing else ""
    has = {plain_name(row, dataset) for row, _, _ in places}
    others = {row for row, _, _ in _rows(plan, dataset) if plain_name(row, dataset) not in has}
    foot += f"\nNot run, failed, or not possible on these data: {'; '.join(sorted(others))}.\n" if others else ""
    return _with_falls(_write_tables(suite, dataset, out, _for_dataset(plan, dataset, rows), kept, foot), plan)


def _with_falls(path: Path, plan: Mapping) -> Path:
    """The table, with the pictures that the plan asks for beside it."""
    if plan.get("falls"):
        write_falls(path)
    return path


def _finished(cells: Sequence[Cell], kept: Mapping[str, Kept]) -> dict[tuple[str, str, int, str], Kept]:
    """Row, protocol, seed and name -> numbers of the finished cells, from those that were kept or from their runs."""
    found = {}
    for cell in cells:
        name = cell.file.stem
        if name in kept or (cell.done and cell.damage() is None):
            found[cell.row, cell.protocol, cell.seed, name] = kept[name].of(cell) if name in kept else keep(cell)
    return found


def _texts(
    suite: str, dataset: str, plan: Mapping, numbers: Sequence[Kept | Failure], foot: str = ""
) -> dict[str, str]:
    """Files of a suite's tables: name -> text."""
    part = plan.get("part", "test")
    table = read_table(numbers, part)
    texts = {f"{suite}.csv": table.to_csv(index=False), f"{suite}.tex": latex(table, plan)}
    text = markdown(suite, dataset, table, plan)
    if part == "test" and "rows_of" not in plan:  # what is kept of users is of the test part
        tests = significance(user_totals_of(numbers), _baselines(numbers) or [plan.get("against", "")])
        texts[f"{suite}.tests.csv"] = tests.table.to_csv(index=False)
        text += tests.markdown
    if "against" in plan:
        text += differences(table, plan)
    return {**texts, f"{suite}.md": text + foot}


def _write_tables(
    suite: str, dataset: str, out: Path, plan: Mapping, numbers: Sequence[Kept | Failure], foot: str
) -> Path:
    """Write the tables of finished runs, with ``foot`` below; returns the markdown file."""
    texts = _texts(suite, dataset, plan, numbers, foot)
    path = out / f"{suite}.md"
    text, table = texts[path.name], read_table(numbers, plan.get("part", "test"))
    try:
        for name, content in texts.items():
            write_text(out / name, content)
        write_results(out)
    except InputError as error:
        raise NotWrittenError(str(error), text) from error
    _check_bands(plan.get("bands", {}), table, path)
    return path


def _read_plan(suite: str, dataset: str) -> dict:
    folder = resource_dir("properties") / "benchmark"
    own = folder / dataset / f"{suite}.yaml"
    plan, made_for = read_packaged(own) if own.is_file() else {}, dataset
    if "rows" not in plan:  # a data set's own file without rows changes only what it names, e.g. the seeds
        plan, made_for = {**read_packaged(folder / f"{suite}.yaml"), **plan}, HOME
    if "rows_like" in plan:
        like = _read_plan(plan["rows_like"], dataset)
        plan, made_for = {**plan, "rows": like["rows"]}, like["made_for"]
    return with_rows({**plan, "made_for": made_for})


def _with_models(plan: Mapping, suite: str, models: Sequence[str]) -> dict:
    """The plan with a row for each further model; a suite of rows for each model has those of these models alone."""
    if models and "rows_of" in plan:
        raise InputError(f"--models: suite '{suite}' has the rows of other suites; add models there")
    for name in models:
        get_model(name)
    if models and "each_model" in plan:
        return with_chosen(plan, models)
    rows = plan.get("rows", {})
    added = {name if name not in rows else f"{name}, added": {"model": name} for name in models}
    return {**plan, **({"rows": {**rows, **added}} if added else {})}


def _for_dataset(plan: Mapping, dataset: str, rows: Sequence[tuple[str, dict, str]]) -> dict:
    """The plan with the reference by its label in the table; on a data set it was not made for, bands do not hold."""
    changed = dict(plan)
    if plan.get("made_for", dataset) != dataset:
        changed.pop("bands", None)
    against = plan.get("against")
    if against and all(row != against for row, _, _ in rows):
        changed["against"] = {plain_name(row, dataset): row for row, _, _ in rows}.get(against, against)
    return changed


def _short_form(plan: Mapping, suite: str) -> dict:
    if "quick" not in plan:
        raise InputError(f"suite '{suite}' has no short form; leave --quick out")
    quick = plan["quick"]
    if "each_model" in quick:
        return short_form(plan, quick)
    return {**plan, **quick, "rows": {row: plan["rows"][row] for row in quick["rows"]}}


def _cells(plan: Mapping, dataset: str, folder: Path) -> list[Cell]:
    return _cells_of(_rows(plan, dataset), plan, dataset, folder)


def _cells_of(rows: Sequence[tuple[str, dict, str]], plan: Mapping, dataset: str, folder: Path) -> list[Cell]:
    return [
        make_cell(row, dataset, options, protocol, seed, folder)
        for row, options, protocol in rows
        for seed in plan["seeds"]
    ]


def _rows(plan: Mapping, dataset: str) -> list[tuple[str, dict, str]]:
    """Label, options and protocol of each row on the data set."""
    runs = [(protocol, plan) for protocol in plan.get("protocols", [])]
    runs += [(protocol, _read_plan(suite, dataset)) for suite, protocol in plan.get("rows_of", {}).items()]
    given = " ".join(plan.get("config_files", []))
    rows = []
    for protocol, source in runs:
        made_for = source.get("made_for", dataset)
        for row, own in source["rows"].items():
            options = {**source.get("options", {}), **own}
            here = protocol
            if made_for != dataset:
                settings = {**options, "config_files": given}  # not the row's own files: they are of other data
                here = protocol_of(protocol, data_folder(dataset, settings, protocol), dataset)
            label, options = adapted(row, options, here, made_for, dataset)
            if given:
                options["config_files"] = f"{given} {options.get('config_files', '')}".strip()
            # Rows that differ at home by the source of their values alone may be the same run here: the first stays.
            if made_for == dataset or all((options, here) != (other, at) for _, other, at in rows):
                rows.append((label, options, here))
    return rows


def _check_config_files(plan: Mapping, dataset: str) -> None:
    """Refuse options that a row could not take, before the first of them runs."""
    given = given_options(config_file_list=plan["config_files"])
    for name in SET_BY_SUITES & given.keys():
        raise InputError(f"{given[name].origin}: option '{name}' is set for each run of a suite; leave it out")
    for model in sorted({options["model"] for _, options, _ in _rows(plan, dataset)}):
        try:
            model_class = get_model(model)
        except InputError:  # its rows say so
            continue
        Schema(model, model_class.type, model_class).check(given)


def _run_all(
    cells: Sequence[Cell],
    kept: Mapping[str, Kept],
    refused: Mapping[tuple[str, str], str],
    workers: int,
    suite: str,
) -> dict[Path, str | None]:
    """Why each cell failed, None for those that did not; suites name some cells twice, which run once."""
    places = {cell.file: (cell.row, cell.protocol) for cell in cells}
    reasons: dict[Path, str | None] = {file: refused[place] for file, place in places.items() if place in refused}
    reasons |= {cell.file: None for cell in cells if cell.file not in reasons and cell.file.stem in kept}
    todo = list({cell.file: cell for cell in cells if cell.file not in reasons}.values())

    def progress() -> str:
        done = sum(cell.done for cell in todo)
        return f"{done} of {len(todo)} runs are kept; the same command goes on with the others"

    with when_stopped(progress), closing(run_cells(todo, workers)) as results:
        bar = tqdm(results, total=len(todo), desc=suite)
        for cell, reason in bar:
            reasons[cell.file] = reason
            bar.set_postfix(failed=sum(reason is not None for reason in reasons.values()))
    return reasons


def _baselines(numbers: Sequence[Kept | Failure]) -> list[str]:
    return sorted({cell.row for cell in numbers if isinstance(cell, Kept) and cell.model not in MODELS})


def _check_bands(bands: Mapping[str, Mapping[str, Sequence[float]]], table: pd.DataFrame, path: Path) -> None:
    outside = []
    for row, metrics in bands.items():
        runs = table[table["row"] == row]
        for metric, (low, high) in metrics.items():
            mean = runs[metric].mean() if metric in runs and runs["failure"].isna().all() else float("nan")
            if not low <= mean <= high:
                outside.append(f"{row}: {metric} {mean:.4f} is not in [{low}, {high}]")
    if outside:
        raise InputError(f"{path}: {'; '.join(outside)}; the models, the data or the protocol have changed")
