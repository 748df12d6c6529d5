"""One run of a table: what is run, and where its result is kept."""

from __future__ import annotations

import json
import zipfile
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

from recbole_mm.config.sources import write_arguments

TOOLS = {
    "run": "recbole_mm.benchmark.model_run:model_cell",
    "blend": "recbole_mm.benchmark.blend:blend_cell",
    "kernel": "recbole_mm.benchmark.kernel_genres:kernel_cell",
    "logistic": "recbole_mm.benchmark.logistic_genres:logistic_cell",
    "tail": "recbole_mm.benchmark.tail:tail_cell",
    "missing": "recbole_mm.benchmark.missing_modalities:missing_cell",
    "transfer": "recbole_mm.benchmark.transfer:transfer_cell",
}
"""What a row may be made by: a run of a model, or another command of the benchmark; each is 'module:function'.

The function takes a `Cell` and returns what its file is to hold.
"""

KEEP_PREDICTIONS = ("run", "blend", "tail", "transfer")
"""Tools that keep predictions of the test part, from which rows are tested."""
_OF_TOOLS = ("tool", "parts", "to")


@dataclass(frozen=True)
class Cell:
    """One run of a table.

    Attributes:
        row: its name in the table.
        options: of the run, without those below; ``tool`` says what runs (by default a model), ``parts`` are the
            options of the models that tool ``blend`` trains, ``to`` is the data set whose new movies tool ``transfer``
            predicts.
        file: where its result is kept: a JSON object with ``valid`` and ``test``, or ``lines`` of them.
    """

    row: str
    dataset: str
    options: dict
    protocol: str
    seed: int
    file: Path

    @property
    def tool(self) -> str:
        """A key of `TOOLS`."""
        return self.options.get("tool", "run")

    @property
    def parts(self) -> list[Cell]:
        """A cell for each model of a blend; their results are not kept."""
        own = {name: value for name, value in self.options.items() if name not in (*_OF_TOOLS, "model")}
        return [replace(self, options={**own, **part}) for part in self.options.get("parts", [])]

    @property
    def keeps_predictions(self) -> bool:
        """Whether it leaves the file ``predictions``."""
        return self.tool in KEEP_PREDICTIONS

    @property
    def predictions(self) -> Path:
        """What each pair and each user of the test part got."""
        return self.file.with_suffix(".npz")

    @property
    def done(self) -> bool:
        """Whether its result is there."""
        return self.file.is_file() and (self.predictions.is_file() or not self.keeps_predictions)

    @property
    def checkpoints(self) -> Path:
        """Folder of its checkpoint while it runs."""
        return self.file.with_suffix(".checkpoints")

    def damage(self) -> str | None:
        """Why the result that is there cannot be read, or None."""
        try:
            result = json.loads(self.file.read_text(encoding="utf-8"))
            for line in result.get("lines", [result]):
                if not all(isinstance(line[part], dict) for part in ("valid", "test")):
                    return f"{self.file}: is not the result of a run"
        except (ValueError, LookupError, TypeError, AttributeError, OSError) as error:
            return f"{self.file}: is not the result of a run ({' '.join(f'{type(error).__name__}: {error}'.split())})"
        if not self.keeps_predictions:
            return None
        try:
            with zipfile.ZipFile(self.predictions) as archive:
                broken = archive.testzip()
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as error:
            return f"{self.predictions}: are not the predictions of a run ({' '.join(str(error).split())})"
        return None if broken is None else f"{self.predictions}: {broken} is damaged"

    def arguments(self) -> list[str]:
        """Options of `recbole-mm run`."""
        given = {name: value for name, value in self.options.items() if name not in _OF_TOOLS}
        given = {"dataset": self.dataset, **given, "protocol": self.protocol, "seed": self.seed}
        given["checkpoint_dir"] = str(self.checkpoints)
        return write_arguments({**given, "show_progress": False, "state": "ERROR"})
