"""A trained model in one file of the format safetensors: weights, vectors, titles and options, no code and no pickle.

    metadata    format, format_version, checksum, and `content`: model, data set, options, modalities, labels (JSON)
    model.*     parameters and buffers of the model
    movies.*    ids and titles (JSON, as bytes) and years
    users.*     only with histories: ids, and for each user the movies rated and in which part

    encoders.*  for each modality whose encoder was kept: an npz of plain arrays, as bytes

Nothing of the data set is needed to use it. What a file holds is checked against what the options need: names, shapes
and types of all tensors, ranges of ids.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from recbole_mm.errors import InputError
from recbole_mm.features.encoders import FieldEncoder, field_encoder_of
from recbole_mm.files import writing
from recbole_mm.inference import histories
from recbole_mm.inference.artefact_model import build_model, fill, tensors_of
from recbole_mm.inference.lookup import Movies, Users
from recbole_mm.inference.served import ServedData
from recbole_mm.model import variants
from recbole_mm.model.recommender import MultitaskRecommender

FORMAT, FORMAT_VERSION = "recbole-mm model", 1
PAD = "[PAD]"
_NO_YEAR = -(2**15)
_ENCODERS = "encoders."
_MOVIES = ("movies.ids", "movies.titles", "movies.years")


def is_artefact(path: str | Path) -> bool:
    """Whether a file begins as safetensors do: eight bytes of a length, then a JSON object."""
    try:
        with Path(path).open("rb") as file:
            return file.read(9)[8:] == b"{"
    except OSError:
        return False


def save(path: str | Path, model: MultitaskRecommender, data: ServedData, with_histories: bool) -> None:
    """Write the file; see `Recommender.save`."""
    served = variants.without_raters(model)
    users: dict[str, Tensor] = {}
    if with_histories:
        users = {"users.ids": _bytes_of(data.users.tokens.tolist()), **histories.tensors_of(model.users, data.seen)}
    else:
        served = variants.with_people(served, [[]], [[]])
    years = data.movies.years.astype("Int64").fillna(_NO_YEAR).to_numpy(np.int16)
    content = {
        "model": type(model).__name__,
        "dataset": data.dataset,
        "options": data.portable_options,
        "modalities": [
            {"name": name, "dimension": field.dimension, "components": field.vectors.shape[1]}
            for name, field in model.catalogue.fields().items()
        ],
        "labels": {task: list(names) for task, names in data.labels.items() if task in model.tasks},
    }
    tensors = {
        **{f"model.{name}": tensor for name, tensor in tensors_of(served).items()},
        **users,
        "movies.ids": _bytes_of(data.movies.tokens.tolist()),
        "movies.titles": _bytes_of(data.movies.titles.tolist()),
        "movies.years": torch.from_numpy(years),
        **{f"{_ENCODERS}{name}": _tensor_of(encoder.to_bytes()) for name, encoder in data.encoders.items()},
    }
    tensors = _with_own_memory(tensors)
    text = json.dumps(content, allow_nan=False)
    metadata = {
        "format": FORMAT,
        "format_version": str(FORMAT_VERSION),
        "content": text,
        "checksum": checksum(text, tensors),
    }
    with writing(path) as temporary:
        save_file(tensors, temporary, metadata)


def _with_own_memory(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors on the CPU, each with memory of its own: the format knows no shared memory."""
    kept, owners = {}, set()
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        if tensor.untyped_storage().data_ptr() in owners:
            tensor = tensor.clone()
        owners.add(tensor.untyped_storage().data_ptr())
        kept[name] = tensor
    return kept


