"""Checkpoints that hold weights and plain values only, so that loading one never runs code.

RecBole pickles its Config into the file and reads it back with an unrestricted unpickler. Here everything is
turned into tensors, dicts, lists, strings and numbers, and read with ``torch.load(weights_only=True)``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
import torch

from recbole_mm.errors import InputError
from recbole_mm.training.checkpoint_checks import check_fields, check_weights
from recbole_mm.training.seal import is_sealed, is_whole, seal, sync_folder

FORMAT = "recbole-mm checkpoint"
FORMAT_VERSION = 2
_KEYS = {
    "config",
    "epoch",
    "cur_step",
    "best_valid_score",
    "state_dict",
    "other_parameter",
    "optimizer",
    "data",
    "training",
}


def save_checkpoint(path: str | Path, content: dict[str, Any], durable: bool = True) -> None:
    """Write ``content`` (keys: see ``_KEYS``) aside, then rename it to ``path``.

    Args:
        durable: wait until it is on the disk, so that it survives a power failure; a killed process needs no such wait.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + f".{os.getpid()}.part")
    try:
        torch.save({"format": FORMAT, "format_version": FORMAT_VERSION, **to_plain(content)}, aside)
        seal(aside, durable)
        aside.replace(path)
        if durable:
            sync_folder(path.parent)
    finally:
        aside.unlink(missing_ok=True)


def load_checkpoint(path: str | Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read a checkpoint written by `save_checkpoint`.

    Raises:
        InputError: the file is absent, is not one of ours, or was written by a newer version.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such checkpoint; train with --model=… first, or check the path")
    refusal = f"{path}: not a checkpoint of recbole-mm (weights and plain values only); nothing of it was loaded"
    try:
        with path.open("rb") as file:
            sealed = is_sealed(file)
            if sealed and not is_whole(file):
                raise InputError(f"{path}: damaged (its checksum is another); use a copy of it, or train again")
            file.seek(0)
            content = torch.load(file, map_location=device, weights_only=True)
    except InputError:
        raise
    except Exception as error:  # whatever a file of another kind makes of the reader
        raise InputError(refusal) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT or not set(content) >= _KEYS:
        raise InputError(refusal)
    version, config = content.get("format_version"), content["config"]
    if not isinstance(version, int) or not isinstance(config, dict) or not {"model", "dataset"} <= set(config):
        raise InputError(refusal)
    if version < FORMAT_VERSION:
        raise InputError(
            f"{path}: written by an older recbole-mm (format {version}, this one reads {FORMAT_VERSION}); its "
            f"options and weights have other names; train again, or use recbole-mm 0.1 for it"
        )
    if version > FORMAT_VERSION:
        raise InputError(
            f"{path}: written by a newer recbole-mm (format {version}, this one reads {FORMAT_VERSION}); upgrade it"
        )
    if not sealed:
        raise InputError(f"{path}: damaged or changed (it has no checksum); use a copy of it, or train again")
    if set(content) != {*_KEYS, "format", "format_version"}:
        raise InputError(f"{path}: has unknown fields; use another checkpoint, or train again")
    try:
        content = from_plain(content)
    except Exception as error:
        raise InputError(f"{path}: has a damaged array; use another checkpoint, or train again") from error
    check_fields(path, content)
    return content


def restore(
    model: torch.nn.Module,
    config,
    data_fingerprint: str,
    path: str | Path,
    read: Callable[..., dict[str, Any]] = load_checkpoint,
) -> dict[str, Any]:
    """Put the weights of a checkpoint into ``model``; returns the checkpoint's content.

    Args:
        read: gives the content of a checkpoint, on the CPU.

    Raises:
        InputError: the file is no checkpoint of ours, or is of another model, other sizes or other data.
    """
    checkpoint = read(path)  # to the CPU: the loading below moves each tensor to where it belongs
    held, wanted = checkpoint["config"]["model"], config["model"]
    if held != wanted:
        raise InputError(f"{path}: holds a {held}, this run is a {wanted}; give --model={held}")
    if checkpoint["data"] != data_fingerprint:
        raise InputError(
            f"{path}: was trained on other ratings, movies, genres or vectors than this run's; use the data and "
            f"options it was trained with, or train again"
        )
    check_weights(path, model, checkpoint)
    try:
        model.load_state_dict(checkpoint["state_dict"])
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: its weights do not fit this model ({reason}); use its options") from error
    model.load_other_parameter(checkpoint["other_parameter"])
    return checkpoint


def to_plain(value: Any) -> Any:
    """The same value out of tensors and plain Python only.

    Raises:
        TypeError: for a kind of object that a checkpoint does not hold.
    """
    if isinstance(value, np.generic):  # before float: np.float64 is one, and needs numpy's code to unpickle
        return value.item()
    if value is None or isinstance(value, (bool, int, float, str, torch.Tensor)):
        return value
    if isinstance(value, np.ndarray):
        return {"__kind__": "array", "values": torch.from_numpy(np.ascontiguousarray(value))}
    if scipy.sparse.issparse(value):
        matrix = value.tocoo()
        parts = {"row": matrix.row, "column": matrix.col, "values": matrix.data}
        plain = {name: torch.from_numpy(np.ascontiguousarray(part)) for name, part in parts.items()}
        return {"__kind__": "sparse", "form": value.format, "shape": list(value.shape), **plain}
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    raise TypeError(f"a checkpoint holds tensors and plain values, not {type(value).__name__}")


def from_plain(value: Any) -> Any:
    """Inverse of `to_plain` (tuples come back as lists)."""
    if isinstance(value, dict):
        kind = value.get("__kind__")
        if kind == "array":
            return value["values"].cpu().numpy()
        if kind == "sparse":
            row, column, data = (value[name].cpu().numpy() for name in ("row", "column", "values"))
            return scipy.sparse.coo_matrix((data, (row, column)), shape=tuple(value["shape"])).asformat(value["form"])
        return {key: from_plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [from_plain(item) for item in value]
    return value
