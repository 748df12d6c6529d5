"""PROVENANCE.md of a dataset made of MMTF-14K descriptors: fields, source files and counts."""

from __future__ import annotations

from recbole_mm.datasets.atomic_writer import Counts
from recbole_mm.datasets.mmtf_14k.content_fields import WHAT
from recbole_mm.datasets.mmtf_14k.release import Descriptor

_TEXT = """\
# Where {dataset} comes from

Written by `recbole-mm prepare {dataset}`. Do not commit or redistribute anything in this folder except this page:
ratings and descriptors are third-party data.

| field | descriptor | file | movies with a vector | values |
|---|---|---|---|---|
{fields}

{folds}Vectors are the released values as float32, by MovieLens-20M movie id. Rows with inf or nan are dropped; their
vectors are missing. No statistic was computed here: each run fits clipping, standardising and principal components
(`pca_components`) on its training movies.

Ratings are in a random order, the same in each build. So the folds u1 … u5, which are blocks of rows, are random parts
of the ratings. MovieLens orders ratings by user.

Genres (column `class`) are a target, not an input. IMAX is a film format and is left out.{tags}

## Counts

{counts}

## Sources

{sources}"""
_FOLD = """\
**i-vectors were fitted per item fold** by their publisher. The i-vectors here are from {folds}: state the fold with
every result. The name of the field contains it.

"""
_TAGS = """

Field `tags`: the release's tag features, without tags that contain a genre word. Users gave tags at any time, also
after a test rating."""

_CONTENT = """

Fields `text`, `words`, `meta` and `keywords` were computed from tables of yours, whose licences hold for them: words
for genres are taken out; then the sentence embedding (all-MiniLM-L6-v2), or tf-idf and truncated SVD. Their statistics
see all movies of the release, no rating and no genre. What made them lies beside them (`….encoder.npz`)."""


def provenance(dataset: str, descriptors: list[Descriptor], counts: Counts, sources: str) -> str:
    """The page as markdown. It depends on the data only, not on the time or the machine."""
    rows, folds = [], []
    for descriptor in descriptors:
        written = counts.fields[descriptor.field]
        rows.append(
            f"| `{descriptor.field}` | {descriptor.name} | `{descriptor.file.name}` | {written.vectors:,} of "
            f"{counts.movies:,} | {written.dimension} |"
        )
        folds += [f"fold {part[4:]}" for part in descriptor.name.split(":") if part.startswith("fold")]
    tags = counts.fields.get("tags")
    if tags:
        rows.append(f"| `tags` | – | `TagFeatures.csv` | {tags.vectors:,} of {counts.movies:,} | {tags.dimension} |")
    of_content = {name: counts.fields[name] for name in WHAT if name in counts.fields}
    for name, written in of_content.items():
        rows.append(
            f"| `{name}` | {WHAT[name]} | yours | {written.vectors:,} of {counts.movies:,} | {written.dimension} |"
        )
    return _TEXT.format(
        dataset=dataset,
        fields="\n".join(rows),
        folds=_FOLD.format(folds=" and ".join(sorted(set(folds)))) if folds else "",
        tags=(_TAGS if tags else "") + (_CONTENT if of_content else ""),
        counts="\n".join(f"- {line}" for line in counts.lines()),
        sources=sources,
    )
