"""Tasks of this package, in the order in which a model creates them."""

from __future__ import annotations

from recbole_mm.model.tasks.base import Task
from recbole_mm.model.tasks.genre import GenreTask
from recbole_mm.model.tasks.ranking import RankingTask
from recbole_mm.model.tasks.rating import RatingTask

TASKS: dict[str, type[Task]] = {task.name: task for task in (RatingTask, GenreTask, RankingTask)}
"""Name in the option ``tasks`` -> class."""
