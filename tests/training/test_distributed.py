"""Training in several processes: real ones, on the CPU. No test waits for ever: an alarm ends it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import ranks
import torch
from ranks import Options

from recbole_mm.cli.main import main
from recbole_mm.config.config import Config
from recbole_mm.config.sources import write_arguments
from recbole_mm.errors import InputError
from recbole_mm.inference.load import load
from recbole_mm.training import distributed
from recbole_mm.training.distributed import Processes, call
from recbole_mm.training.session import prepare_session, run

CHECKOUT = Path(__file__).resolve().parents[2]
OURS = ("MMFS", "MMSP", "MMASP")
# An odd batch, so that two ranks share it unevenly; 1440 rows leave a last batch of 26.
FULL = {"nproc": 2, "epochs": 4, "train_batch_size": 101, "stopping_step": 100}
# Nothing is drawn, and a step is linear in the gradient: two processes must do what one does.
DETERMINISTIC = {
    "tasks": ["rating"],
    **dict.fromkeys(("dropout_prob", "modality_dropout", "id_dropout", "implicit_dropout"), 0.0),
    **{"learner": "sgd", "learning_rate": 0.1, "weight_decay": 0.0, "epochs": 2, "train_batch_size": 101},
}
SECONDS = 300


@contextmanager
def alarm() -> Iterator[None]:
    """What takes longer is an error."""

    def give_up(*_):
        raise TimeoutError(f"after {SECONDS} seconds")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(autouse=True)
def _no_test_waits_for_ever():
    with alarm():
        yield


@pytest.fixture(scope="module")
def recorded(planted_once, tmp_path_factory) -> dict[str, list]:
    """Model -> what each of two ranks saw in training it; ``rating``: MMFS, deterministic. And two more calls."""
    folder = tmp_path_factory.mktemp("ranks")
    planned = [{"model": model, "options": planted_once.options(**FULL)} for model in OURS]
    config = Config("MMFS", planted_once.name, config_dict=planned[0]["options"])
    (folder / "rating").mkdir()
    deterministic = [{"model": "MMFS", "options": planted_once.options(**DETERMINISTIC, nproc=2)}]
    with alarm(), pytest.MonkeyPatch.context() as patch:  # set up before the alarm of the test
        patch.chdir(folder)
        calls = [
            ("record", str(folder), planned),
            ("record", str(folder / "rating"), deterministic),
            ("resume", "MMASP", planned[-1]["options"]),
            ("average", [[4.0, 1.0, None], [1.0, None, None]], [1, 2]),
        ]
        *_, resumed, averaged = call(ranks.several, config, calls)
    found = {model: [torch.load(folder / f"{model}-{rank}.pt") for rank in (0, 1)] for model in OURS}
    found["rating"] = [torch.load(folder / "rating" / f"MMFS-{rank}.pt") for rank in (0, 1)]
    return {**found, "resumed": resumed, "averaged": averaged}


# ---------------------------------------------------------------------- the parameters and the rows


@pytest.mark.parametrize("model", OURS)
def test_both_ranks_have_the_same_parameters_and_these_have_changed(recorded, model):
    one, other = recorded[model]
    assert all(torch.equal(one["last"][name], other["last"][name]) for name in one["last"])
    assert all(torch.equal(*pair) for pair in zip(one["trained"], other["trained"]))
    unchanged = {name for name in one["last"] if torch.equal(one["last"][name], one["first"][name])}
    assert unchanged <= {"tasks.rating.profiles.empty"}


@pytest.mark.parametrize("model", OURS)
def test_each_row_is_used_once_in_an_epoch(recorded, model):
    one, other = recorded[model]
    whole = sorted(map(tuple, one["train"].tolist()))
    orders = []
    for first, second in zip(one["epochs"], other["epochs"]):
        assert sorted(map(tuple, torch.cat([first, second]).tolist())) == whole
        orders.append(first.tolist())
    assert orders[0] != orders[1]
    pairs = list(zip(one["sizes"], other["sizes"]))
    assert [sum(pair) for pair in pairs] == [101] * 14 + [26] and pairs[0] == (50, 51)


def test_ranks_draw_numbers_of_their_own(recorded):
    one, other = recorded["MMASP"]
    assert len(one["draws"]) == len(other["draws"])
    assert not any(torch.equal(*pair) for pair in zip(one["draws"], other["draws"]))


def test_two_processes_take_the_steps_of_one(recorded, planted, tmp_path):
    alone = Config("MMFS", planted.name, config_dict=planted.options(**DETERMINISTIC))
    expected = ranks.fit_and_save(alone, tmp_path)
    assert expected["sizes"] == [101] * 14 + [26]
    for found in recorded["rating"]:
        for name, parameter in expected["last"].items():
            torch.testing.assert_close(found["last"][name], parameter, rtol=1e-4, atol=1e-5)
    moved = max((expected["last"][n] - expected["first"][n]).abs().max() for n in expected["last"])
    assert moved > 0.05, "the comparison is of weights that were trained"


def test_both_ranks_know_the_metrics_and_the_losses_of_the_whole(recorded):
    for one, other in (recorded[name] for name in (*OURS, "rating")):
        for epoch, of_other in zip(one["history"], other["history"], strict=True):
            assert epoch["losses"] == of_other["losses"] and epoch["statistics"] == of_other["statistics"]
            assert epoch["valid"]["rmse"] == of_other["valid"]["rmse"]


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("rows", [1, 2, 6, 7, 8, 100])
def test_shares_make_up_the_batch(rows, count):
    batch = torch.arange(rows)
    shares = [Processes(rank, count).shard(batch) for rank in range(count)]
    if rows < count:
        assert all(torch.equal(share, batch) for share in shares)
        return
    assert torch.equal(torch.cat(shares), batch)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


# ---------------------------------------------------------------------- runs


def test_a_run_of_two_processes_ends_in_one_result_that_one_process_confirms(planted, capfd):
    options = planted.options(**{**FULL, "epochs": 2})
    command = ["run", "--model=MMASP", "--dataset=planted", *write_arguments(options)]
    assert main([*command, "--result_file=two.json", "--predictions_file=two.npz"]) == 0
    printed = capfd.readouterr()
    assert printed.out.count("MMASP on planted, protocol ranking") == 1
    assert printed.err.count("epoch 1 training") == 1
    assert len(list(Path("saved").iterdir())) == len(list(Path("log/MMASP").iterdir())) == 1
    assert len(list(Path("log_tensorboard").iterdir())) == 1 and Path("two.npz").is_file()
    two = json.loads(Path("two.json").read_text())
    assert two["config"]["nproc"] == 2 and two["config"]["train_batch_size"] == 101
    assert two["config"]["genre_batch_size"] == options["genre_batch_size"]

    again = run(arguments=[f"--evaluate={two['checkpoint']}"])
    assert again.test == two["test"] and again.valid == two["valid"]
    assert "nproc" not in again.config
    assert len(load(two["checkpoint"]).recommend("u1", 5)) == 5


def torchrun(*options: str) -> list[str]:
    return [sys.executable, "-m", "torch.distributed.run", *options, str(CHECKOUT / "run_recbole_mm.py")]


def test_two_hosts_by_torchrun(planted, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    hosts = torchrun("--nnodes=2", "--nproc-per-node=1", "--rdzv-backend=c10d", f"--rdzv-endpoint=127.0.0.1:{port}")
    command = [*hosts, "--model=MMFS", "--dataset=planted", *write_arguments(planted.options(epochs=2))]
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        folder.mkdir()
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(CHECKOUT)}
    both = [
        subprocess.Popen([*command, "--result_file=out.json"], cwd=folder, env=environment, **pipes)
        for folder in folders
    ]
    try:
        printed = [host.communicate(timeout=SECONDS / 2) for host in both]
    finally:
        for host in both:
            host.kill()
    assert [host.returncode for host in both] == [0, 0], printed
    assert sorted(text.count("MMFS on planted") for text, _ in printed) == [0, 1]
    assert sorted(len(list((folder / "saved").iterdir())) for folder in folders) == [0, 1]
    (result,) = (folder / "out.json" for folder in folders if (folder / "out.json").is_file())
    two = json.loads(result.read_text())
    assert two["config"]["nproc"] == 2

    again = run(arguments=[f"--evaluate={result.parent / two['checkpoint']}"])
    assert again.test == two["test"] and again.valid == two["valid"]


@pytest.mark.parametrize("rank, how", [(0, "--standalone"), (1, "--rdzv-backend=static")])
def test_a_killed_rank_is_restarted_and_the_run_ends_as_if_undisturbed(planted, rank, how):
    options = planted.options(epochs=8, train_batch_size=101, stopping_step=100)
    whole = run("MMASP", planted.name, config_dict={**options, "nproc": 2, "checkpoint_dir": "whole"})
    command = [*torchrun("--nproc-per-node=2", "--max-restarts=1", how), "--model=MMASP", "--dataset=planted"]
    command += [*write_arguments(options), "--resume=auto", "--result_file=out.json"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(CHECKOUT)}
    if how != "--standalone":
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            command.insert(3, f"--master-port={free.getsockname()[1]}")
    with Path("log.txt").open("w") as log:
        started = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        while not list(Path("saved").glob("*.last.pt")):
            assert started.poll() is None, Path("log.txt").read_text()
            time.sleep(0.02)
        ranks_started = [
            int(child) for child in Path(f"/proc/{started.pid}/task/{started.pid}/children").read_text().split()
        ]
        os.kill(ranks_started[rank], signal.SIGKILL)
        assert started.wait(timeout=SECONDS / 2) == 0, Path("log.txt").read_text()
    finally:
        started.kill()
    again = json.loads(Path("out.json").read_text())
    assert again["epochs"] < 8, "it was killed while it trained, and began anew with a later epoch"
    assert again["test"] == whole.test and again["valid"] == whole.valid and again["best_epoch"] == whole.best_epoch


def test_evaluation_is_shared_by_several_processes(planted, capfd):
    checkpoint = run("MMASP", planted.name, config_dict=planted.options(epochs=1)).checkpoint
    metrics = "--metrics=[RMSE, MAE, Recall, NDCG, GAUC, ItemCoverage, rated_ndcg, genre_map]"
    one, two = (run(arguments=[f"--evaluate={checkpoint}", metrics, f"--nproc={count}"]) for count in (1, 2))
    assert one.test == two.test and one.valid == two.valid and "gauc" in two.test


# ---------------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize(
    "how, kind, message",
    [
        ("input", InputError, "^the input of rank 1 is wrong$"),
        ("error", RuntimeError, "(?s)^rank 1 failed:.*ZeroDivisionError: a mistake of rank 1"),
        ("killed", RuntimeError, "^rank 1 was ended by SIGKILL"),
    ],
)
def test_a_rank_that_dies_ends_the_run_with_its_reason(how, kind, message):
    with pytest.raises(kind, match=message):
        call(ranks.fail, Options(), how)


def test_what_goes_on_from_a_checkpoint_ends_where_a_training_that_never_stopped_does(recorded):
    whole = recorded["MMASP"][0]["history"]
    assert [epoch["epoch"] for epoch in recorded["resumed"]] == [3, 4]
    assert recorded["resumed"][-1]["losses"] == pytest.approx(whole[-1]["losses"], rel=1e-4)
    assert recorded["resumed"][-1]["valid"] == pytest.approx(whole[-1]["valid"], abs=2e-4)


def test_gradients_are_weighted_by_rows_and_stay_absent_where_no_rank_has_one(recorded):
    assert recorded["averaged"] == pytest.approx([(4 * 1 + 1 * 2) / 3, 1 / 3, None])


@pytest.mark.parametrize(
    "options, fingerprints, rows, message",
    [
        (
            [{"epochs": 3}, {"epochs": 4}],
            ["a", "a"],
            9,
            "option 'epochs' is 3 on the first host, but 4 on that of rank 1",
        ),
        ([{"data_path": "x"}, {"data_path": "y"}], ["a", "b"], 9, "the data of rank 1 are not those of rank 0"),
        ([{}, {}], ["a", "a"], 1, "2 processes .nproc or torchrun. for 1 training rows"),
    ],
)
def test_ranks_of_different_options_or_data_are_refused(monkeypatch, options, fingerprints, rows, message):
    found = [{"options": {k: v for k, v in one.items() if k not in distributed.OF_HOST}} for one in options]
    both = [{**one, "data": data} for one, data in zip(found, fingerprints)]
    monkeypatch.setattr(Processes, "_gather", lambda self, value: both)
    with pytest.raises(InputError, match=message):
        Processes(0, 2).check_same(options[0], fingerprints[0], rows)


def test_fewer_gpus_than_processes_are_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(InputError, match="2 processes of this host take a GPU each, but 1 can be seen"):
        call(ranks.fail, Options(device=torch.device("cuda"), gpu_id="0"), "input")


def test_a_session_outside_of_a_run_is_in_one_process(planted):
    with pytest.raises(InputError, match="several processes are for run alone"):
        prepare_session(Config("MMFS", planted.name, config_dict=planted.options(nproc=2)))
