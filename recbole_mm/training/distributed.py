"""Training in several processes, on one host or more: gloo on CPUs, nccl on GPUs (docs/distributed.md).

The processes are started by torchrun or another launcher that sets the environment variables of torch.distributed, or
by `call`, which uses torchrun's own engine for the option ``nproc``. Either way each process finds its place there.

RecBole's own form needs CUDA, pads the rows with repetitions, and reports an average of the processes' metrics, which
is not the metric of the whole. Its switch for it, ``single_spec``, therefore stays on, and all of it is here:

    rows      each rank takes its part of the batch that one process would take; gradients are averaged over the rows
    draws     movies and users that the other tasks draw: each rank draws its part, with random numbers of its own
    weights   those of rank 0 at the start; equal gradients keep them equal, and so their moving average
    metrics   each rank predicts for its part of the rows or users; computed from the predictions of all
    files     rank 0 reads and writes checkpoints, and writes the log and the result

Words are torch.distributed's: ranks count the processes of all hosts from 0, local ranks those of one host.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from recbole_mm.config.processes import place
from recbole_mm.errors import InputError, Terminated
from recbole_mm.training.meeting import store_of_this_start

# How long the processes wait for each other at the start: someone types the commands of the other hosts.
PATIENCE = timedelta(minutes=10)
# How long one rank may be busy alone, as rank 0 is while it prepares a data set. That a rank has died is known at once.
LONGEST_WAIT = timedelta(hours=1)
# How long a rank that misses another one waits before it fails too, so that the launcher sees the first one first.
SECONDS_BEHIND = 1.0
# Options that may differ between hosts.
OF_HOST = {
    *("checkpoint_dir", "data_path", "gpu_id", "log_wandb", "predictions_file", "ratings_cache", "result_file"),
    *("resume", "show_progress", "state", "use_gpu", "worker"),
}

T = TypeVar("T")


# ---------------------------------------------------------------------- what the ranks do together


@dataclass(frozen=True)
class Processes:
    """The processes that train one model, seen from one of them. If it is the only one, nothing here does anything.

    Attributes:
        rank: number of this process.
        world_size: number of all processes.
        local_rank: number of this process on its host.
    """

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0

    def part_of(self, count: int) -> slice:
        """The rank's part of ``count`` things; the parts make up the whole.

        They differ by one at most. Of fewer things than ranks each rank takes all.
        """
        if self.world_size == 1 or count < self.world_size:
            return slice(0, count)
        return slice(count * self.rank // self.world_size, count * (self.rank + 1) // self.world_size)

    def concatenate(self, part: torch.Tensor, count: int) -> torch.Tensor:
        """What all ranks have computed of their parts of ``count`` things, in order, [count, …]; on every rank.

        Args:
            part: of this rank, with a row for each thing in `part_of`.
        """
        if self.world_size == 1 or count < self.world_size:
            return part
        device = part.device
        parts = [Processes(rank, self.world_size).part_of(count) for rank in range(self.world_size)]
        sizes = [one.stop - one.start for one in parts]
        padded = part.new_zeros(max(sizes), *part.shape[1:])
        padded[: len(part)] = part
        if dist.get_backend() == "nccl":
            padded = padded.cuda()
        gathered = [torch.empty_like(padded) for _ in sizes]
        dist.all_gather(gathered, padded)
        return torch.cat([one[:size] for one, size in zip(gathered, sizes)]).to(device)

    def shard(self, batch):
        """The rank's part of a batch (anything with a length that can be sliced), see `part_of`.

        Of fewer rows than ranks each rank takes all: that leaves their mean as it is, and no rank without a loss.
        """
        return batch[self.part_of(len(batch))]

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

    def first_on_each_host(self, function: Callable[[], T]) -> T:
        """Call ``function`` on every rank, first on one rank of each host: what it builds there is ready for others."""
        if self.world_size == 1:
            return function()
        if self.local_rank:
            dist.barrier()
            return function()
        returned = function()
        dist.barrier()
        return returned

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
            raise InputError(f"{self.world_size} processes (nproc or torchrun) for {rows} training rows; use fewer")
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


def call(function: Callable[..., T], config, *arguments: Any) -> T:
    """Call ``function(config, *arguments)`` in each of the processes of a run; inside, `current` knows the others.

    That is this process, which a launcher may have started as one of several, or ``nproc`` new ones.

    Args:
        function: importable by name; it returns the same on every rank.
        config: options of the run.

    Raises:
        InputError: raised by a rank, or the processes do not find each other.
        RuntimeError: a rank failed otherwise; the message holds its traceback, or the signal that ended it.
    """
    if place() is None and config["nproc"] > 1:
        return _launch(function, config, *arguments)
    return _as_rank(function, config, *arguments)


def _launch(function: Callable[..., T], config, *arguments: Any) -> T:
    """`call` in new processes of this host, by torchrun's engine."""
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    here = config["nproc"]
    if config["device"].type == "cuda":
        _check_gpus(here, config)
    with TemporaryDirectory() as folder, _quiet_launcher(), _signals_as_they_were():
        options = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=here,
            run_id="recbole-mm",
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            local_addr="localhost",
            max_restarts=0,
            logs_specs=DefaultLogsSpecs(log_dir=folder),
        )
        try:
            return elastic_launch(options, _as_rank)(function, config, *arguments)[0]
        except ChildFailedError as error:
            raise _reason(*error.get_first_failure()) from None
        except SignalException as stop:
            raise (Terminated if stop.sigval == signal.SIGTERM else KeyboardInterrupt) from None


