"""Which of several processes this one is, and whether the options fit: they train one model together.

torchrun, accelerate and other launchers start the processes and tell each one its place by environment variables. The
option ``nproc`` starts them from here. The training itself is in :mod:`recbole_mm.training.distributed`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from recbole_mm.errors import InputError

OPTIONS = ("nproc",)


class Place(NamedTuple):
    """Place of a process among those that a launcher has started.

    Attributes:
        rank: its number among the processes of all hosts, from 0.
        world_size: number of all processes.
        local_rank, local_world_size: the same among the processes of its host.
    """

    rank: int
    world_size: int
    local_rank: int
    local_world_size: int


def place() -> Place | None:
    """What a launcher says in RANK, WORLD_SIZE, LOCAL_RANK and LOCAL_WORLD_SIZE; None if no launcher has started this.

    Raises:
        InputError: a variable is missing or is no such number.
    """
    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        return None
    rank, world_size = _number("RANK"), _number("WORLD_SIZE", at_least=1)
    if world_size == 1 and "LOCAL_RANK" not in os.environ:
        return Place(0, 1, 0, 1)
    local_rank = _number("LOCAL_RANK")
    local_world_size = _number("LOCAL_WORLD_SIZE") if "LOCAL_WORLD_SIZE" in os.environ else local_rank + 1
    if rank >= world_size or local_rank > rank or not local_rank < local_world_size <= world_size:
        raise InputError(
            f"environment variables: rank {rank} of {world_size} processes, on its host {local_rank} of "
            f"{local_world_size}, cannot be; start the processes with torchrun, which sets them"
        )
    return Place(rank, world_size, local_rank, local_world_size)


def _number(name: str, at_least: int = 0) -> int:
    text = os.environ.get(name, "")
    if not (text.isascii() and text.isdigit() and int(text) >= at_least):
        raise InputError(
            f"environment variable {name} is '{text}', not a number from {at_least} on; start the processes with "
            f"torchrun, which sets it"
        )
    return int(text)


def is_first() -> bool:
    """Whether this process is the one that prints what all of them know."""
    here = place()
    return here is None or here.rank == 0


def process_count(options: Mapping[str, Any]) -> int:
    """Number of processes on all hosts together."""
    here = place()
    return options["nproc"] if here is None else here.world_size


def of_several(options: Mapping[str, Any]) -> dict[str, Any]:
    """How many processes a training in several processes has, as ``nproc``; empty for one process."""
    count = process_count(options)
    return {"nproc": count} if count > 1 else {}


def check_alone(command: str) -> None:
    """Refuse to do in each of several processes what one process should do once.

    Raises:
        InputError: a launcher has started several.
    """
    here = place()
    if here is not None and here.world_size > 1:
        raise InputError(
            f"'{command}' runs in one process, but a launcher has started {here.world_size} (WORLD_SIZE); start it "
            f"without torchrun"
        )


def check_options(options: Mapping[str, Any], model: str, is_ours: bool) -> None:
    """Refuse options of several processes that contradict each other.

    Args:
        options: of the run, by name.
        model: its name.
        is_ours: whether it is trained by our trainer, the only trainer that divides rows among processes.

    Raises:
        InputError: they do; the message names the options.
    """
    here, count = place(), process_count(options)
    if here is not None and options["nproc"] not in (1, here.local_world_size):
        raise InputError(
            f"option 'nproc' is {options['nproc']}, but a launcher has started {here.local_world_size} processes on "
            f"this host already; leave nproc out"
        )
    if count == 1:
        return
    if not is_ours:
        raise InputError(
            f"only MMFS, MMSP and MMASP train in several processes (here {count}), {model} trains in one; start it "
            f"with python instead of torchrun, and leave the option 'nproc' out"
        )
    if options["train_batch_size"] < count:
        raise InputError(
            f"option 'train_batch_size' is {options['train_batch_size']}, but {count} processes share it; raise it"
        )
