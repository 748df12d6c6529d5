"""The options of a run as plain values, and the same run again with some of them changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recbole_mm.config import processes
from recbole_mm.config.options.table import values_before
from recbole_mm.config.schema import DERIVED
from recbole_mm.config.sources import COMMAND_LINE, CONFIG_DICT, given_options, read_packaged
from recbole_mm.errors import InputError
from recbole_mm.resources import resource_dir

if TYPE_CHECKING:
    from typing_extensions import Self

_EVALUATION = ("protocol", "metrics", "topk", "valid_metric", "valid_metric_bigger", "eval_args")
_RUNTIME = {*DERIVED, *processes.OPTIONS}


class PlainValues:
    """The part of a `Config` that is read from checkpoints and written to them.

    Attributes:
        final_config_dict, internal_config_dict, given: see there.
    """

    final_config_dict: dict[str, Any]
    internal_config_dict: dict[str, Any]
    given: dict[str, Any]
    _eval_args: Any

    def plain(self) -> dict[str, Any]:
        """Options as plain values (None, bool, int, float, str, list, dict), for JSON and checkpoints.

        Options that follow from other options or from the machine are left out; `from_plain` sets them again.
        """
        final = self.final_config_dict
        plain = {key: _plain(value) for key, value in final.items() if key not in _RUNTIME}
        plain["metrics"] = [name for names in final["metrics_of"].values() for name in names]
        plain["eval_args"] = _plain(self._eval_args)
        plain["data_path"] = self.given.get("data_path", self.internal_config_dict["data_path"])
        negatives = plain["train_neg_sample_args"]
        if negatives is not None and negatives["distribution"] == "none":
            plain["train_neg_sample_args"] = None
        return plain

    @classmethod
    def from_plain(
        cls, plain: Mapping[str, Any], arguments: Sequence[str] = (), source: str | Path | None = None
    ) -> Self:
        """The config of a result of `plain`, with some options changed.

        Args:
            plain: result of `plain`.
            arguments: ``--option=value``; a protocol among them sets its own split and metrics; metrics among them
                reset ``valid_metric``.
            source: file that ``plain`` comes from.

        Raises:
            InputError: see `Config`; what is wrong in ``plain`` is an error of ``source``.
        """
        changes = given_options(arguments=arguments)
        kept = {**values_before(plain["model"]), **plain}
        model, dataset = kept.pop("model"), kept.pop("dataset")
        if "protocol" in changes and changes["protocol"].value != kept.get("protocol"):
            of_protocol = {key for path in _protocol_files() for key in read_packaged(path)}
            for key in [*of_protocol, *_EVALUATION]:
                if key != "builtin_task":  # the trained model stays the same
                    kept.pop(key, None)
        if "metrics" in changes:
            kept.pop("valid_metric", None)
        kept.pop("valid_metric_bigger", None)
        try:
            return cls(model, dataset, config_dict=kept, arguments=arguments)
        except InputError as error:
            if source is None or str(error).startswith(COMMAND_LINE):
                raise
            what = str(error).removeprefix(f"{CONFIG_DICT}: ")
            raise InputError(f"{source}: its options do not fit: {what}") from error


def _protocol_files() -> list[Path]:
    return sorted((resource_dir("properties") / "protocol").glob("*.yaml"))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"an option holds {type(value).__name__}, which is not a plain value")
