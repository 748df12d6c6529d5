"""MovieLens-100K with multimodal vectors: ratings, movies and users of the recbole wheel, vectors of this package."""

from __future__ import annotations

import shutil
from pathlib import Path

from recbole_mm.datasets.ml_100k.recbole_wheel import read_items, wheel_file
from recbole_mm.errors import InputError
from recbole_mm.files import writing
from recbole_mm.resources import resource_dir

DATASET = "ml-100k-mm"
SHIPPED_FIELDS = ("text", "words", "audio", "avf", "mise", "meta", "facts")


def build(folder: Path, source: Path | None = None, force: bool = False) -> None:
    """Write the missing files of ml-100k-mm into ``folder``: all files with ``force``, new vectors with ``source``."""
    folder.mkdir(parents=True, exist_ok=True)

    def needed(suffix: str) -> bool:
        return force or not _file(folder, suffix).is_file()

    # Unchanged copies: the canonical folds u1..u5 are blocks of rows of the .inter file.
    for suffix in ("inter", "user"):
        if needed(suffix):
            _copy(wheel_file(suffix), _file(folder, suffix))
    if needed("item"):
        _write_items(_file(folder, "item"))

    if source is not None:
        from recbole_mm.datasets.ml_100k.vectors import build_vectors

        build_vectors(source, folder, DATASET)
        return
    for field in SHIPPED_FIELDS:
        shipped, target = _file(resource_dir("dataset") / DATASET, field), _file(folder, field)
        if not needed(field):
            continue
        if not shipped.is_file():
            raise InputError(f"{shipped}: the shipped vectors of field '{field}' are missing; reinstall the package")
        if shipped != target.resolve():  # the shipped folder itself is not changed, even with force
            _copy(shipped, target)


def _write_items(path: Path) -> None:
    header = wheel_file("item").read_text("utf-8").splitlines()[0]
    with writing(path) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as handle:
        handle.write(header + "\n")
        for row in read_items().itertuples(index=False):
            handle.write("\t".join(row) + "\n")


def _file(folder: Path, suffix: str) -> Path:
    return folder / f"{DATASET}.{suffix}"


def _copy(source: Path, target: Path) -> None:
    with writing(target) as temporary:
        shutil.copyfile(source, temporary)
