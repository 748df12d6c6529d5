"""Which tasks a run learns: the tasks that the user asks for, or all that the data allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recbole_mm.data.atomic import read_header
from recbole_mm.errors import InputError, NotInDataError, nearest
from recbole_mm.model.capabilities import Capabilities
from recbole_mm.model.tasks.base import Requirement, Task


def header_of(options: Mapping[str, Any], file: str) -> tuple[Path, list[str] | None]:
    """An atomic file of the data set and the fields in its header; None if the file is not there.

    Args:
        options: of the run, before RecBole has added the data set's name to ``data_path``.
        file: inter, item or user.

    Raises:
        InputError: the header is malformed.
    """
    dataset = options["dataset"]
    part = f".{options['benchmark_filename'][0]}" if file == "inter" and options.get("benchmark_filename") else ""
    path = Path(options["data_path"]) / dataset / f"{dataset}{part}.{file}"
    if not path.is_file():
        return path, None
    return path, list(read_header(path, options["field_separator"], options.get("encoding") or "utf-8"))


def reads_field(options: Mapping[str, Any], option: str, file: str) -> str | None:
    """Why the run does not read a field; None if it does.

    Files that are not there yet are built at the first use; such a data set counts as having every field.

    Args:
        option: the option that names the field.
        file: the atomic file that holds it.
    """
    field, load_col = options[option], options.get("load_col")
    path, header = header_of(options, file)
    if header is None and _is_there(options):
        return f"there is no file {path}"
    if header is not None and field not in header:
        return f"{path} has no field '{field}' (option {option}).{nearest(field, header)}"
    wanted = load_col if load_col is None else load_col.get(file)
    if load_col is not None and (wanted is None or (wanted != "*" and field not in wanted)):
        return f"option load_col does not read field '{field}' of {path.name}"
    return None


def _is_there(options: Mapping[str, Any]) -> bool:
    return header_of(options, "inter")[1] is not None


def default_columns(options: Mapping[str, Any]) -> dict[str, list[str]] | None:
    """``load_col`` if nobody has set it: the fields named by options that the data set's files have.

    Returns:
        None if the .inter file is not there.
    """
    wanted = {
        "inter": ("USER_ID_FIELD", "ITEM_ID_FIELD", "RATING_FIELD", "TIME_FIELD"),
        "item": ("ITEM_ID_FIELD", "title_field", "year_field", "genre_field"),
    }
    columns = {}
    for file, names in wanted.items():
        header = header_of(options, file)[1]
        if header is not None:
            columns[file] = [options[name] for name in names if options[name] in header]
    return columns if "inter" in columns else None


def choose_tasks(
    possible: Mapping[str, type[Task]], options: Mapping[str, Any], given: Mapping[str, Any]
) -> tuple[list[type[Task]], str | None]:
    """The tasks of a run in the order of ``possible``, and a line for the log if the data do not allow all of them.

    Args:
        possible: tasks that the model can learn.
        options: of the run; ``tasks`` is ``None`` for all that the data allow.
        given: options that the user set.

    Raises:
        InputError: an unknown task, no task, or a task whose field the data lack.
    """
    asked: Sequence[str] | None = options["tasks"]
    if asked is not None:
        for name in asked:
            if name not in possible:
                raise InputError(
                    f"option 'tasks': '{name}' is not a task.{nearest(str(name), possible)} "
                    f"Tasks: {', '.join(possible)}"
                )
        if not asked:
            raise InputError(f"option 'tasks' is empty; name at least one of {', '.join(possible)}")
    chosen, left_out = [], []
    for name, task in possible.items():
        if asked is not None and name not in asked:
            continue
        reason, requirement = _lacking(task, options)
        if requirement is None:
            chosen.append(task)
        elif asked is not None or requirement.option in given:
            others = ", ".join(other for other in (asked or possible) if other != name)
            raise NotInDataError(
                f"task '{name}' needs the field that option {requirement.option} names, but {reason} Add the field, "
                f"name the right one, or leave '{name}' out: --tasks=[{others}]"
            )
        else:
            left_out.append(f"{name} is left out, since {reason.rstrip('.')}")
    if not chosen:
        raise NotInDataError(f"option 'tasks': the data allow none of the tasks: {'; '.join(left_out)}")
    names = ", ".join(task.name for task in chosen)
    return chosen, f"tasks: {names} ({'; '.join(left_out)})" if left_out else None


def check_fields(model: str, capabilities: Capabilities, options: Mapping[str, Any]) -> None:
    """The data must have the fields that a model without tasks learns from.

    Raises:
        NotInDataError: ratings or genres are not there, or are not read.
    """
    needed = [
        (capabilities.predicts_ratings, "ratings", "RATING_FIELD", "inter"),
        (capabilities.reads_genres, "genres", "genre_field", "item"),
    ]
    for needs, what, option, file in needed:
        reason = reads_field(options, option, file) if needs else None
        if reason is not None:
            raise NotInDataError(
                f"{model} learns from {what}, but {reason.rstrip('.')}; add the field, name the right one, or take "
                f"another model"
            )


def _lacking(task: type[Task], options: Mapping[str, Any]) -> tuple[str, Requirement | None]:
    """Why the data do not allow the task, and the requirement that they do not meet."""
    for requirement in task.requires():
        reason = reads_field(options, requirement.option, requirement.file)
        if reason is not None:
            return reason if reason.endswith(("?", ".")) else f"{reason}.", requirement
    return "", None
