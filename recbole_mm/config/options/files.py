"""properties/overall.yaml and properties/model/NAME.yaml, written from the table of options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recbole_mm.config.options.models import MODEL_OPTIONS
from recbole_mm.config.options.option import Option, Section
from recbole_mm.config.options.overall import OVERALL
from recbole_mm.config.sources import write_value

COMMAND = "python -m recbole_mm.config.options"
_GENERATED = f"# Written by `{COMMAND}` from recbole_mm/config/options: change a default there."
_OVERALL_HEAD = """\
# Options of every run, on top of RecBole's own (recbole/properties/overall.yaml, which keep their meaning).
# Stronger, in this order: command line, config dict, config files, NAME.yaml beside the files of data set NAME,
# properties/protocol, properties/rating.yaml (built-in models trained on ratings), properties/dataset,
# properties/model, this file, RecBole's files. A protocol that is given keeps its own split and metrics; in those,
# NAME.yaml is weaker."""
_SHOWN = {"number": "float"}  # the kinds' names in RecBole's files
_COLUMN = 28


def property_files() -> dict[str, str]:
    """Path below properties/ -> text of each file that the table makes."""
    files = {"overall.yaml": _text(_OVERALL_HEAD, OVERALL)}
    for model, options in MODEL_OPTIONS.items():
        files[f"model/{model}.yaml"] = _text(f"# {model}: {options.summary}", options.sections)
    return files


def stale_files(properties: Path) -> list[str]:
    """Names of the `property_files` that are absent from a folder or differ there. Other files are ignored."""
    texts = property_files().items()
    paths = {name: properties / name for name, _ in texts}
    return [
        name for name, text in texts if not paths[name].is_file() or paths[name].read_text(encoding="utf-8") != text
    ]


def write_files(properties: Path) -> list[str]:
    """Write the stale files; returns their names."""
    stale, texts = stale_files(properties), property_files()
    for name in stale:
        path = properties / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(texts[name], encoding="utf-8")
    return stale


def _text(head: str, sections: tuple[Section, ...]) -> str:
    blocks = [f"{head}\n{_GENERATED}"]
    for section in sections:
        blocks.append("\n".join([f"# ---- {section.title}", *map(_line, section.options)]))
    return "\n\n".join(blocks) + "\n"


def _line(option: Option) -> str:
    """``name: default     # (kind, range) help``."""
    value = f"{option.name}: {_written(option.default)}"
    kind = next((kind for kind in option.all_kinds if kind != "none"), "none")
    shown = _SHOWN.get(kind, kind) + (f", {option.range.text}" if option.range else "")
    return f"{value:<{_COLUMN - 1}} # ({shown}) {option.help}"


def _written(default: Any) -> str:
    if default is None:
        return "~"
    return write_value(list(default) if isinstance(default, tuple) else default)
