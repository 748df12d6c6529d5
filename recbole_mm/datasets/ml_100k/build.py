"""MovieLens-100K with multimodal vectors: ratings, movies and users of the recbole wheel, vectors of this package."""

from __future__ import annotations

from pathlib import Path

from recbole_mm.datasets.ml_100k.recbole_wheel import read_items, wheel_file
from recbole_mm.datasets.vector_files import copy_file, copy_shipped
from recbole_mm.files import writing

DATASET = "ml-100k-mm"
SHIPPED_FIELDS = ("text", "words", "audio", "avf", "mise", "meta", "facts")


def build(folder: Path, source: Path | None = None, force: bool = False) -> None:
    """Write the missing files of ml-100k-mm into ``folder``: all files with ``force``, new vectors with ``source``."""
    folder.mkdir(parents=True, exist_ok=True)

    def needed(path: Path) -> bool:
        return force or not path.is_file()

    # Unchanged copies: the canonical folds u1..u5 are blocks of rows of the .inter file.
    for suffix in ("inter", "user"):
        if needed(_file(folder, suffix)):
            copy_file(wheel_file(suffix), _file(folder, suffix))
    if needed(_file(folder, "item")):
        _write_items(_file(folder, "item"))

    if source is not None:
        from recbole_mm.datasets.ml_100k.vectors import build_vectors

        build_vectors(source, folder, DATASET)
        return
    copy_shipped(folder, DATASET, SHIPPED_FIELDS, needed)


def _write_items(path: Path) -> None:
    header = wheel_file("item").read_text("utf-8").splitlines()[0]
    with writing(path) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as handle:
        handle.write(header + "\n")
        for row in read_items().itertuples(index=False):
            handle.write("\t".join(row) + "\n")


def _file(folder: Path, suffix: str) -> Path:
    return folder / f"{DATASET}.{suffix}"
