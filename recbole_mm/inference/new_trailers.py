"""The column ``trailer`` of `Recommender.add_movies`: files, of which vectors are made as on the page of the demo.

`recbole_mm.extract` is imported where it is used: most models have nothing to do with it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from recbole_mm.errors import InputError
from recbole_mm.features.encoders import FieldEncoder


def made_of_trailers(encoders: Mapping[str, FieldEncoder]) -> list[str]:
    """The modalities whose vectors can be made of a trailer's file: those that `recbole-mm extract` computed."""
    if not any(encoder.extracted for encoder in encoders.values()):
        return []
    from recbole_mm.extract.trailer import trailer_fields

    return trailer_fields(encoders)


def check_trailers(given: Iterable[tuple[str, Any]], encoders: Mapping[str, FieldEncoder]) -> None:
    """Refuse what can be refused without decoding, so that no other file is decoded in vain.

    Args:
        given: title and file of each movie that has a file.

    Raises:
        InputError: no modality can be made of a file, the decoder is not installed, or a cell is no path of a file.
    """
    for title, path in given:
        from recbole_mm.extract.decode import require_av
        from recbole_mm.extract.trailer import check_trailer_file

        try:
            if not isinstance(path, (str, os.PathLike)):
                raise InputError("must be the path of a video file")
            if not made_of_trailers(encoders):
                raise InputError(
                    "cannot be read, because no vectors of this data set were computed by recbole-mm extract; leave "
                    "'trailer' out, or train on audio or video that it computed (docs/in-use.md)"
                )
            require_av()
            check_trailer_file(Path(path))
        except InputError as error:
            raise _wrong(title, path, error) from None


def vectors_of_trailer(path: Any, title: str, encoders: Mapping[str, FieldEncoder]) -> dict[str, np.ndarray]:
    """The vector, float64 [dimension], of each modality of ``encoders``.

    Args:
        path, title: of a movie that `check_trailers` has let pass.
        encoders: of modalities that `made_of_trailers` names.

    Raises:
        InputError: one of them cannot be made of the file.
    """
    from recbole_mm.extract.trailer import read_trailer_file

    if not encoders:
        return {}
    try:
        trailer = read_trailer_file(Path(path), encoders)
        for name, problem in trailer.problems.items():
            there = " and ".join(f"'{other}_raw'" for other in trailer.numbers)
            raise InputError(
                f"the file {problem}, so '{name}' cannot be made of it; give another file, or leave 'trailer' out and "
                f"give {there} (docs/in-use.md)"
            )
        return {name: encoders[name]([numbers])[0] for name, numbers in trailer.numbers.items()}
    except InputError as error:
        raise _wrong(title, path, error) from None


def _wrong(title: str, path: Any, error: InputError) -> InputError:
    return InputError(f"add_movies: 'trailer' of '{title}', {path!a:.200}: {error}")
