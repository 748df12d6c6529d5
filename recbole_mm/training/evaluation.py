"""What all trainers share: evaluation of every metric family that the run asks for, checkpoints that run no code."""

from __future__ import annotations

import math
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from logging import LoggerAdapter
from time import perf_counter
from typing import Any

import numpy as np
import torch
from recbole.data.dataloader import FullSortEvalDataLoader
from recbole.model.abstract_recommender import AbstractRecommender
from recbole.utils import get_local_time

from recbole_mm import compat
from recbole_mm.data.dataloader import EvaluationData
from recbole_mm.errors import InputError
from recbole_mm.evaluation.families import FAMILIES
from recbole_mm.evaluation.metrics import UserEvaluator
from recbole_mm.training import distributed
from recbole_mm.training.checkpoint import restore, save_checkpoint
from recbole_mm.training.checkpoint_checks import check_optimizer

# A bar for each evaluation of a second would bury the log; from this many batches on it is worth one.
LONG_EVALUATION = 50
_EPOCH = re.compile(r"(?<=epoch )\d+(?= evaluating)|(?<=best eval result in epoch )\d+")  # messages of RecBole's `fit`


class CountedFromOne(LoggerAdapter):
    """The log of a trainer: the epochs of RecBole's messages are counted from 1, as in results and tables."""

    def process(self, msg: Any, kwargs: Any) -> tuple[Any, Any]:
        return _EPOCH.sub(lambda found: str(int(found[0]) + 1), str(msg)), kwargs


