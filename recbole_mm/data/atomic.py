"""Checks of RecBole's atomic files before RecBole reads them, with errors that name file, field and remedy."""

from __future__ import annotations

from pathlib import Path

from recbole_mm.errors import InputError, nearest

TYPES = ("token", "float", "token_seq", "float_seq")


def check_atomic_files(config) -> None:
    """Check the headers of ``<dataset>.inter``, ``.item`` and ``.user`` against the options of the run.

    Raises:
        InputError: the folder or the .inter file is absent, a header is wrong, or a field the run needs is not there.
    """
    folder, dataset = Path(config["data_path"]), config["dataset"]
    if not folder.is_dir():
        others = [path.name for path in folder.parent.iterdir() if path.is_dir()] if folder.parent.is_dir() else []
        raise InputError(
            f"dataset '{dataset}': no folder {folder}.{nearest(dataset, [*others, 'ml-100k-mm'])} Put the atomic files "
            f"there, or set --data_path to the folder that holds '{dataset}/'"
        )
    needed = {"inter": [config["USER_ID_FIELD"], config["ITEM_ID_FIELD"]]}
    if config["rating_metrics"]:
        needed["inter"].append(config["RATING_FIELD"])
    for source in ("inter", "item", "user"):
        path = folder / f"{dataset}.{source}"
        wanted = (config["load_col"] or {}).get(source) or []
        wanted = [] if wanted == "*" else list(wanted)
        if not path.is_file():
            if source == "inter" or (source == "item" and wanted):
                raise InputError(
                    f"{path}: no such file; the dataset needs it"
                    + ("" if source == "inter" else " (or take it out of load_col)")
                )
            continue
        fields = read_header(path, config["field_separator"])
        for field in [*needed.get(source, []), *wanted]:
            if field not in fields:
                raise InputError(
                    f"{path}: no field '{field}' in the header ({', '.join(fields)}).{nearest(field, fields)} Add the "
                    f"column, or name the right one in the dataset's yaml (load_col, *_FIELD)"
                )


def read_header(path: Path, separator: str = "\t") -> dict[str, str]:
    """Field names and types of an atomic file, in file order.

    Raises:
        InputError: the first line is not ``name:type`` columns of RecBole's four types.
    """
    with path.open(encoding="utf-8") as file:
        header = file.readline().rstrip("\r\n")
    fields: dict[str, str] = {}
    for column in header.split(separator):
        name, colon, kind = column.rpartition(":")
        if not colon or not name or kind not in TYPES:
            shown = column if len(column) <= 40 else column[:40] + "…"
            raise InputError(
                f"{path}: header column '{shown}' is not 'name:type' with a type of {', '.join(TYPES)}; the first line "
                f"names the columns, e.g. 'user_id:token<TAB>item_id:token<TAB>rating:float'"
            )
        if name in fields:
            raise InputError(f"{path}: field '{name}' stands twice in the header; remove one")
        fields[name] = kind
    return fields
