"""Training in several processes, on one host or more: gloo on CPUs, nccl on GPUs (docs/distributed.md).

RecBole's own form needs CUDA, pads the rows with repetitions, and reports an average of the processes' metrics, which
is not the metric of the whole. Its switch for it, ``single_spec``, therefore stays on, and all of it is here:

    rows      each rank takes its part of the batch that one process would take; gradients are averaged over the rows
    draws     movies and users that the other tasks draw: each rank draws its part, with random numbers of its own
    weights   those of rank 0 at the start; equal gradients keep them equal, and so their moving average
    metrics   rank 0 evaluates and tells the others, so that they stop at the same epoch
    files     rank 0 writes the log, the checkpoint and the result

Words are torch.distributed's: ranks count the processes of all hosts from 0, local ranks those of one host.
"""

from __future__ import annotations

import json
import logging
import os
import traceback
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.connection import wait
from pathlib import Path
from signal import Signals
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import multiprocessing

from recbole_mm.config.processes import process_count
from recbole_mm.errors import InputError

# How long the processes wait for each other at the start: someone types the commands of the other hosts.
PATIENCE = timedelta(minutes=10)
# How long one rank may be busy alone, as rank 0 is while it evaluates. That a rank has died is known at once.
LONGEST_WAIT = timedelta(hours=6)
# Options that may differ between hosts.
OF_HOST = {
    *(
        "checkpoint_dir",
        "data_path",
        "gpu_id",
        "log_wandb",
        "predictions_file",
        "result_file",
        "resume",
        "show_progress",
    ),
    *("state", "use_gpu", "worker"),
}

T = TypeVar("T")


# ---------------------------------------------------------------------- what the ranks do together