class EvaluationMixin:
    """What every trainer of this package does, whichever RecBole trainer it stands on.

    Attributes:
        epoch: that is trained or was trained last; None before the first.
        history: one dict for each epoch: epoch, seconds, losses by name, statistics by name, valid by metric.
        processes: those that train together.
        throughput: of the last evaluation: ``pairs`` rated a second, ``users`` ranked a second (with their metrics).
        data_fingerprint: set by quick_start; kept in checkpoints so that one is not applied to other data.
    """

    def __init__(self, config, model) -> None:
        self.processes = distributed.current()
        if self.processes.rank:
            compat.no_tensorboard()
        super().__init__(config, model)
        # RecBole's name has a resolution of one second: two runs would share a file.
        name = f"{config['model']}-{config['dataset']}-{get_local_time()}-{secrets.token_hex(3)}.pt"
        self.saved_model_file = os.path.join(self.checkpoint_dir, name)
        self.history: list[dict] = []
        self.throughput: dict[str, float] = {}
        self.data_fingerprint = ""
        self.epoch: int | None = None
        self._candidates: torch.Tensor | None = None
        self.logger = CountedFromOne(self.logger, {})
        self.evaluator = UserEvaluator(config)
        of_tasks = {task.family.name: task.family for task in config.task_classes}
        self.families = {**FAMILIES, **of_tasks}

    # ------------------------------------------------------------------ training

    def _train_epoch(self, train_data, epoch_idx, loss_func=None, show_progress=False):
        start = perf_counter()
        self._seed_epoch(train_data, epoch_idx)
        with self._asking_for_fields(train_data):
            losses = super()._train_epoch(train_data, epoch_idx, loss_func, show_progress)
        self.history.append({"epoch": epoch_idx + 1, "seconds": perf_counter() - start, "losses": _by_name(losses)})
        self.check_finite(_by_name(losses))
        return losses

    @contextmanager
    def _asking_for_fields(self, data) -> Iterator[None]:
        """A field that a model of RecBole asks its batches for and that they lack, as one line that names options."""
        try:
            yield
        except KeyError as error:
            field = str(error).strip("'")
            fields = {self.config[name] for name in self.config.parameters["Dataset"] if name.endswith("_FIELD")}
            prefix = self.config["NEG_PREFIX"]
            if field not in fields and not field.startswith(prefix):
                raise
            held = ", ".join(data.dataset.inter_feat.columns)
            raise InputError(
                f"{self.config['model']} asks for field '{field}', but this run's data have {held}; check the options "
                f"load_col, train_neg_sample_args, threshold and LABEL_FIELD"
            ) from error

    def train_epoch(self, train_data, epoch: int) -> float:
        """One epoch without validation, for measurements; returns its seconds."""
        self._train_epoch(train_data, epoch, show_progress=False)
        return self.history[-1]["seconds"]

    def _seed_epoch(self, train_data, epoch_idx: int) -> None:
        """The random numbers of an epoch depend on seed and epoch only, so resuming equals never having stopped.

        Ranks draw numbers of their own, but share out the same batches, whose order is the loader's generator's.
        """
        self.epoch = epoch_idx
        seed = own = _seed_of(self.config["seed"], epoch_idx)
        if self.processes.rank:
            own = _seed_of(self.config["seed"], epoch_idx, self.processes.rank)
        torch.manual_seed(own)
        np.random.seed(own)  # noqa: NPY002 - RecBole's samplers draw from it
        if train_data.generator is not None:
            train_data.generator.manual_seed(seed)

    def _check_nan(self, loss: torch.Tensor) -> None:
        if not torch.isfinite(loss):
            raise InputError(self._diverged("training loss", float(loss)))

    def check_finite(self, losses: dict[str, float]) -> None:
        """Refuse to go on from an epoch whose losses or weights are not finite: nothing of it is saved.

        Raises:
            InputError: names epoch, learning rate and the last good checkpoint.
        """
        for name, value in losses.items():
            if not math.isfinite(value):
                raise InputError(self._diverged(f"training loss '{name}'", value))
        for name, weight in self.model.named_parameters():
            if not torch.isfinite(weight).all():
                raise InputError(self._diverged(f"weight '{name}'", math.nan))

    def _generate_train_loss_output(self, epoch_idx, s_time, e_time, losses) -> str:
        return super()._generate_train_loss_output(epoch_idx + 1, s_time, e_time, losses)

    def _check_metrics(self, score: float, result: dict[str, float]) -> None:
        """The chosen metric must be a number; another may be NaN where the part cannot give it, but not from now on."""
        measured = [epoch["valid"] for epoch in self.history[:-1] if "valid" in epoch]
        for name, value in {**result, self.config["valid_metric"]: score}.items():
            was_finite = any(math.isfinite(valid.get(name, math.nan)) for valid in measured)
            if math.isinf(value) or (math.isnan(value) and (name == self.config["valid_metric"] or was_finite)):
                raise InputError(self._diverged(f"validation metric {name}", float(value)))

    def _check_predictions(self, values: torch.Tensor, what: str) -> None:
        """RecBole ranks NaN like a number, and a clipped infinity is a rating: neither would show in the metrics."""
        if torch.isnan(values).any() or torch.isposinf(values).any():
            raise InputError(self._diverged(what, math.nan))

    def _diverged(self, what: str, value: float) -> str:
        number = "nan" if math.isnan(value) else f"{value:g}"
        if self.epoch is None:
            return f"{what} is {number}: the weights of this model do not predict numbers; train again"
        good = f"the last good checkpoint is {self.saved_model_file}"
        if not os.path.isfile(self.saved_model_file):
            good = "no checkpoint was saved yet"
        return (
            f"{what} is {number} in epoch {self.epoch + 1}; lower learning_rate (now {self.learning_rate:g}) or set "
            f"clip_grad_norm: {{max_norm: 1}}; {good}"
        )

    def _valid_epoch(self, valid_data, show_progress=False):
        if valid_data.ranking is not None and self._ranks_by_pairs() and not self._chooses_by_ranking():
            valid_data = replace(valid_data, ranking=None)
        validate = super()._valid_epoch
        score, result = self.processes.on_rank_zero(lambda: validate(valid_data, show_progress))
        if self.history:
            self.history[-1]["valid"] = dict(result)
            self._check_metrics(score, result)
        for name, value in result.items():
            self.tensorboard.add_scalar(f"Valid/{name}", value, self.history[-1]["epoch"] - 1 if self.history else 0)
        return score, result

    def _ranks_by_pairs(self) -> bool:
        """Whether the model can score the catalogue pair by pair only, which takes RecBole longer than an epoch."""
        return type(self.model).full_sort_predict is AbstractRecommender.full_sort_predict

    def _chooses_by_ranking(self) -> bool:
        chosen = self.config["valid_metric"].split("@")[0].lower()
        return chosen in (name.lower() for name in self.config["metrics"])

    # ------------------------------------------------------------------ evaluation

    @torch.no_grad()
    def evaluate(
        self,
        eval_data: EvaluationData,
        load_best_model: bool = True,
        model_file: str | None = None,
        show_progress: bool = False,
    ) -> dict[str, float]:
        """Every metric the run asks for, from the present model or (``load_best_model``) from a checkpoint.

        Args:
            eval_data: the part to evaluate.
            model_file: checkpoint to load; the run's own best by default.
        """
        if load_best_model:
            self.load_weights(model_file or self.saved_model_file)
        self.model.eval()
        result: dict[str, float] = {}
        for name, metrics in self.config["metrics_of"].items():
            result.update(self.families[name].evaluate(self, eval_data, metrics, show_progress))
        return result

    @torch.no_grad()
    def predictions(self, eval_data: EvaluationData) -> dict[str, np.ndarray]:
        """What each pair, user and movie got, for paired tests and for the report; ids are those of the atomic files.

        Returns:
            ``user``, ``item``, ``rating`` and ``predicted`` of the part's pairs, each [n], if ratings are evaluated;
            ``ranked_user`` and recall@k and ndcg@k, each [users], if the catalogue is ranked;
            for each task that predicts labels of movies (such as genre), if it is evaluated: ``genre_item`` [h],
            ``genre_target`` and ``genre_probability`` [h, G] of the part's held-out movies; and ``genre_names`` [G]
            and ``movie_genre`` [N, G] of the whole catalogue;
            ``movie`` and ``movie_title`` [N] and ``movie_embedding`` [N, m] of a multitask model's catalogue.
            Probabilities and embeddings are float16, text is UTF-8.
        """
        self.model.eval()
        rows, found = eval_data.rows, {}
        asked = self.config["metrics_of"]
        if "rating" in asked:
            for name, id_field in (("user", rows.uid_field), ("item", rows.iid_field)):
                found[name] = rows.id2token(id_field, rows.inter_feat[id_field])
            found["rating"] = rows.inter_feat[self.config["RATING_FIELD"]].numpy()
            found["predicted"] = self.predict_ratings(rows).cpu().numpy()
        if isinstance(eval_data.ranking, FullSortEvalDataLoader):
            self.rank_catalogue(eval_data)
            found["ranked_user"] = rows.id2token(rows.uid_field, eval_data.ranking.uid_list)
            found.update(self.evaluator.by_user)
        for task, held_out in eval_data.labels.items():
            found[f"{task}_item"] = rows.id2token(rows.iid_field, held_out.items)
            found[f"{task}_target"] = held_out.targets.numpy().astype(np.uint8)
            probability = self.model.predict_labels(task, held_out.items.to(self.device))
            found[f"{task}_probability"] = probability.half().cpu().numpy()
        if self.config.is_multitask:
            for task, labels in rows.labels.items():
                found[f"{task}_names"] = np.array(labels.names)
                found[f"movie_{task}"] = labels.targets[1:].numpy().astype(np.uint8)
            found["movie"] = rows.id2token(rows.iid_field, np.arange(1, rows.item_num))  # 0 is [PAD]
            found["movie_title"] = rows.titles()[1:]
            found["movie_embedding"] = self.model.movie_embeddings()[1:].half().cpu().numpy()
        return {name: _as_bytes(values) if values.dtype.kind in "OU" else values for name, values in found.items()}

    def predict_pairs(self, predict: Callable[..., torch.Tensor], rows) -> torch.Tensor:
        """``predict`` of each row of a part, [n], in batches."""
        step = max(1, self.config["eval_batch_size"])
        parts = (rows[first : first + step].to(self.device) for first in range(0, len(rows), step))
        predicted = torch.cat([predict(part).view(-1) for part in parts])
        self._check_predictions(predicted, "a predicted value")
        return predicted

    def predict_ratings(self, rows) -> torch.Tensor:
        """Predicted rating of each row of a part, clipped to the scale, [n]."""
        start = perf_counter()
        predicted = self.predict_pairs(self.model.predict_rating, rows)
        self.throughput["pairs"] = len(rows) / (perf_counter() - start)
        return predicted

    def rank_catalogue(self, eval_data: EvaluationData, show_progress: bool = False) -> dict[str, float]:
        """RecBole's ranking metrics of a part."""
        start = perf_counter()
        self._candidates = eval_data.candidates
        shown = show_progress and len(eval_data.ranking) > LONG_EVALUATION
        result = super().evaluate(eval_data.ranking, load_best_model=False, show_progress=shown)
        users = eval_data.rows.inter_feat[eval_data.rows.uid_field].unique()
        self.throughput["users"] = len(users) / (perf_counter() - start)
        return {name: float(value) for name, value in result.items()}

    def _full_sort_batch_eval(self, batched_data):
        interaction, scores, positive_u, positive_i = super()._full_sort_batch_eval(batched_data)
        self._check_predictions(scores, "the score of a movie")
        if self._candidates is not None:
            scores[:, ~self._candidates.to(scores.device)] = -np.inf
        return interaction, scores, positive_u, positive_i

    # ------------------------------------------------------------------ checkpoints

    def _save_checkpoint(self, epoch, verbose=True, **kwargs) -> None:
        if self.processes.rank:
            return
        path = kwargs.pop("saved_model_file", self.saved_model_file)
        content = {
            "config": self.config.plain(),
            "epoch": epoch,
            "cur_step": self.cur_step,
            "best_valid_score": float(self.best_valid_score),
            "state_dict": dict(self.model.state_dict()),
            "other_parameter": self.model.other_parameter() or {},
            "optimizer": self.optimizer.state_dict(),
            "data": self.data_fingerprint,
            "training": self.training_state(),
        }
        try:
            save_checkpoint(path, content)
        except (OSError, RuntimeError) as error:  # torch has a RuntimeError for a full disk
            raise InputError(self._not_saved(path, epoch, error)) from error
        if verbose:
            self.logger.info(f"Saving current: {path}")

    def _not_saved(self, path: str, epoch: int, error: OSError | RuntimeError) -> str:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else " ".join(str(error).split())
        kept = "none was saved before"
        if os.path.isfile(path):
            kept = "the file still holds the best epoch before it: go on from it with --resume"
        return (
            f"{path}: the checkpoint of epoch {epoch + 1} cannot be written ({reason[:160]}); {kept}; free some "
            f"space, or "
            f"choose another checkpoint_dir"
        )

    def training_state(self) -> dict:
        """What going on training needs beyond weights and optimiser."""
        return {}

    def check_training_state(self, path: str, state: dict) -> None:
        """Refuse what `load_training_state` cannot take."""
        if state:
            raise InputError(f"{path}: 'training' holds what this model does not keep; train again")

    def load_training_state(self, state: dict) -> None:
        """Inverse of `training_state`."""

    def load_weights(self, path: str) -> dict:
        """Put the weights of a checkpoint into the model; see `recbole_mm.training.checkpoint.restore`."""
        return restore(self.model, self.config, self.data_fingerprint, path)

    def resume_checkpoint(self, resume_file: str) -> None:
        """Go on from a checkpoint: weights, optimiser, epoch and early stopping as they were.

        Learning rate and weight decay are those of this run's options. The file itself is left as it is: what is
        better goes to this run's own file, which starts as a copy.
        """
        checkpoint = self.load_weights(resume_file)
        self.start_epoch = checkpoint["epoch"] + 1
        if self.start_epoch >= self.epochs:
            raise InputError(
                f"{resume_file}: has {self.start_epoch} epochs behind it; give --epochs above that to go on training"
            )
        check_optimizer(resume_file, self.optimizer, checkpoint["optimizer"])
        self.check_training_state(resume_file, checkpoint["training"])
        self.optimizer.load_state_dict(checkpoint["optimizer"])
        for group in self.optimizer.param_groups:
            group.update(lr=self.learning_rate, weight_decay=self.weight_decay)
        self.load_training_state(checkpoint["training"])
        self.cur_step = checkpoint["cur_step"]
        self.best_valid_score = checkpoint["best_valid_score"]
        self._save_checkpoint(checkpoint["epoch"], verbose=False)
        self.logger.info(f"Checkpoint loaded. Resume training from epoch {self.start_epoch + 1}")


def _seed_of(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def _as_bytes(text: np.ndarray) -> np.ndarray:
    """Strings in the form that an .npz file holds without pickle, a byte a letter where the letters are ASCII."""
    return np.char.encode(text.astype(str), "utf-8")


def _by_name(losses) -> dict[str, float]:
    if isinstance(losses, dict):
        return losses
    parts = losses if isinstance(losses, tuple) else (losses,)
    return {"loss" if len(parts) == 1 else f"loss_{i + 1}": float(part) for i, part in enumerate(parts)}
