"""PROVENANCE.md of a dataset made of MMTF-14K descriptors: what was built, from which files, with which counts."""

from __future__ import annotations

from recbole_mm.datasets.atomic_writer import Counts
from recbole_mm.datasets.mmtf_14k.release import Descriptor

_TEXT = """\
# Where {dataset} comes from

Written by `recbole-mm prepare {dataset}`. Nothing here but this page may be committed or passed on: ratings and
descriptors are third-party data.

| field | descriptor | file | movies with a vector | values |
|---|---|---|---|---|
{fields}

{folds}Vectors are as released, as float32, by MovieLens-20M movie id. Rows with inf or nan are dropped, which makes the
vector missing. No statistic of any kind was computed: clipping, standardising and principal components
(`pca_components`) are fitted by each run on its training movies.

Ratings are in a random order, the same at each building, where MovieLens orders them by user: the folds u1 … u5, which
are blocks of rows, are random parts of them.

Genres (column `class`) are a target and no input. IMAX is a format and left out of them.{tags}

## Counts

{counts}

## Sources

{sources}"""
_FOLD = """\
**i-vectors were fitted per item fold** by their publisher, and those here are of {folds}: state it with every result.
The name of the field does.

"""
_TAGS = """

Field `tags`: the release's tag features without the columns whose tag holds a word that names a genre. Tags were given
by users at any time, also after a rating that is tested."""


def provenance(dataset: str, descriptors: list[Descriptor], counts: Counts, sources: str) -> str:
    """The page as markdown. The same data give the same text, wherever and whenever they are built."""
    rows, folds = [], []
    for descriptor in descriptors:
        of = counts.fields[descriptor.field]
        rows.append(
            f"| `{descriptor.field}` | {descriptor.name} | `{descriptor.file.name}` | {of.vectors:,} of "
            f"{counts.movies:,} | {of.dimension} |"
        )
        folds += [f"fold {part[4:]}" for part in descriptor.name.split(":") if part.startswith("fold")]
    tags = counts.fields.get("tags")
    if tags:
        rows.append(f"| `tags` | – | `TagFeatures.csv` | {tags.vectors:,} of {counts.movies:,} | {tags.dimension} |")
    return _TEXT.format(
        dataset=dataset,
        fields="\n".join(rows),
        folds=_FOLD.format(folds=" and ".join(sorted(set(folds)))) if folds else "",
        tags=_TAGS if tags else "",
        counts="\n".join(f"- {line}" for line in counts.lines()),
        sources=sources,
    )
