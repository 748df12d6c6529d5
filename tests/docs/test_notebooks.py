"""The notebooks run, and show what they show in the repository, up to the numbers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "docs" / "notebooks").glob("*.ipynb"))
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells_of(notebook: dict) -> list[dict]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def text_of(output: dict, kind: str = "text/plain") -> str:
    text = output["text"] if output["output_type"] == "stream" else output["data"].get(kind, "")
    return text if isinstance(text, str) else "".join(text)


def form(output: dict) -> tuple:
    """What an output has on every machine.

    Its kind, the names in its table, the first word of each line it prints, and the parameters of a model: other
    defaults have another number of them.
    """
    if output["output_type"] == "stream":
        lines = [line for line in text_of(output).splitlines() if line.strip()]
        sizes = re.findall(r"parameters [\d,]+|[\d,]+ parameters", text_of(output))
        return "stream", output["name"], *(line.split()[0] for line in lines), *sizes
    names = re.findall(r"<th>(.*?)</th>", text_of(output, "text/html"))
    lines = [line for line in text_of(output, "text/markdown").splitlines() if line.startswith("| ")]
    heads = [cell.strip() for line in lines[:1] for cell in line.split("|")]
    rows = [line.split("|")[1].strip() for line in lines]
    return output["output_type"], *sorted(output["data"]), *names, *heads, *rows


@every_notebook
@pytest.mark.slow
def test_a_new_run_has_the_outputs_that_are_kept(path, tmp_path, monkeypatch):
    for package in ("nbclient", "ipykernel"):
        pytest.importorskip(package, reason=f"{package} (extra 'docs') is not installed")
    from run_notebooks import executed

    place = tmp_path / "place"
    place.mkdir()
    # A short path: sockets of processes lie in it, and their paths have at most 107 bytes.
    with TemporaryDirectory() as temporary:
        monkeypatch.setenv("TMPDIR", temporary)
        new, kept = executed(path, place), json.loads(path.read_text("utf-8"))
    assert list(place.iterdir()) == []  # it writes to a temporary folder alone
    for now, before in zip(cells_of(new), cells_of(kept), strict=True):
        assert list(map(form, now["outputs"])) == list(map(form, before["outputs"])), before["source"]


@every_notebook
def test_outputs_are_small_and_name_no_machine(path):
    assert path.stat().st_size < 60_000
    cells = cells_of(json.loads(path.read_text("utf-8")))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert outputs and [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    for output in outputs:
        assert output.get("name") != "stderr" and output["output_type"] != "error"
        assert not re.search(r"/(tmp|home|root|work|usr|Users)/", json.dumps(output))


def test_there_are_four():
    assert [path.stem for path in NOTEBOOKS] == ["benchmark", "cold-start", "first-run", "own-data"]
