"""What reaches the terminal: every table, no control characters, and what was kept when a command is stopped."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

import recbole_mm
from recbole_mm.cli import run
from recbole_mm.cli.main import main
from recbole_mm.cli.terminal import visible
from recbole_mm.training.checkpoint import load_checkpoint

COMMAND = [sys.executable, "-m", "recbole_mm.cli.main"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(recbole_mm.__file__).parents[1])}
ATTACK = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202eneila"


def test_a_terminal_of_ascii_gets_its_table(planted, tmp_path):
    (tmp_path / "own.yaml").write_text(json.dumps(planted.options(epochs=1)))
    done = subprocess.run(
        [*COMMAND, "run", "--model=MMFS", "--dataset=planted", "--config_files=own.yaml"],
        capture_output=True,
        env={**ENVIRONMENT, "PYTHONIOENCODING": "ascii"},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert b"| rmse " in done.stdout and b"+-----" in done.stdout and b"?" not in done.stdout


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_recommendations_reach_a_terminal_of_ascii(checkpoint_of, recommender, monkeypatch, options):
    recommender.add_movies({"item_id": ["new"], "title": ["Amélie – \x9b"], "text": [[1.0, 0.0, 0.0]]})
    monkeypatch.setattr("recbole_mm.inference.load.load", lambda *given, **named: recommender)
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    assert main(["recommend", "--checkpoint=x.pt", "--likes=new", "--k=3", *options]) == 0
    text = written.getvalue().decode("ascii")
    if options:
        assert "Am\\u00e9lie" not in text or json.loads(text)
        assert len(json.loads(text)["recommendations"]) == 3
    else:
        assert "| title" in text.splitlines()[1] and "Am?lie" in text


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_control_characters_of_titles_are_not_printed(recommender, monkeypatch, capsys, options):
    titles = recommender.movies["title"].tolist()
    recommender.add_movies({"item_id": ["evil"], "title": [ATTACK], "text": [[1.0, 0.0, 0.0]]})
    monkeypatch.setattr("recbole_mm.inference.load.load", lambda *given, **named: recommender)
    assert main(["recommend", "--checkpoint=x.pt", "--likes=m0", f"--k={len(titles)}", *options]) == 0
    out = capsys.readouterr().out
    assert not {letter for letter in out if ord(letter) < 32 or 127 <= ord(letter) < 160} - {"\n"}
    if options:
        assert ATTACK in [row["title"] for row in json.loads(out)["recommendations"]]
    else:
        assert "\\x1b[2J" in out and "\u202e" not in out


def test_visible_leaves_text_alone():
    assert visible("Amélie – 天空の城\n") == "Amélie – 天空の城\n"


SIGNALS = [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]


@pytest.mark.parametrize("number, status, word", SIGNALS)
def test_a_run_that_is_stopped_names_the_checkpoint_to_go_on_from(planted, tmp_path, number, status, word):
    (tmp_path / "own.yaml").write_text(json.dumps(planted.options(epochs=100_000, stopping_step=100_000)))
    restored = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    command = [*COMMAND, "run", "--model=MMFS", "--dataset=planted", "--config_files=own.yaml"]
    with subprocess.Popen(
        command, env=ENVIRONMENT, text=True, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, preexec_fn=restored
    ) as running:
        try:
            end = time.perf_counter() + 90
            while not list(Path("saved").glob("*.last.pt")):
                assert time.perf_counter() < end
                time.sleep(0.1)
            running.send_signal(number)
            error = running.communicate(timeout=30)[1]
        finally:
            running.kill()
    assert running.returncode == status and "Traceback" not in error
    said = error.splitlines()[-1]
    start = f"recbole-mm: {word}; the last epoch is kept; go on with: recbole-mm run --resume="
    assert said.startswith(start)
    checkpoint = said.removeprefix(start)
    epoch = load_checkpoint(checkpoint)["epoch"]
    assert main(["run", f"--resume={checkpoint}", f"--epochs={epoch + 2}"]) == 0
    assert not [path for path in Path("saved").iterdir() if path.suffix != ".pt"]


def test_a_run_that_saved_nothing_says_so(planted, monkeypatch, capsys):
    def stopped(*_) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("recbole_mm.training.session._train", stopped)
    (planted.folder.parent.parent / "own.yaml").write_text(json.dumps(planted.options()))
    assert main(["run", "--model=MMFS", "--dataset=planted", "--config_files=own.yaml"]) == 130
    error = capsys.readouterr().err
    assert error == "recbole-mm: interrupted; no checkpoint was saved yet; the same command starts again\n"


def test_a_full_disk_is_one_line_wherever_it_is_met(monkeypatch, capsys):
    def full(options) -> None:
        raise OSError(28, "No space left on device", "a/b.csv")

    monkeypatch.setattr(run, "run", full)
    assert main(["run", "--model=MMFS"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("recbole-mm: error: a/b.csv: cannot be written (No space left on device)")
    assert error.count("\n") == 1


def test_a_reader_that_has_gone_is_no_traceback():
    done = subprocess.run(
        f"{sys.executable} -m recbole_mm.cli.main run | true", shell=True, capture_output=True, env=ENVIRONMENT
    )
    assert done.stderr == b""
