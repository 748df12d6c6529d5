from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from recbole_mm.cli import run, tune
from recbole_mm.cli.main import COMMANDS, main
from recbole_mm.training.session import run as train

CHECKOUT = Path(__file__).resolve().parents[2]

OWN_DATA = """
load_col:
  inter: [user_id, item_id, rating, timestamp]
  item: [item_id, movie_title, release_year, class]
modalities: [text, audio]
embedding_size: 8
epochs: 2
"""


def test_own_data_from_the_script_to_the_table_and_the_result_file(planted, tmp_path):
    """The recipe of the README: atomic files, vector files, a yaml that names them."""
    (tmp_path / "own.yaml").write_text(OWN_DATA)
    command = [sys.executable, str(CHECKOUT / "run_recbole_mm.py"), "--model=MMASP", "--dataset=planted"]
    done = subprocess.run(
        [*command, "--config_files=own.yaml", "--result_file=out.json"],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "out.json").read_text())
    for name, value in result["test"].items():
        assert f"│ {name} " in done.stdout and f"{value:.4f}" in done.stdout
    assert "epochs 2" in done.stdout and f"{result['parameters']:,}" in done.stdout
    assert Path(result["checkpoint"]).is_file()


def test_evaluate_and_resume_from_the_command_line(planted, tmp_path, capsys):
    (tmp_path / "own.yaml").write_text(OWN_DATA)
    assert main(["run", "--model=MMFS", "--dataset=planted", "--config_files=own.yaml", "--result_file=a.json"]) == 0
    first = json.loads(Path("a.json").read_text())
    assert main(["run", f"--evaluate={first['checkpoint']}", "--result_file=b.json"]) == 0
    again = json.loads(Path("b.json").read_text())
    assert again["test"] == first["test"] and again["epochs"] == 0
    assert main(["run", f"--resume={first['checkpoint']}", "--epochs=4", "--result_file=c.json"]) == 0
    assert json.loads(Path("c.json").read_text())["epochs"] == 2
    assert "MMFS on planted, protocol ranking" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["run", "--model=MMASPP", "--dataset=planted"], "MMASPP"),
        (["run", "--model=MMASP", "--dataset=nothing"], "dataset 'nothing': no folder"),
        (["run", "--model=MMASP", "--dataset=planted", "--learning_rat=1"], "Did you mean 'learning_rate'?"),
        (["run", "--model=MMASP", "--dataset=planted", "--epochs=many"], "epochs"),
        (["run", "--model=MMASP", "--dataset=planted", "epochs=3"], "epochs=3"),
        (["run", "--model=Pop", "--dataset=planted", "--protocol=u1"], "Pop"),
        (["run", "--model=MMASP", "--dataset=planted", "--config_files=none.yaml"], "none.yaml"),
        (["run", "--evaluate=none.pt"], "none.pt: no such checkpoint"),
        (["prepare", "ml-100k"], "Did you mean 'ml-100k-mm'?"),
        (["curves", "none.json"], "none.json: no such result file"),
    ],
)
def test_wrong_input_is_one_line_and_status_2(planted, capsys, arguments, message):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("recbole-mm: error: ") and error.count("\n") == 1
    assert message in error
    assert not Path("saved").exists() or not list(Path("saved").iterdir())


def test_wrong_command_is_status_2(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["trian"])
    assert stop.value.code == 2
    assert "invalid choice" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_says_how_it_is_used(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    assert f"usage: recbole-mm {command}" in capsys.readouterr().out


def test_a_run_without_options_lists_the_protocols(capsys):
    assert main(["run"]) == 0
    assert "cold-item" in capsys.readouterr().out


def test_help_waits_for_no_import(tmp_path):
    code = """
import sys
from recbole_mm.cli import run, tune
from recbole_mm.cli.main import COMMANDS, main
try:
    main(["--help"])
except SystemExit as stop:
    assert stop.code == 0
assert not {"torch", "recbole", "pandas", "numpy"} & set(sys.modules), sorted(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=CHECKOUT)
    assert done.returncode == 0, done.stderr
    assert all(f"    {name}" in done.stdout for name in COMMANDS)


def test_options_of_a_run_arrive_as_they_were_typed(monkeypatch):
    typed = ["--model=MMFS", "--config_files=a.yaml b.yaml", "--topk=[1, 2]", "--state=ERROR", "--seed=-3"]
    monkeypatch.setattr(run, "run", lambda options: options.run_options)
    assert main(["run", *typed]) == typed
    monkeypatch.setattr(tune, "run", lambda options: (options.trials, options.run_options))
    assert main(["tune", *typed[:2], "--trials=3", *typed[2:]]) == (3, typed)


def test_only_some_commands_take_options_of_a_run(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["curves", "a.json", "--epochs=3"])
    assert stop.value.code == 2
    assert "unrecognized arguments: --epochs=3" in capsys.readouterr().err


def test_an_interrupted_command_is_status_130(monkeypatch, capsys):
    monkeypatch.setattr(run, "run", lambda options: (_ for _ in ()).throw(KeyboardInterrupt))
    assert main(["run", "--model=MMFS"]) == 130
    assert capsys.readouterr().err == "recbole-mm: interrupted\n"


def test_curves_leave_no_half_picture(planted, tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib", reason="matplotlib (extra 'plot') is not installed")
    from matplotlib.figure import Figure

    train("MMFS", planted.name, config_dict=planted.options(epochs=1, result_file="out.json"))
    Path("curves.png").write_bytes(b"an earlier picture")
    assert main(["curves", "out.json", "--out=curves.pgn"]) == 2
    assert "'.pgn' is no format of pictures. Did you mean 'png'?" in capsys.readouterr().err

    def full_disk(self, path, **more) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Figure, "savefig", full_disk)
        assert main(["curves", "out.json"]) == 2
    assert "curves.png: cannot be written (No space left on device)" in capsys.readouterr().err
    assert Path("curves.png").read_bytes() == b"an earlier picture"
    assert not list(Path().glob(".curves*"))
    assert main(["curves", "out.json"]) == 0 and Path("curves.png").read_bytes().startswith(b"\x89PNG")


def test_curves_draw_every_metric_that_a_run_has(planted, tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib (extra 'plot') is not installed")
    (tmp_path / "own.yaml").write_text(OWN_DATA)
    main(["run", "--model=MMASP", "--dataset=planted", "--config_files=own.yaml", "--result_file=a.json"])
    assert main(["curves", "a.json", "--out=pictures/curves.svg"]) == 0
    # Glyphs are drawn as paths in an SVG, but each text stands beside them in a comment.
    drawn = Path("pictures/curves.svg").read_text()
    for title in ("validation RMSE", "validation NDCG@10", "validation genre mAP", "discriminator accuracy"):
        assert f"<!-- {title} -->" in drawn
