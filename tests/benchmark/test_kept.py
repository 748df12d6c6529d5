from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from recbole_mm.benchmark.kept import Kept, read_kept, read_rows, write_kept
from recbole_mm.benchmark.table import Failure, read_table, user_totals_of
from recbole_mm.errors import InputError
from recbole_mm.report.significance import UserTotals


def cell(name: str, users: dict, lines: list | None = None, **place) -> Kept:
    given = {"row": "ours", "protocol": "u1", "seed": 1, "model": "MMFS", "date": "2026-11-28", **place}
    return Kept(name, **given, lines=lines or [{"valid": {"rmse": 0.9}, "test": {"rmse": 1.0}}], users=users)


def totals(number: int, seed: int = 0, counts: int = 50) -> UserTotals:
    random = np.random.default_rng(seed)
    users = np.sort(random.permutation(np.array([b"%d" % user for user in range(2 * number)]))[:number])
    of_each = random.integers(1, counts, number)
    return UserTotals(users, random.gamma(of_each, 0.8), of_each)


def test_cells_come_back_as_they_were(tmp_path):
    cells = [
        cell("a-u1-1-0", {"": {"rmse": totals(5), "ndcg@10": totals(4, 1)}}),
        cell("b-u1-1-1", {"1 to 5": {"rmse": totals(3, 2)}, "0": {"rmse": totals(7, 3)}}, row="buckets", seed=2),
        cell("c-u1-1-2", {}, [{"row": "text", "valid": {}, "test": {"genre_map": None}}]),
    ]
    write_kept(tmp_path, "small", cells)
    found = read_kept(tmp_path)
    assert list(found) == [one.cell for one in cells] and read_kept(tmp_path, "other") == {}
    for one in cells:
        again = found[one.cell]
        assert (again.row, again.seed, again.lines) == (one.row, one.seed, one.lines)
        assert {line: set(metrics) for line, metrics in again.users.items()} == {
            line: set(metrics) for line, metrics in one.users.items()
        }
        for line, metrics in one.users.items():
            for metric, kept in metrics.items():
                back = again.users[line][metric]
                assert (back.users == kept.users).all() and (back.counts == kept.counts).all()
                np.testing.assert_allclose(back.totals, kept.totals, rtol=6e-8)  # the rounding of float32


def test_cells_of_the_largest_suite_take_at_most_2_mb(tmp_path):
    """rating of ml-100k-mm: 30 rows, 5 folds of 459 to 943 users, 3 seeds."""
    number = {"u1": 459, "u2": 653, "u3": 869, "u4": 923, "u5": 927}
    line = {"valid": {"rmse": 0.912345, "mae": 0.7}, "test": {"rmse": 0.9, "mae": 0.7}, "versions": "v" * 150}
    line |= {"parameters": 1, "fit_seconds": 9.123, "machine": "Linux x86_64, 2 cores", "peak_mb": 600.25}
    cells = [
        cell(f"m{row}-{fold}-{seed}-0123456789ab", {"": {"rmse": totals(users, row)}}, [line], protocol=fold, seed=seed)
        for row in range(30)
        for fold, users in number.items()
        for seed in (1, 2, 3)
    ]
    write_kept(tmp_path, "rating", cells)
    assert sum(path.stat().st_size for path in (tmp_path / "cells").iterdir()) < 2_000_000


@pytest.mark.parametrize("file, reason", [("small.jsonl", "line 1: is not a cell"), ("small.npz", "is not what users")])
def test_a_damaged_file_is_an_error_that_names_it(tmp_path, file, reason):
    write_kept(tmp_path, "small", [cell("a", {"": {"rmse": totals(5)}})])
    (tmp_path / "cells" / file).write_bytes(b"{}\n")
    with pytest.raises(InputError, match=f"{file}.*{reason}"):
        read_kept(tmp_path)


def test_a_bucket_is_a_part_of_the_protocol_and_a_failed_row_is_not_tested():
    users = {"0": {"rmse": totals(3)}, "1 to 5": {"rmse": totals(3, 1)}}
    lines = [{"bucket": name, "valid": {}, "test": {"rmse": value}} for name, value in (("0", 1.1), ("1 to 5", 1.0))]
    cells = [cell("a", users, lines), cell("b", users, lines, row="broken")]
    failure = Failure("broken", "u1", 2, "c", "no memory")
    table = read_table([*cells, failure], "test")
    assert table["protocol"].tolist() == ["u1, 0", "u1, 1 to 5"] * 2 + ["u1"]
    assert table["failure"].tolist() == [None] * 4 + ["no memory"]
    found = user_totals_of([*cells, failure])
    assert {protocol: set(rows) for protocol, rows in found.items()} == {"u1, 0": {"ours"}, "u1, 1 to 5": {"ours"}}
    assert found["u1, 0"]["ours"]["u1", 1]["rmse"] is users["0"]["rmse"]


def test_rows_that_share_a_cell_are_all_there_again(tmp_path):
    shared = cell("a", {"": {"rmse": totals(5)}})
    write_kept(tmp_path, "small", [shared, replace(shared, row="the same, defaults")])
    again = read_rows(tmp_path, "small")
    assert [one.row for one in again] == [shared.row, "the same, defaults"]
    assert all(len(one.users[""]["rmse"].users) == 5 for one in again), "the users of a cell are kept once"
