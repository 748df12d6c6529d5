"""Seconds and memory to load wide vectors: RecBole's own reader compared with ours.

    python -m recbole_mm.measure.loading                              13,623 items of 4,096 values, as in MMTF-14K
    python -m recbole_mm.measure.loading --items 1000 --dimension 512

Each reader runs in a fresh process. Seconds and peak memory are for loading only, without imports.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from recbole_mm.data.vectors import read_vectors, write_vectors, write_vectors_npz
from recbole_mm.environment import peak_rss_mb

READERS = {
    "recbole": "RecBole, float_seq in the .item file",
    "text": "recbole_mm, text",
    "npz": "recbole_mm, npz",
}


def main(arguments: list[str] | None = None) -> dict[str, dict[str, float]]:
    """Write the files, run every reader once, print the table; returns seconds and peak_mb by reader."""
    parser = argparse.ArgumentParser(prog="python -m recbole_mm.measure.loading", description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=13_623)
    parser.add_argument("--dimension", type=int, default=4_096)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        _in_fresh_process("write", Path(folder), options.items, options.dimension)
        results = {reader: _in_fresh_process(reader, Path(folder)) for reader in READERS}
    print(f"{options.items:,} items x {options.dimension:,} values      seconds   peak MB   times faster")
    for reader, result in results.items():
        ratio = results["recbole"]["seconds"] / result["seconds"]
        print(f"{READERS[reader]:<38} {result['seconds']:>8.2f} {result['peak_mb']:>9.0f} {ratio:>14.1f}")
    return results


def _in_fresh_process(*arguments: object) -> dict[str, float]:
    command = [
        sys.executable,
        "-c",
        "from recbole_mm.measure import loading; loading.measure_in_this_process()",
        *map(str, arguments),
    ]
    finished = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(finished.stdout.splitlines()[-1])


def measure_in_this_process() -> None:
    """Measure what the command line asks for and print it as JSON: `measure` calls this in a new process."""
    task, folder, *size = sys.argv[1:]
    sys.argv = sys.argv[:1]  # RecBole's Config reads it
    load = {"write": _write, "recbole": _recbole, "text": _text, "npz": _npz}[task](Path(folder), *map(int, size))
    before = peak_rss_mb()
    start = time.perf_counter()
    loaded = load()  # noqa: F841 - in memory until the peak is read
    print(json.dumps({"seconds": time.perf_counter() - start, "peak_mb": peak_rss_mb() - before}))


def _write(folder: Path, items: int, dimension: int) -> Callable[[], object]:
    def write() -> None:
        values = np.random.default_rng(0).standard_normal((items, dimension), dtype=np.float32)
        tokens = [str(item) for item in range(1, items + 1)]
        for name in ("recbole", "text", "npz"):
            (folder / name).mkdir()
        write_vectors(folder / "text" / "text.video", "video", tokens, values, decimals=6)
        os.link(folder / "text" / "text.video", folder / "recbole" / "recbole.item")
        ratings = "".join(f"u{item % 100}\t{item}\n" for item in range(1, items + 1))
        (folder / "recbole" / "recbole.inter").write_text("user_id:token\titem_id:token\n" + ratings)
        write_vectors_npz(folder / "npz" / "npz.video.npz", tokens, values)

    return write


def _recbole(folder: Path) -> Callable[[], object]:
    from recbole.config import Config
    from recbole.data.dataset import Dataset

    columns = {"inter": ["user_id", "item_id"], "item": ["item_id", "video_vec"]}
    config = Config("BPR", "recbole", config_dict={"data_path": str(folder), "load_col": columns, "gpu_id": ""})
    return lambda: Dataset(config)


def _text(folder: Path) -> Callable[[], object]:
    return lambda: read_vectors(folder / "text", "text", "video")


def _npz(folder: Path) -> Callable[[], object]:
    return lambda: read_vectors(folder / "npz", "npz", "video")


if __name__ == "__main__":
    main()
