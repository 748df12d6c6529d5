"""A picture of the training curves of runs, from their result files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from recbole_mm.errors import InputError, nearest
from recbole_mm.files import writing

PANELS = {
    "rmse": "validation RMSE",
    "ndcg@10": "validation NDCG@10",
    "genre_map": "validation genre mAP",
    "discriminator_accuracy": "discriminator accuracy",
}


def draw_curves(result_files: Sequence[Path], out: Path) -> None:
    """One panel for each metric in `PANELS` that a run has, one line for each run; a dot marks the best epoch.

    Args:
        result_files: JSON files that runs wrote (``--result_file``).
        out: picture to write; its suffix decides the format (.png, .svg, .pdf).

    Raises:
        InputError: a file is missing or is not the result of a run, or matplotlib is not installed.
    """
    runs = [_read_result(path) for path in result_files]  # before matplotlib: its first import writes to stderr
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError("curves are drawn by matplotlib; type: pip install 'recbole-mm[plot]'") from error

    series = {name: [series_of(run, name) for run in runs] for name in PANELS}
    panels = [name for name, lines in series.items() if any(lines)]
    if not panels:
        raise InputError(f"{result_files[0]}: the run has no epochs (evaluation only?); train with --result_file")
    figure = Figure(figsize=(4.2 * len(panels), 3.2), layout="constrained")
    for axis, name in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels):
        for i, (run, points) in enumerate(zip(runs, series[name])):
            if points:
                axis.plot(*zip(*points), color=f"C{i}", label=f"{run['model']}, seed {run['seed']}")
                axis.plot(*zip(*[p for p in points if p[0] == run["best_epoch"]]), "o", color=f"C{i}")
        axis.set(title=PANELS[name], xlabel="epoch")
        axis.grid(alpha=0.3)
        axis.legend(frameon=False)
    suffix, known = out.suffix.removeprefix(".").lower() or "png", figure.canvas.get_supported_filetypes()
    if suffix not in known:
        raise InputError(f"--out={out}: '.{suffix}' is no format of pictures.{nearest(suffix, known)} Use .png or .svg")
    with writing(out) as temporary:
        figure.savefig(temporary, dpi=110, format=suffix)


def _read_result(path: Path) -> dict:
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
        return {name: run[name] for name in ("model", "seed", "best_epoch", "history")}
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such result file; a run writes one with --result_file={path}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: is not the result of a run; give a file written by --result_file") from error


def series_of(run: dict, name: str) -> list[tuple[int, float]]:
    """(epoch from 1, value) of a validation metric or a training statistic."""
    epochs = [(epoch["epoch"], {**epoch.get("statistics", {}), **epoch.get("valid", {})}) for epoch in run["history"]]
    return [(epoch, values[name]) for epoch, values in epochs if name in values]
