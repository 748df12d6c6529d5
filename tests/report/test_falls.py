"""Metrics against the share of missing vectors: the table and the picture of the suite `missing`."""

from __future__ import annotations

import sys

import pandas as pd
import pytest

from recbole_mm.report.falls import Place, draw_falls, falls_table, place_of, read_falls, write_falls


@pytest.mark.parametrize(
    ("row", "place"),
    [
        ("MMASP, at test time: nothing", Place("MMASP", "at test time", 0)),
        ("MMASP, at test time: all 25%", Place("MMASP", "at test time", 25)),
        ("LATTICE, at test time, defaults: all 100%", Place("LATTICE, defaults", "at test time", 100)),
        ("VBPR, before training 0 %", Place("VBPR", "before training", 0)),
        ("BM3, before training 50 %, zeros, defaults", Place("BM3, defaults", "before training", 50, "zeros")),
        ("A, before training 75 %, tuned (12 trials)", Place("A, tuned (12 trials)", "before training", 75)),
        ("A, before training 75 %, tuned on mine", Place("A, tuned on mine", "before training", 75)),
        ("MMASP, at test time: text 25%", None),
        ("MMASP", None),
    ],
)
def test_a_row_says_where_it_stands(row, place):
    assert place_of(row) == place


def lines() -> pd.DataFrame:
    """Two models, two seeds: A falls from .4 to .2 at test time, B from .3 to .29; rmse is of A alone."""
    found = []
    for seed, more in ((1, 0.0), (2, 0.02)):
        for model, ends in (("A", (0.4, 0.3, 0.2)), ("B, defaults", (0.3, 0.295, 0.29))):
            name, origin = (model.split(",")[0], ", defaults" if "," in model else "")
            for share, value in zip((0, 50, 100), ends):
                shown = "nothing" if share == 0 else f"all {share}%"
                found.append({"row": f"{name}, at test time{origin}: {shown}", "ndcg@10": value + more})
                found.append({"row": f"{name}, before training {share} %{origin}", "ndcg@10": value + more + 0.01})
                if name == "A":
                    found[-1]["rmse"] = 1.3 - value
            found.append({"row": f"{name}, before training 50 %, zeros{origin}", "ndcg@10": 0.1})
        for line in found:
            line.setdefault("seed", seed)
    table = pd.DataFrame(found)
    return table.assign(protocol="ranking", failure=None)


def test_the_table_has_a_line_for_each_case_and_model_and_a_column_for_each_share():
    text = falls_table(read_falls(lines()))
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    assert rows[0] == ["missing", "model", "0 %", "50 %", "100 %"]
    body = {(row[0], row[1]): row[2:] for row in rows[2:7]}
    assert list(body)[:2] == [("at test time", "A"), ("at test time", "B, defaults")]
    assert body["at test time", "A"] == ["**0.4100 ± 0.0141**", "**0.3100 ± 0.0141**", "0.2100 ± 0.0141"]
    assert body["at test time", "B, defaults"][2] == "**0.3000 ± 0.0141**"
    assert rows[6] == ["before training, zeros", "A", "–", "**0.1000 ± 0.0000**", "–"]
    assert "**rmse**, ranking (smaller is better)" in text and "**ndcg@10**, ranking\n" in text


def test_a_failed_run_is_left_out_and_a_single_seed_has_no_deviation():
    one = lines().query("seed == 1").reset_index(drop=True)
    one["failure"] = one["failure"].astype(object)
    one.loc[one["row"].str.startswith("B"), "failure"] = "out of memory"
    falls = read_falls(one)
    assert set(falls["model"]) == {"A"} and "±" not in falls_table(falls)


def test_the_table_of_the_suite_gets_falls_and_picture(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib", reason="matplotlib (extra 'plot') is not installed")
    table = tmp_path / "missing.md"
    lines().to_csv(table.with_suffix(".csv"), index=False)
    table.write_text("# data: missing\n\n`the command`\n\n| row |\n|-----|\n| A |\n\nfoot\n")
    write_falls(table)
    text = table.read_text()
    assert text.startswith("# data: missing\n\n`the command`\n\n") and text.endswith(
        "| row |\n|-----|\n| A |\n\nfoot\n"
    )
    assert text.index("(missing.png)") < text.index("| at test time") < text.index("## All rows") < text.index("| A |")
    assert (tmp_path / "missing.png").read_bytes().startswith(b"\x89PNG")
    assert (
        "before training" in (tmp_path / "missing.svg").read_text() or (tmp_path / "missing.svg").stat().st_size > 9000
    )
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    table.write_text("# data: missing\n\n`the command`\n\n| row |\n")
    write_falls(table)
    assert "No picture: pictures are drawn by matplotlib" in table.read_text()


def test_lines_in_the_picture_have_the_values(tmp_path, monkeypatch):
    figure = pytest.importorskip("matplotlib.figure", reason="matplotlib (extra 'plot') is not installed")
    drawn = []
    save = figure.Figure.savefig
    monkeypatch.setattr(
        figure.Figure, "savefig", lambda self, *given, **more: (drawn.append(self), save(self, *given, **more))
    )
    draw_falls(read_falls(lines()), tmp_path / "falls.png")
    (picture,) = drawn
    titles = [axis.get_title() for axis in picture.axes]
    assert titles[:2] == ["ranking: missing at test time", "ranking: missing before training"]
    by_label = {box.get_label(): box[0] for box in picture.axes[0].containers}
    assert set(by_label) == {"A", "B, defaults"}
    assert list(by_label["A"].get_xdata()) == [0, 50, 100]
    assert by_label["A"].get_ydata() == pytest.approx([0.41, 0.31, 0.21])
