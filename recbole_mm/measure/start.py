"""Seconds and memory from the start of the process to the first batch: the first time, and with the cache of ratings.

    python -m recbole_mm.measure.start --data_path=DIR/dataset --dataset=mmtf-14k --modalities avf_avg

Each start is a fresh process: the first one parses the ratings and keeps them, the second one reads what is kept.
"Processor" is the time that the process computed, user and system: it hardly depends on what else the machine does.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter, process_time

STARTS = ("first", "second")


def measure(
    data_path: Path, dataset: str, model: str, modalities: list[str], data_only: bool = False
) -> list[dict[str, float]]:
    """One start of each kind: seconds that passed and of the processor, by part, and the peak of memory in MB.

    Args:
        data_only: stop when the data are split; no model is built.
    """
    with tempfile.TemporaryDirectory() as cache:
        return [_in_fresh_process(data_path, dataset, model, cache, modalities, data_only) for _ in STARTS]


def _in_fresh_process(
    data_path: Path, dataset: str, model: str, cache: str, modalities: list[str], data_only: bool
) -> dict[str, float]:
    options = {"data_path": str(data_path), "show_progress": False, "state": "WARNING", "ratings_cache": cache}
    if modalities:
        options["modalities"] = modalities
    # The file's own path, not its module: what it imports is then counted too.
    command = [sys.executable, __file__, "--worker", model, dataset, json.dumps(options), *["data"] * data_only]
    finished = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(finished.stdout.splitlines()[-1])


def _worker(model: str, dataset: str, options: str, *last: str) -> None:
    start = perf_counter(), 0.0
    from recbole_mm.config.config import Config
    from recbole_mm.environment import peak_rss_mb
    from recbole_mm.training import session

    marks = {"imports": (perf_counter(), process_time())}
    config = Config(model, dataset, config_dict=json.loads(options))
    prepare_data = session.prepare_data

    def noted(*given):
        found = prepare_data(*given)
        marks["data"] = perf_counter(), process_time()
        return found

    if last:
        _, split = noted(config)
    else:
        session.prepare_data = noted
        prepared = session.prepare_session(config)
        next(iter(prepared.train_data))
        split = prepared.split
        marks["model"] = perf_counter(), process_time()
    result: dict[str, float] = {"rows": len(split.train), "peak_mb": peak_rss_mb()}
    for name, mark in marks.items():
        result |= {f"{name}_passed": mark[0] - start[0], f"{name}_processor": mark[1] - start[1]}
        start = mark
    print(json.dumps(result))


def main(arguments: list[str] | None = None) -> list[dict[str, float]]:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(prog="python -m recbole_mm.measure.start", description=__doc__.splitlines()[0])
    parser.add_argument("--data_path", type=Path, required=True)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--model", default="MMFS")
    parser.add_argument("--modalities", nargs="*", default=[])
    parser.add_argument("--data_only", action="store_true", help="stop before the model is built")
    options = parser.parse_args(arguments)
    results = measure(options.data_path, options.dataset, options.model, options.modalities, options.data_only)
    parts = ("imports", "data") if options.data_only else ("imports", "data", "model")
    print(f"{options.model}, {results[0]['rows']:,} training rows, {os.cpu_count()} cores; seconds, passed (processor)")
    print(f"{'start':<9}" + "".join(f"{part:>16}" for part in (*parts, "all")) + f"{'peak MB':>9}")
    for start, result in zip(STARTS, results):
        pairs = [(result[f"{part}_passed"], result[f"{part}_processor"]) for part in parts]
        pairs.append((sum(passed for passed, _ in pairs), sum(processor for _, processor in pairs)))
        shown = "".join(f"{f'{passed:.1f} ({processor:.1f})':>16}" for passed, processor in pairs)
        print(f"{start:<9}{shown}{result['peak_mb']:>9,.0f}")
    return results


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        worker, sys.argv = sys.argv[2:], sys.argv[:1]  # RecBole's Config reads them
        _worker(*worker)
    else:
        main()