@dataclass(frozen=True)
class Processes:
    """The processes that train one model, seen from one of them. If it is the only one, nothing here does anything.

    Attributes:
        rank: number of this process.
        world_size: number of all processes.
    """

    rank: int = 0
    world_size: int = 1

    def shard(self, batch):
        """The rank's part of a batch (anything with a length that can be sliced); the parts make up the batch.

        They differ by one row at most. Of fewer rows than ranks each rank takes all: that leaves their mean as it is,
        and no rank without a loss.
        """
        rows = len(batch)
        if self.world_size == 1 or rows < self.world_size:
            return batch
        return batch[rows * self.rank // self.world_size : rows * (self.rank + 1) // self.world_size]

    def shard_draws(self, tasks: Iterable[Any]) -> None:
        """Let each rank draw its part of a step's movies and users, so that the options are those of all together."""
        for task in tasks:
            if self.world_size > 1 and task.batch_size is not None:
                task.batch_size = -(-task.batch_size // self.world_size)

    def broadcast(self, model: torch.nn.Module) -> None:
        """Give every rank the parameters of rank 0."""
        if self.world_size > 1:
            for parameter in model.parameters():
                dist.broadcast(parameter.detach(), src=0)

    def average_gradients(self, parameters: Iterable[torch.nn.Parameter], rows: int) -> None:
        """Replace each gradient by its mean over the ranks, weighted with the rows that each has computed it from.

        A loss that is a mean over a rank's rows becomes the mean over the rows of all ranks. A parameter that no rank's
        loss reaches keeps no gradient, so that the optimiser leaves it alone as in one process.
        """
        if self.world_size == 1:
            return
        parameters = [parameter for parameter in parameters if parameter.requires_grad]
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        reached = gradients[0].new_tensor([parameter.grad is not None for parameter in parameters])
        weighted = torch.cat([gradient.reshape(-1) for gradient in gradients]).mul_(rows)
        sums = torch.cat([weighted, reached, reached.new_tensor([rows])])
        dist.all_reduce(sums)
        *means, reached, rows = sums.split([*(p.numel() for p in parameters), len(parameters), 1])
        for parameter, mean, times in zip(parameters, means, reached.tolist()):
            parameter.grad = mean.div_(rows).view_as(parameter) if times else None

    def mean(self, values: dict[str, float]) -> dict[str, float]:
        """Mean over the ranks of each of some numbers for the log."""
        found = self._gather(values)
        return {name: sum(one[name] for one in found) / self.world_size for name in values}

    def on_rank_zero(self, function: Callable[[], T]) -> T:
        """What ``function`` returns to rank 0, the only one that calls it."""
        if self.world_size == 1:
            return function()
        returned = [function() if self.rank == 0 else None]
        dist.broadcast_object_list(returned, src=0)
        return returned[0]

    def check_same(self, options: Mapping[str, Any], data_fingerprint: str, rows: int) -> None:
        """Refuse to train one model on different data or with different options.

        Args:
            options: `Config.plain` of this rank.
            data_fingerprint: of the data this rank has read.
            rows: how many it trains on.

        Raises:
            InputError: naming the ranks and the option.
        """
        if rows < self.world_size:
            raise InputError(f"option 'nproc': {self.world_size} processes for {rows} training rows; use fewer")
        kept = {name: value for name, value in options.items() if name not in OF_HOST}
        found = self._gather({"options": kept, "data": data_fingerprint})
        for rank, other in enumerate(found):
            for name, value in found[0]["options"].items():
                if other["options"].get(name) != value:
                    raise InputError(
                        f"option '{name}' is {value} on the first host, but {other['options'].get(name)} on that of "
                        f"rank {rank}; give every host the same options"
                    )
            if other["data"] != found[0]["data"]:
                raise InputError(
                    f"the data of rank {rank} are not those of rank 0; copy the dataset's folder to every host"
                )

    def _gather(self, value: T) -> list[T]:
        """The values of all ranks."""
        values = [value] * self.world_size
        if self.world_size > 1:
            dist.all_gather_object(values, value)
        return values


_joined = Processes()


def current() -> Processes:
    """The processes that this one trains with."""
    return _joined


# ---------------------------------------------------------------------- starting and ending


def launch(function: Callable[..., Any], config, *arguments: Any) -> Any:
    """Call ``function(config, *arguments)`` in each process of this host; inside, `current` knows the others.

    Args:
        function: importable by name; it returns plain JSON values.
        config: options of the run, with ``nproc``, ``world_size``, ``group_offset``, ``ip`` and ``port``.

    Returns:
        What rank 0 returned, on every host.

    Raises:
        InputError: raised by a rank, or the processes do not find each other.
        RuntimeError: a rank failed otherwise; the message holds its traceback, or the signal that ended it.
    """
    here, on_gpus = config["nproc"], config["device"].type == "cuda"
    if on_gpus and torch.cuda.device_count() < here:
        raise InputError(
            f"option 'nproc': {here} processes take a GPU each, but {torch.cuda.device_count()} can be seen (gpu_id: "
            f"{config['gpu_id']}); use fewer, or --gpu_id='' for the CPU"
        )
    # The store lives here, not in rank 0: on one host its port is chosen, and what a rank says last outlives the rank.
    store = _open_store(config, config["port"] or 0, config["group_offset"] == 0)
    with TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        given = (result, store.port, PATIENCE, function, config, arguments)
        started = multiprocessing.spawn(_run_rank, given, nprocs=here, join=False)
        try:
            _wait_for(started, store, config["group_offset"])
        finally:
            for process in started.processes:
                process.kill()  # no more than a formality where all went well
                process.join()
        return json.loads(result.read_text(encoding="utf-8"))


def _open_store(config, port: int, is_first: bool) -> dist.TCPStore:
    host = config["ip"] or "127.0.0.1"
    try:
        return dist.TCPStore(host, port, is_master=is_first, timeout=PATIENCE, wait_for_workers=False)
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        what = "cannot be opened here; choose a free port" if is_first else "does not answer; start the first host"
        raise InputError(f"options 'ip' and 'port': {host}:{port} {what} ({reason})") from error


def _wait_for(started, store: dist.TCPStore, offset: int) -> None:
    """Until all processes of this host have ended well; raises the reason of the first that has not, on any host."""
    processes = started.processes
    while True:
        running = [process.sentinel for process in processes if process.exitcode is None]
        for rank, process in enumerate(processes, offset):
            # First of all: that others then miss its answers is no news.
            if (process.exitcode or 0) < 0:
                signal = Signals(-process.exitcode).name
                raise RuntimeError(f"rank {rank} was ended by {signal}; SIGKILL often means out of memory")
        try:
            failure = json.loads(store.get("failure")) if store.check(["failure"]) else None
        except RuntimeError:  # the first host has gone: after the end of all, or with an error
            for process in processes:
                process.join(30)
            if any(process.exitcode != 0 for process in processes):
                raise RuntimeError("the first host has ended the run; see its output") from None
            return
        if failure is not None:
            raise InputError(failure["text"]) if failure["is_input"] else RuntimeError(failure["text"])
        if not running:
            break
        wait(running, timeout=1)
    started.join()  # raises the error of a process that could not even reach the store


def _run_rank(
    local_rank: int,
    result: Path,
    port: int,
    patience: timedelta,
    function: Callable[..., Any],
    config,
    arguments: tuple,
) -> None:
    """What a process started by `launch` does; its own failure is left in the store, where the first one counts."""
    store = dist.TCPStore(config["ip"] or "127.0.0.1", port, timeout=patience, wait_for_workers=False)
    rank = config["group_offset"] + local_rank
    try:
        processes = _join(config, store, rank, local_rank, patience)
        returned = function(config, *arguments)
        returned = processes.on_rank_zero(lambda: returned)
        if local_rank == 0:
            result.write_text(json.dumps(returned), encoding="utf-8")
        dist.destroy_process_group()
    except Exception as error:
        is_input = isinstance(error, InputError)
        text = str(error) if is_input else f"rank {rank} failed:\n{traceback.format_exc()}"
        store.compare_set("failure", "", json.dumps({"is_input": is_input, "text": text}))
        raise


def _join(config, store: dist.TCPStore, rank: int, local_rank: int, patience: timedelta) -> Processes:
    """Meet the other processes and make this one a rank of them."""
    global _joined
    device, count = config["device"], process_count(config)
    names = [f"rank {number}" for number in range(count)]
    if store.add(names[rank], 1) > 1:
        raise InputError(
            f"option 'group_offset': two processes are rank {rank}; give each host the number of processes before it"
        )
    try:
        store.wait(names, patience)
    except RuntimeError as error:
        missing = ", ".join(name for name in names if not store.check([name]))
        raise InputError(
            f"option 'world_size': of {count} processes these did not come within {patience}: {missing}; start the "
            f"command of each host, with its group_offset"
        ) from error
    if device.type == "cuda":
        device = torch.device("cuda", local_rank)
        torch.cuda.set_device(device)
    elif "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, torch.get_num_threads() // config["nproc"]))
    config.final_config_dict["device"] = device
    if rank:
        config.final_config_dict.update(show_progress=False, log_wandb=False)
        logging.getLogger().setLevel(logging.ERROR)
        warnings.simplefilter("ignore")
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=count, timeout=LONGEST_WAIT)
    _joined = Processes(rank, count)
    return _joined