def _reason(rank: int, failure) -> Exception:
    """Why a rank failed, from what it has left behind (`ProcessFailure` of torch.distributed.elastic)."""
    if failure.exitcode < 0:
        return RuntimeError(f"rank {rank} was ended by {failure.signal_name()}; SIGKILL often means out of memory")
    left = failure.error_file_data.get("message")
    if not isinstance(left, dict):
        return RuntimeError(f"rank {rank} ended with status {failure.exitcode}")
    kind, _, text = left["message"].partition(": ")
    if kind == InputError.__name__:
        return InputError(text)
    return RuntimeError(f"rank {rank} failed:\n{left['extraInfo']['py_callstack']}")


def _as_rank(function: Callable[..., T], config, *arguments: Any) -> T:
    """Call ``function`` as one of the processes, if there are several."""
    processes = join(config)
    try:
        returned = function(config, *arguments)
    except RuntimeError:
        if processes.world_size > 1:
            time.sleep(SECONDS_BEHIND)
        raise
    leave()
    return returned


def join(config) -> Processes:
    """Meet the other processes that the launcher has started and make this one a rank of them.

    The options of ``config`` that follow from the rank are set: its device, and no progress bar but on rank 0.

    Raises:
        InputError: the processes do not find each other, or there are too few GPUs.
    """
    global _joined
    here, device = place(), config["device"]
    if here is None or here.world_size == 1:
        return _joined
    if device.type == "cuda":
        _check_gpus(here.local_world_size, config)
        device = torch.device("cuda", here.local_rank)
        torch.cuda.set_device(device)
    elif "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, torch.get_num_threads() // here.local_world_size))
    config.final_config_dict["device"] = device
    if here.rank:
        config.final_config_dict.update(show_progress=False, log_wandb=False)
        logging.getLogger().setLevel(logging.ERROR)
        warnings.simplefilter("ignore")
    backend = "nccl" if device.type == "cuda" else "gloo"
    try:
        store, rank, world_size = next(dist.rendezvous("env://", timeout=PATIENCE))
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"rank {here.rank}: the processes do not find each other at MASTER_ADDR and MASTER_PORT ({reason}); start "
            f"them with torchrun, which sets both"
        ) from error
    store = store_of_this_start(store, rank, world_size, PATIENCE)
    dist.init_process_group(backend, store=store, rank=rank, world_size=world_size, timeout=LONGEST_WAIT)
    _joined = Processes(rank, world_size, here.local_rank)
    return _joined


def leave() -> None:
    """End what `join` has begun, after all ranks have come here."""
    global _joined
    if _joined.world_size > 1:
        dist.barrier()
        dist.destroy_process_group()
        _joined = Processes()


def _check_gpus(here: int, config) -> None:
    if torch.cuda.device_count() < here:
        raise InputError(
            f"{here} processes of this host take a GPU each, but {torch.cuda.device_count()} can be seen (gpu_id: "
            f"{config['gpu_id']}); start fewer, or add --gpu_id='' for the CPU"
        )


@contextmanager
def _quiet_launcher() -> Iterator[None]:
    """The launcher logs the failures of ranks, which we tell ourselves, once."""
    loggers = [logging.getLogger(name) for name in ("torch.distributed.elastic", "torchelastic-events-null")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before):
            logger.setLevel(level)


@contextmanager
def _signals_as_they_were() -> Iterator[None]:
    """The launcher takes over these signals and does not give them back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    names = [name for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT") if hasattr(signal, name)]
    before = {name: signal.getsignal(getattr(signal, name)) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)
