"""MMTF-14K's original release (Deldjoo et al., MMSys 2018): its files and their rows.

All files are csv: commas, one header row, latin1. Column 0 is a MovieLens-20M movieId, every other column a value.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from tqdm import tqdm

from recbole_mm.datasets.source_files import SourceFile, SourceTree
from recbole_mm.errors import InputError, nearest
from recbole_mm.features.decimals import NotANumber, parse_decimals
from recbole_mm.features.genre_words import mask_genre_words

DESCRIPTION = "movie_description.csv"
TAGS = "TagFeatures.csv"
# Pattern of a file name -> name of the descriptor, by kind. `All` means all groups of aesthetic features together.
_FORMS = {
    "audio": {
        r"IVec_splitItem_fold_(\d+)_gmm_(\d+)_tvDim_(\d+)\.csv": "ivector:fold{}:gmm{}:tv{}",
        r"BLF_(\w+)feat\.csv": "blf:{}",
    },
    "visual": {
        r"AestheticFeatures - (\w+) - (\w+)\.csv": "avf:{}:{}",
        r"AlexNetFeatures - (\w+) - fc7\.csv": "alexnet:{}",
    },
}
_BLOCK_BYTES = 1 << 18
_AROUND_COMMAS = re.compile(rb" *, *")  # a space inside a number is an error: it may be two numbers
_MOVIE_ID = re.compile(rb'"?(\d+)(?:\.0+)?"?')


@dataclass(frozen=True)
class Descriptor:
    """Audio or visual features of the trailers.

    Attributes:
        name: as the user writes it, e.g. ``ivector:fold1:gmm128:tv100``.
        kind: audio or visual.
    """

    name: str
    kind: str
    file: SourceFile

    @property
    def field(self) -> str:
        """Its field in the dataset: ``ivector_fold1_gmm128_tv100``, so that results name the fold."""
        return self.name.replace(":", "_")


def descriptor_name(file_name: str) -> tuple[str, str] | None:
    """Kind and name of the descriptor that a file of the release holds; None for any other file.

    >>> descriptor_name("AestheticFeatures - AVG - All.csv")
    ('visual', 'avf:avg')
    """
    for kind, forms in _FORMS.items():
        for pattern, form in forms.items():
            if match := re.fullmatch(pattern, file_name, re.IGNORECASE):
                return kind, form.format(*match.groups()).lower().removesuffix(":all")
    return None


def select(descriptors: dict[str, Descriptor], names: list[str], kind: str) -> list[Descriptor]:
    """The descriptors of these names, in that order.

    Args:
        descriptors: all descriptors of the release, by name.
        kind: audio or visual; also the name of the option that gave ``names``.

    Raises:
        InputError: a name is unknown, repeated, of the other kind, without its fold, a similarity, or has no file.
    """
    selected = []
    for name in names:
        name = name.strip().lower().removesuffix(":all")
        descriptor = descriptors.get(name)
        if descriptor is None:
            raise InputError(_unknown(name, [n for n in descriptors if descriptors[n].kind == kind], kind))
        if descriptor.kind != kind:
            raise InputError(f"--{kind}: '{name}' is of the other kind; give it as --{descriptor.kind}={name}")
        if descriptor in selected:
            raise InputError(f"--{kind}: '{name}' is given twice; name it once")
        selected.append(descriptor)
    return selected


def _unknown(name: str, available: list[str], kind: str) -> str:
    if name == "blf" or "sim" in name:
        components = [other for other in available if other.startswith("blf:")]
        return (
            f"--{kind}: '{name}': the release's blf_sim_matrix.csv holds similarities between movies, not features of "
            f"a movie; choose one of its components: {_listed(components)}"
        )
    if name.startswith("ivector") and "fold" not in name:
        return (
            f"--{kind}: '{name}' names no fold. i-vectors were fitted per item fold, so state the fold: "
            f"ivector:fold1:gmm128:tv100"
        )
    return f"--{kind}: no file of descriptor '{name}'.{nearest(name, available)} Available: {_listed(available)}"


class Release:
    """The files of a release in a source tree.

    Raises:
        InputError: the tree holds no release (no movie_description.csv).
    """

    def __init__(self, tree: SourceTree, source: object) -> None:
        description = tree.find(DESCRIPTION)
        if description is None:
            raise InputError(
                f"{source}: contains no {DESCRIPTION}, also not in subfolders or zips, so it is not MMTF-14K; give the "
                f"folder or zip of the release (Final_MMTF14K_Web.zip) with --source, or download it with --download"
            )
        self.description = description
        self._tree = tree
        self.descriptors: dict[str, Descriptor] = {}
        for name in tree.names():
            file = tree.find(name)
            if kind_and_name := descriptor_name(file.name):
                kind, name = kind_and_name
                self.descriptors[name] = Descriptor(name, kind, file)

    # ------------------------------------------------------------------------------------------------- movies

    def titles(self) -> dict[str, str]:
        """Title by movie id, in the order of the file.

        Raises:
            InputError: the file does not begin with the columns movieId and title, or has no movie.
        """
        header, rows = self._table(self.description)
        if [column.lower() for column in header[:2]] != ["movieid", "title"]:
            raise InputError(f"{self.description.path}: the first columns are {header[:2]}, but must be movieId, title")
        titles = {movie: (cells[0] if cells else "") for movie, cells in rows}
        if not titles:
            raise InputError(f"{self.description.path}: contains no movie; download the release again")
        return titles

    def years(self) -> dict[str, str]:
        """Year of production by movie id; empty where the release has no YearOfProd.csv."""
        file = self._tree.find("YearOfProd.csv")
        rows = self._table(file)[1] if file else []
        return {movie: year for movie, cells in rows if cells and (year := _year(cells[0]))}

    def genres(self) -> dict[str, list[str]]:
        """Genre names by movie id, from the 0/1 columns of GenreFeatures.csv; empty if the columns have no names."""
        file = self._tree.find("GenreFeatures.csv")
        header, rows = self._table(file) if file else ([], [])
        names = header[1:]
        if not all(re.search("[A-Za-z]{3}", name) for name in names):
            return {}
        is_one = ("1", "1.0")
        return {movie: [name for name, cell in zip(names, cells) if cell.strip() in is_one] for movie, cells in rows}

    def tags(self) -> tuple[SourceFile, np.ndarray]:
        """The file of tag features, and a mask bool [d] of its columns without a genre word, which may be an input.

        Raises:
            InputError: there is no such file, or its columns have no names, so genre words cannot be found.
        """
        file = self._tree.find(TAGS)
        if file is None:
            raise InputError(f"--tags: the release at {self.description.path} has no {TAGS}; leave --tags out")
        with vector_rows(file, progress=False) as rows:
            names = rows.columns
        if not any(re.search("[A-Za-z]{3}", name) for name in names):
            raise InputError(
                f"{file.path}: its columns have no names ('{names[0]}'), so tags that name a genre cannot be left out; "
                f"genre is a target, not an input: leave --tags out"
            )
        return file, np.array([mask_genre_words(name) == " ".join(name.split()) for name in names])

    def _table(self, file: SourceFile) -> tuple[list[str], list[tuple[str, list[str]]]]:
        """Header, and (movie id, other cells) of each row of a small file."""
        with file.open() as handle:
            rows = list(csv.reader(io.StringIO(_decode(handle.read()), newline="")))
        if not rows:
            raise InputError(f"{file.path}: is empty; download the release again")
        table = []
        for number, row in enumerate(rows[1:], start=2):
            if row:
                table.append((movie_id(row[0].encode(), file, number), row[1:]))
        return [cell.strip() for cell in rows[0]], table


def _decode(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")  # a copy that a user saved again
    except UnicodeDecodeError:
        return content.decode("latin1")


def _year(text: str) -> str:
    match = re.fullmatch(r"((?:18|19|20)\d\d)(?:\.0+)?", text.strip())
    return match.group(1) if match else ""


def _listed(names: list[str]) -> str:
    names = sorted(names)
    return (", ".join(names[:12]) or "none") + (f", … ({len(names)} in all)" if len(names) > 12 else "")


def movie_id(text: bytes, file: SourceFile, number: int) -> str:
    """The movie id as MovieLens writes it.

    Raises:
        InputError: ``text`` is not a whole number.
    """
    match = _MOVIE_ID.fullmatch(text.strip())
    if match is None:
        shown = text[:30].decode("latin1")
        raise InputError(f"{file.path} line {number}: '{shown}' is not a movieId (a whole number); correct the row")
    return match.group(1).decode()


# ------------------------------------------------------------------------------------------------------ wide files


@dataclass
class VectorRows:
    """The rows of a file of values, in blocks of about 256 kB.

    Attributes:
        columns: names of the values, d.
    """

    file: SourceFile
    columns: list[str]
    blocks: Iterator[tuple[list[str], np.ndarray]] = field(repr=False)

    def __iter__(self) -> Iterator[tuple[list[str], np.ndarray]]:
        """Movie ids [n] and values, float32 [n, d]; inf and nan are kept."""
        return self.blocks


@contextmanager
def vector_rows(file: SourceFile, progress: bool = True) -> Iterator[VectorRows]:
    """Open a file of values. Memory use is one block, for any number of rows.

    Raises:
        InputError: the first column is not movieId, a row has more or fewer values than the header, or a value is not
            a number. Names file and line.
    """
    with (
        file.open() as handle,
        tqdm(
            total=file.size,
            desc=file.name[:40],
            unit="B",
            unit_scale=True,
            leave=False,
            disable=None if progress else True,
        ) as bar,
    ):
        line = handle.readline()
        bar.update(len(line))
        columns = next(csv.reader([_decode(line)]), [])
        if not columns or columns[0].strip().lower() not in ("movieid", "itemid"):
            shown = columns[0][:30] if columns else ""
            raise InputError(f"{file.path}: the first column is '{shown}', but must be movieId, with a header row")
        if len(columns) < 2:
            raise InputError(f"{file.path}: the header has no column besides movieId; download the file again")
        names = [column.strip() for column in columns[1:]]
        yield VectorRows(file, names, _blocks(handle, file, len(names), bar))


def _blocks(handle, file: SourceFile, dimension: int, bar: tqdm) -> Iterator[tuple[list[str], np.ndarray]]:
    first_line = 2
    while lines := handle.readlines(_BLOCK_BYTES):
        bar.update(sum(map(len, lines)))
        ids, texts, line_numbers = [], [], []
        for line_number, line in enumerate(lines, start=first_line):
            id_text, _, text = line.strip().partition(b",")
            if not id_text:
                continue
            if text.count(b",") + 1 != dimension:
                raise InputError(
                    f"{file.path} line {line_number}: {text.count(b',') + 1} values, but the header names {dimension}; "
                    f"the file is truncated or damaged: download it again"
                )
            ids.append(movie_id(id_text, file, line_number))
            texts.append(_AROUND_COMMAS.sub(b",", text) if b" " in text else text)
            line_numbers.append(line_number)
        first_line += len(lines)
        if ids:
            yield ids, _parse(texts, line_numbers, dimension, file)


def _parse(texts: list[bytes], line_numbers: list[int], dimension: int, file: SourceFile) -> np.ndarray:
    text = b",".join(texts) + b","
    ends = np.flatnonzero(np.frombuffer(text, np.uint8) == ord(","))
    try:
        return parse_decimals(text, ends).reshape(-1, dimension)
    except NotANumber as error:
        row, column = divmod(error.index, dimension)
        raise InputError(
            f"{file.path} line {line_numbers[row]}: value {column + 1} is '{error.text}', not a number; download the "
            f"file again"
        ) from None