def load(path: str | Path) -> tuple[MultitaskRecommender, ServedData]:
    """The model of a file, ready to predict, and its data.

    Raises:
        InputError: the file is absent, damaged or no file of ours, or what it holds contradicts its options.
    """
    content, tensors = _read(Path(path))
    movies = _movies_of(path, tensors)
    users = Users(_texts_of(path, "users.ids", tensors) if "users.ids" in tensors else [PAD])
    if users.tokens[:1].tolist() != [PAD] or len(set(users.tokens.tolist())) != len(users):
        raise _error(path, "users.ids", "must be different ids after [PAD]")
    sizes = len(users), len(movies)
    numbers = sum(tensor.numel() for tensor in tensors.values())
    model = build_model(path, content, sizes, numbers)
    fill(path, model, {name[6:]: tensor for name, tensor in tensors.items() if name.startswith("model.")})
    seen: dict[bool | str, Any] = {}
    if "users.ids" in tensors:
        model.users, seen = histories.read(path, tensors, sizes)
        model.users.to(model.catalogue.has_ratings.device)
    encoders = _encoders_of(path, tensors, content)
    _check_names(path, tensors, encoders)
    labels = {task: list(names) for task, names in content["labels"].items()}
    options = {**content["options"], "model": content["model"], "dataset": content["dataset"]}
    return model.eval(), ServedData(content["dataset"], users, movies, seen, options, labels, encoders=encoders)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The content of the metadata and all tensors, after the checksum was compared."""
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise InputError(f"{path}: no model file of recbole-mm; write one with Recommender.save()")
            if metadata.get("format_version") != str(FORMAT_VERSION):
                raise InputError(
                    f"{path}: has format version {str(metadata.get('format_version'))[:20]}, this recbole-mm reads "
                    f"{FORMAT_VERSION}; use the recbole-mm that wrote it, or save the model again"
                )
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError, ValueError, RuntimeError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{path}: cannot be read as safetensors ({' '.join(str(error).split())}); use a copy of it, or save the "
            f"model again"
        ) from error
    text = metadata.get("content", "")
    if metadata.get("checksum") != checksum(text, tensors):
        raise InputError(f"{path}: damaged (its checksum is another); use a copy of it, or save the model again")
    return _checked(path, text), tensors


def _checked(path: Path, text: str) -> dict[str, Any]:
    """The content, with the kinds of its parts as they must be; options are checked by `build_model`."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _error(path, "content", "is no JSON") from error
    kinds = {"model": str, "dataset": str, "options": dict, "modalities": list, "labels": dict}
    if not isinstance(content, dict) or set(content) != set(kinds):
        raise _error(path, "content", f"must have {', '.join(kinds)}")
    for name, kind in kinds.items():
        if not isinstance(content[name], kind):
            raise _error(path, f"content: {name}", "is of another kind")
    for field in content["modalities"]:
        if not isinstance(field, dict) or set(field) != {"name", "dimension", "components"}:
            raise _error(path, "content: modalities", "must have name, dimension and components each")
        if not isinstance(field["name"], str) or not all(
            type(field[size]) is int and 0 < field[size] <= 1 << 20 for size in ("dimension", "components")
        ):
            raise _error(path, "content: modalities", "has a name that is no text or a size that is none")
    for names in content["labels"].values():
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or not names:
            raise _error(path, "content: labels", "must be lists of names")
    return content


def _movies_of(path: str | Path, tensors: Mapping[str, Tensor]) -> Movies:
    for name in _MOVIES:
        if name not in tensors:
            raise _error(path, name, "is missing")
    ids, titles = (_texts_of(path, name, tensors) for name in _MOVIES[:2])
    years = tensors["movies.years"]
    if years.dtype != torch.int16 or years.shape != (len(ids),) or len(titles) != len(ids):
        raise _error(path, "movies", "must have one id, one title and one year each")
    if ids[:1] != [PAD] or len(set(ids)) != len(ids) or len(ids) < 2:
        raise _error(path, "movies.ids", "must be different ids after [PAD]")
    numbers = pd.Series(years.numpy().astype(np.int64), dtype="Int64")
    return Movies(np.array(ids, object), np.array(titles, object), numbers.mask(numbers == _NO_YEAR))


def _encoders_of(path: str | Path, tensors: Mapping[str, Tensor], content: dict) -> dict[str, FieldEncoder]:
    encoders = {}
    for name in (field["name"] for field in content["modalities"]):
        if (tensor := tensors.get(f"{_ENCODERS}{name}")) is not None:
            if tensor.dtype != torch.uint8 or tensor.ndim != 1:
                raise _error(path, f"{_ENCODERS}{name}", "is no file as bytes")
            place = f"{path}: {_ENCODERS}{name}"
            encoders[name] = field_encoder_of(tensor.numpy().tobytes(), place, "save the model again")
    return encoders


def _check_names(path: str | Path, tensors: Mapping[str, Tensor], encoders: Iterable[str]) -> None:
    wanted = {
        *_MOVIES,
        *(f"{_ENCODERS}{name}" for name in encoders),
        *(["users.ids", *histories.NAMES] if "users.ids" in tensors else []),
    }
    if unknown := sorted(name for name in tensors if not name.startswith("model.") and name not in wanted):
        raise _error(path, unknown[0][:60], "is no part of such a file")


def _bytes_of(texts: list[str]) -> Tensor:
    return _tensor_of(json.dumps(texts, ensure_ascii=False).encode())


def _tensor_of(content: bytes) -> Tensor:
    return torch.frombuffer(bytearray(content), dtype=torch.uint8)


def _texts_of(path: str | Path, name: str, tensors: Mapping[str, Tensor]) -> list[str]:
    tensor = tensors[name]
    try:
        if tensor.dtype != torch.uint8 or tensor.ndim != 1:
            raise ValueError
        texts = json.loads(tensor.numpy().tobytes().decode())
    except (ValueError, RecursionError) as error:
        raise _error(path, name, "is no list of texts") from error
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise _error(path, name, "is no list of texts")
    return texts


def checksum(text: str, tensors: Mapping[str, Tensor]) -> str:
    """BLAKE2b of the content and of each tensor with its name, type and shape."""
    digest = hashlib.blake2b(text.encode(), digest_size=32)
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _error(path: str | Path, name: str, reason: str) -> InputError:
    return InputError(f"{path}: '{name}' {reason}; use another file, or save the model again")
