"""Options as the user sets them: on the command line, in yaml files, in a dict. Their meaning is not checked here.

Values are YAML, never evaluated as Python. Each option keeps its origin, so that an error can name it.
"""

from __future__ import annotations

import copy
import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from recbole_mm.errors import InputError
from recbole_mm.resources import resource_dir

COMMAND_LINE = "command line"
CONFIG_DICT = "config_dict"
FILE_OPTIONS = ("config_files", "config_file")  # RecBole's script and RecBole's argument list name it differently


@dataclass(frozen=True)
class Given:
    """One option's value and where it comes from.

    Attributes:
        text: the text as typed, on the command line only (it may be meant as text).
    """

    value: Any
    origin: str
    text: str | None = None


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, with floats as RecBole reads them (1e-3 is one) and without dates and base-60 numbers."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":float", ":int", ":timestamp"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"""^(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?
            |[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+
            |[-+]?\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?
            |[-+]?\.(?:inf|Inf|INF)
            |\.(?:nan|NaN|NAN))$""",
        re.X,
    ),
    list("-+0123456789."),
)
# Decimal only: "010" is not 8. A leading zero stays text, as does "1:30".
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0|[1-9][0-9_]*)$"), list("-+0123456789"))


def load_yaml(text: str) -> Any:
    """Plain Python value of a YAML text.

    Raises:
        yaml.YAMLError: not YAML, or YAML that asks for a Python object.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except (ValueError, TypeError, RecursionError) as error:  # e.g. a list as a mapping's key, a tag on the wrong node
        raise yaml.YAMLError(str(error)) from error


def parse_value(text: str) -> Any:
    """A value typed on the command line: a YAML scalar, list or mapping; 'None' is null; what is not YAML stays text.

    >>> parse_value("1e-3"), parse_value("[64, 32]"), parse_value("None"), parse_value("[0,inf)")
    (0.001, [64, 32], None, '[0,inf)')
    """
    if not text.strip():
        return text  # YAML's null; here '' and ' ' are meant (gpu_id, seq_separator)
    try:
        return _none_words(load_yaml(text))
    except yaml.YAMLError:
        return text


def _none_words(value: Any) -> Any:
    if isinstance(value, str):
        return None if value == "None" else value
    if isinstance(value, list):
        return [_none_words(item) for item in value]
    if isinstance(value, dict):
        return {_none_words(key): _none_words(item) for key, item in value.items()}
    return value


def read_arguments(arguments: Iterable[str]) -> dict[str, Given]:
    """Options of a command line, each ``--key=value`` (the value may hold '=').

    Raises:
        InputError: an argument of another form, or one key with two values.
    """
    given: dict[str, Given] = {}
    for argument in arguments:
        key, equals, text = argument.removeprefix("--").partition("=")
        if not argument.startswith("--") or not equals or not key:
            raise InputError(f"{COMMAND_LINE}: {argument!r} is not of the form --option=value")
        if key in given and given[key].text != text:
            raise InputError(f"{COMMAND_LINE}: --{key} is given twice ({given[key].text!r} and {text!r}); keep one")
        given[key] = Given(parse_value(text), COMMAND_LINE, text)
    return given


def write_arguments(given: Mapping[str, Any]) -> list[str]:
    """The command line that `read_arguments` reads back to the same plain values."""
    return [f"--{key}={write_value(value)}" for key, value in given.items()]


class _Dumper(yaml.SafeDumper):
    """Quotes the strings that `_Loader` would read as something else."""

    yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers

    def ignore_aliases(self, data: Any) -> bool:
        return True


def write_value(value: Any) -> str:
    """One line of YAML that `load_yaml` reads back to the same plain value."""
    text = yaml.dump(value, Dumper=_Dumper, default_flow_style=True, width=float("inf"))
    return text.removesuffix("\n").removesuffix("\n...")


def read_mapping(path: Path) -> dict[str, Any]:
    """Options in a yaml file; an empty file has none.

    Raises:
        InputError: the file cannot be read, is not YAML, or is not a mapping of option names to values.
    """
    try:
        values = load_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({_one_line(error)}); give a yaml file of options") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML ({_one_line(error)})") from error
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise InputError(f"{path}: not a mapping; write one 'option: value' on each line")
    return values


def read_packaged(path: Path) -> dict[str, Any]:
    """`read_mapping` of a file that does not change while the program runs; the result is the caller's own."""
    return copy.deepcopy(_read_once(path))


_read_once = functools.cache(read_mapping)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def find_file(name: str | Path) -> Path:
    """A yaml file where the path says, else under the package's properties/.

    Raises:
        InputError: it is in neither place.
    """
    places = (Path(name), resource_dir("properties") / name)
    for path in places:
        if path.is_file():
            return path
    raise InputError(f"{name}: no such file, neither here nor under {places[1].parent}; check --config_files")


def given_options(
    config_file_list: Sequence[str | Path] | None = None,
    config_dict: Mapping[str, Any] | None = None,
    arguments: Sequence[str] = (),
) -> dict[str, Given]:
    """Everything the user set, the stronger source first: command line, then dict, then files (the last file first).

    Raises:
        InputError: a source is malformed. Names and types are not checked here.
    """
    typed = read_arguments(arguments)
    in_dict = {}
    for key, value in (config_dict or {}).items():
        if not isinstance(key, str):
            raise InputError(f"{CONFIG_DICT}: {key!r} is not an option name; option names are strings")
        in_dict[key] = Given(value, CONFIG_DICT)
    files = list(config_file_list or [])
    for option in FILE_OPTIONS:
        for source in (in_dict, typed):
            if option in source:
                files += _file_names(source.pop(option))
    in_files: dict[str, Given] = {}
    for name in files:
        path = find_file(name)
        in_files.update({key: Given(value, str(path)) for key, value in read_mapping(path).items()})
    return {**in_files, **in_dict, **typed}


def dataset_options(data_path: Given, dataset: str, refused: Iterable[str]) -> dict[str, Given]:
    """Options in ``<data_path>/<dataset>/<dataset>.yaml``, the file beside a data set's own files.

    Args:
        data_path: folder that holds the data set's folder.
        refused: options that such a file must not set.

    Returns:
        Its options by name; none where there is no such file.

    Raises:
        InputError: the file is malformed or holds a refused option. Other names and types are not checked here.
    """
    folder = data_path.value if data_path.text is None else data_path.text
    path = Path(str(folder)) / dataset / f"{dataset}.yaml"
    if not path.is_file():
        return {}
    given = {key: Given(value, str(path)) for key, value in read_mapping(path).items()}
    for option in refused:
        if option in given:
            raise InputError(
                f"{path}: option '{option}' has no place in the file of a data set; give it on the command line or in "
                f"--config_files"
            )
    return given


def _file_names(given: Given) -> list[str]:
    if isinstance(given.value, list):
        return [str(name) for name in given.value]
    return str(given.value if given.text is None else given.text).split()
