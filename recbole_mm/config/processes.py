"""Options of a training in several processes: how many they are, and whether they contradict each other.

The training itself is in :mod:`recbole_mm.training.distributed`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recbole_mm.errors import InputError

OPTIONS = ("nproc", "world_size", "group_offset", "ip", "port")


def process_count(options: Mapping[str, Any]) -> int:
    """Number of processes on all hosts together."""
    world_size = options["world_size"]
    return options["nproc"] if world_size in (None, -1) else world_size


def of_several(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a training in several processes; empty for one process."""
    return {name: options[name] for name in OPTIONS} if process_count(options) > 1 else {}


def check_options(options: Mapping[str, Any], model: str, is_ours: bool) -> None:
    """Refuse options of several processes that contradict each other.

    Args:
        options: of the run, by name.
        model: its name.
        is_ours: whether it is trained by our trainer, the only trainer that divides rows among processes.

    Raises:
        InputError: they do; the message names the options.
    """
    here, offset, count = options["nproc"], options["group_offset"], process_count(options)
    if offset + here > count:
        raise InputError(
            f"options 'nproc' {here} and 'group_offset' {offset}: ranks {offset} to {offset + here - 1}, but "
            f"world_size is {count}; it counts the processes of all hosts"
        )
    if count == 1:
        return
    if not is_ours:
        raise InputError(
            f"options 'nproc' and 'world_size': only MMFS, MMSP and MMASP train in several processes, {model} trains "
            f"in one; leave them out"
        )
    if count > here and not (options["ip"] and options["port"]):
        raise InputError(
            f"option 'world_size': {count} processes, {here} of them here; say where the hosts meet with --ip=… of the "
            f"first host and a free --port=… there"
        )
    if options["train_batch_size"] < count:
        raise InputError(
            f"option 'train_batch_size' is {options['train_batch_size']}, but {count} processes share it; raise it"
        )
    if options["evaluate"]:
        raise InputError("option 'evaluate': one process evaluates a checkpoint; leave nproc and world_size out")
