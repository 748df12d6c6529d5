from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from functools import partial
from pathlib import Path

import pytest

import recbole_mm
from recbole_mm.cli.demo import create_server
from recbole_mm.cli.main import main

pytest.importorskip("flask", reason="the extra 'demo' is not installed")
pytest.importorskip("waitress", reason="the extra 'demo' is not installed")


@pytest.mark.parametrize("absent", ["flask", "waitress"])
def test_a_missing_extra_is_one_line(monkeypatch, capsys, absent):
    monkeypatch.setitem(sys.modules, absent, None)
    assert main(["demo", "--checkpoint=none.pt"]) == 2
    assert f"the page needs {absent}: pip install 'recbole-mm[demo]'" in capsys.readouterr().err


def test_a_wrong_checkpoint_is_refused_as_by_recommend(tmp_path, capsys):
    (tmp_path / "wrong.pt").write_text("hello")
    for path in (tmp_path / "wrong.pt", tmp_path / "none.pt"):
        refusals = []
        for command in (["demo"], ["recommend", "--user=1"]):
            assert main([*command, f"--checkpoint={path}"]) == 2
            refusals.append(capsys.readouterr().err)
        assert refusals[0] == refusals[1] and refusals[0].count("\n") == 1


def test_a_port_that_is_taken_or_none(checkpoint_of, capsys):
    checkpoint = checkpoint_of("MMASP")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for port, message in ((taken.getsockname()[1], "in use; give another"), (70_000, "must be from 0 to 65535")):
            capsys.readouterr()
            assert main(["demo", f"--checkpoint={checkpoint}", f"--port={port}"]) == 2
            assert f"--port={port}: " in (error := capsys.readouterr().err) and message in error


@pytest.mark.parametrize("host, warned", [("127.0.0.1", False), ("localhost", False), ("0.0.0.0", True)])
def test_listens_at_this_machine_and_warns_of_more(checkpoint_of, capsys, host, warned):
    options = argparse.Namespace(checkpoint=checkpoint_of("MMASP"), data_path=None, host=host, port=0)
    capsys.readouterr()
    create_server(options).close()
    assert ("everybody who can reach this machine" in capsys.readouterr().err) == warned


@pytest.mark.slow
def test_command_serves_until_interrupted(checkpoint_of):
    checkpoint = checkpoint_of("MMASP")
    command = [sys.executable, "-m", "recbole_mm.cli.main", "demo", f"--checkpoint={checkpoint}", "--port=0"]
    environment = {**os.environ, "PYTHONPATH": str(Path(recbole_mm.__file__).parents[1])}
    # A shell that starts the tests in the background has them, and what they start, ignore interrupts.
    restored = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, preexec_fn=restored) as running:
        try:
            address = running.stdout.readline().split()[0]
            assert address.startswith("http://127.0.0.1:")
            with urllib.request.urlopen(address) as page:
                assert "<h1>Movies for you</h1>" in page.read().decode()
            running.send_signal(signal.SIGINT)
            assert running.wait(60) == 0
        finally:
            running.kill()


@pytest.mark.parametrize("host", ["no.such.host.invalid", "a b", "x" * 300, "é" * 70])
def test_a_host_without_an_address_is_one_line(capsys, host):
    assert main(["demo", "--checkpoint=none.pt", f"--host={host}"]) == 2
    error = capsys.readouterr().err
    assert f"--host={host}: has no address" in error and error.count("\n") == 1
