"""From a folder of another tool to `Contents`: each tool has a reader, and the folder says which it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from recbole_mm.errors import InputError, nearest
from recbole_mm.interchange.assemble import assemble
from recbole_mm.interchange.contents import Contents, Source
from recbole_mm.interchange.cornac import is_cornac, read_cornac
from recbole_mm.interchange.embedding_trees import is_ducho, is_elliot, read_ducho, read_elliot
from recbole_mm.interchange.lattice import is_lattice, read_lattice
from recbole_mm.interchange.mmrec import is_mmrec, read_mmrec
from recbole_mm.interchange.pickles import SUFFIXES, WAY_OUT
from recbole_mm.interchange.recbole_files import is_recbole, read_recbole


@dataclass(frozen=True)
class Reader:
    """How the folder of a tool is read.

    Attributes:
        about: what lies in the folder.
        fits: whether a folder is one of these.
        read: its content.
    """

    about: str
    fits: Callable[[Path], bool]
    read: Callable[[Path], Source]


_MMREC = Reader("NAME.inter with x_label, *_feat.npy by row", is_mmrec, read_mmrec)
READERS: dict[str, Reader] = {
    "recbole": Reader("NAME.inter with names and types, vectors in .item, .itememb, .ent", is_recbole, read_recbole),
    "mmrec": _MMREC,
    "lattice": Reader("train.json, val.json, test.json, *_feat.npy by row", is_lattice, read_lattice),
    "elliot": Reader("train, val and test .tsv, trees of ITEM.npy", is_elliot, read_elliot),
    "ducho": Reader("reviews.tsv, trees of ITEM.npy", is_ducho, read_ducho),
    "cornac": Reader("rating.txt, text.txt, *_features.npy with item_ids.txt", is_cornac, read_cornac),
}
"""Tool -> reader; where several fit a folder, the first is taken."""
SAME_LAYOUT = {"mrlib": "mmrec", "m3l": "mmrec", "micro": "lattice", "mmssl": "lattice"}


def read_folder(folder: Path, tool: str = "auto") -> Contents:
    """A data set of a folder of another tool.

    Args:
        tool: a key of `READERS` or `SAME_LAYOUT`; auto: what the folder looks like.

    Raises:
        InputError: no such folder or tool, a folder that looks like none, or whatever its reader refuses.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the folder that holds the files of the data set")
    tool = SAME_LAYOUT.get(tool, tool)
    if tool == "auto":
        tool = _find(folder)
    if tool not in READERS:
        names = ("auto", *READERS, *SAME_LAYOUT)
        raise InputError(f"--from={tool}: is none of {', '.join(names)}.{nearest(tool, names)}")
    source = READERS[tool].read(folder)
    contents = assemble(source.ratings, source.items, source.users, source.vectors, keep_order=source.keep_order)
    contents.notes[:0] = source.notes
    contents.texts = source.texts
    return contents


def _find(folder: Path) -> str:
    found = next((name for name, reader in READERS.items() if reader.fits(folder)), None)
    if found is not None:
        return found
    pickled = [path.name for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES]
    if pickled:
        raise InputError(
            f"{folder / pickled[0]}: {WAY_OUT}: here a table NAME.inter with the columns userID, itemID and x_label (0 "
            f"training, 1 validation, 2 test) beside the .npy matrices"
        )
    layouts = "; ".join(f"{name}: {reader.about}" for name, reader in READERS.items())
    raise InputError(
        f"{folder}: looks like none of the layouts that are known ({layouts}); for other files use recbole-mm import"
    )
