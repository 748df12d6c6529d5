"""What all trainers share: epochs, and the evaluation of every metric family that the run asks for."""

from __future__ import annotations

import math
import os
import random
import secrets
from collections.abc import Callable
from dataclasses import replace
from inspect import signature
from time import perf_counter

import numpy as np
import torch
from recbole.data.dataloader import FullSortEvalDataLoader
from recbole.data.transform import construct_transform
from recbole.model.abstract_recommender import AbstractRecommender
from recbole.utils import get_local_time

from recbole_mm import compat
from recbole_mm.data.catalogue_loader import CatalogueLoader
from recbole_mm.data.dataloader import EvaluationData, loaders_of
from recbole_mm.errors import InputError
from recbole_mm.evaluation.families import FAMILIES
from recbole_mm.evaluation.metrics import UserEvaluator
from recbole_mm.training import distributed
from recbole_mm.training.log import CountedFromOne
from recbole_mm.training.recbole_errors import errors_of_recbole
from recbole_mm.training.saving import SavingMixin

# A bar for each evaluation of a second would bury the log; from this many batches on it is worth one.
LONG_EVALUATION = 50


class EvaluationMixin(SavingMixin):
    """What every trainer of this package does, whichever RecBole trainer it stands on.

    Attributes:
        epoch: that is trained or was trained last; None before the first.
        history: one dict for each epoch: epoch, seconds, losses by name, statistics by name, valid by metric.
        processes: those that train together.
        throughput: of the last evaluation: ``pairs`` rated a second, ``users`` ranked a second (with their metrics).
    """

    def __init__(self, config, model) -> None:
        self.processes = distributed.current()
        if self.processes.rank:
            compat.no_tensorboard()
        super().__init__(config, model)
        # RecBole's name has a resolution of one second: two runs would share a file.
        name = f"{config['model']}-{config['dataset']}-{get_local_time()}-{secrets.token_hex(3)}.pt"
        self.saved_model_file = self.processes.on_rank_zero(lambda: os.path.join(self.checkpoint_dir, name))
        self.history: list[dict] = []
        self.throughput: dict[str, float] = {}
        self.epoch: int | None = None
        self._candidates: torch.Tensor | None = None
        self.logger = CountedFromOne(self.logger, {})
        self.evaluator = UserEvaluator(config)
        of_tasks = {task.family.name: task.family for task in config.task_classes}
        self.families = {**FAMILIES, **of_tasks}
        self._transform = construct_transform(config)
        self.keep_state_of(model)

    # ------------------------------------------------------------------ training

    def fit(self, train_data, valid_data=None, saved=True, callback_fn=None, **more):
        """RecBole's, and the last epoch is saved too: after its validation, so that going on is as if never stopped."""
        fit = super().fit
        has_epochs = "callback_fn" in signature(fit).parameters
        self.saves_last &= saved and has_epochs and self.epochs > 1

        def after_validation(epoch: int, score: float) -> None:
            self.save_last(epoch)
            if callback_fn:
                callback_fn(epoch, score)

        if has_epochs:
            more["callback_fn"] = after_validation
        with errors_of_recbole(self.config, "train"):
            return fit(train_data, valid_data, saved=saved, **more)

    def _train_epoch(self, train_data, epoch_idx, loss_func=None, show_progress=False):
        start = perf_counter()
        self._seed_epoch(train_data, epoch_idx)
        held = tuple(loaders_of(train_data)[0].dataset.inter_feat.columns)
        with errors_of_recbole(self.config, "train", held):
            losses = super()._train_epoch(train_data, epoch_idx, loss_func, show_progress)
        self._end_epoch({"epoch": epoch_idx + 1, "seconds": perf_counter() - start, "losses": _by_name(losses)})
        return losses

    def _end_epoch(self, measured: dict) -> None:
        """Note what an epoch was like; it is saved here if no validation follows."""
        self.history.append(measured)
        self.check_finite(measured["losses"])
        if self.eval_step > 0 and measured["epoch"] % self.eval_step:
            self.save_last(measured["epoch"] - 1)

    def train_epoch(self, train_data, epoch: int) -> float:
        """One epoch without validation, for measurements; returns its seconds."""
        self._train_epoch(train_data, epoch, show_progress=False)
        return self.history[-1]["seconds"]

    def _seed_epoch(self, train_data, epoch_idx: int) -> None:
        """The random numbers of an epoch depend on seed and epoch only, so resuming equals never having stopped.

        Ranks draw numbers of their own, but share out the same batches, whose order is the loader's generator's.
        """
        self.epoch = epoch_idx
        seed_epoch(self.config["seed"], epoch_idx, train_data, self.processes.rank)

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
        found = super()._valid_epoch(valid_data, show_progress)
        score, result = self.processes.on_rank_zero(lambda: found)  # hosts that round differently must stop together
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
        # Sampled candidates (uni100), KTUP and Random draw: each evaluation of the same weights has the same result.
        _seed_all(self.config["seed"])
        result: dict[str, float] = {}
        with errors_of_recbole(self.config, "be evaluated"):
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
        """``predict`` of each row of a part, [n], in batches; the ranks share the rows."""
        step, own = max(1, self.config["eval_batch_size"]), self.processes.part_of(len(rows))
        batches = (rows[first : min(first + step, own.stop)] for first in range(own.start, own.stop, step))
        # As RecBole's loaders do: SHAN reads a sequence that its transform adds.
        parts = (self._transform(rows, batch).to(self.device) for batch in batches)
        predicted = torch.cat([predict(part).view(-1) for part in parts])
        self._check_predictions(predicted, "a predicted value")
        return self.processes.concatenate(predicted, len(rows))

    def predict_ratings(self, rows) -> torch.Tensor:
        """Predicted rating of each row of a part, clipped to the scale, [n]."""
        start = perf_counter()
        predicted = self.predict_pairs(self.model.predict_rating, rows)
        self.throughput["pairs"] = len(rows) / (perf_counter() - start)
        return predicted

    def rank_catalogue(self, eval_data: EvaluationData, show_progress: bool = False) -> dict[str, float]:
        """RecBole's ranking metrics of a part; the ranks share the users.

        Candidates that are drawn at random are drawn and ranked by rank 0 alone: others would draw others.
        """
        start = perf_counter()
        self._candidates = eval_data.candidates
        loader, evaluate = eval_data.ranking, super().evaluate
        shown = show_progress and len(loader) > LONG_EVALUATION
        if isinstance(loader, CatalogueLoader):
            ranked = len(loader.uid_list)
            self.evaluator.gather = lambda values: self.processes.concatenate(values, ranked)
            own = loader.of_users(self.processes.part_of(ranked))
            result = evaluate(own, load_best_model=False, show_progress=shown)
        else:
            result = self.processes.on_rank_zero(lambda: evaluate(loader, load_best_model=False, show_progress=shown))
        users = eval_data.rows.inter_feat[eval_data.rows.uid_field].unique()
        self.throughput["users"] = len(users) / (perf_counter() - start)
        return {name: float(value) for name, value in result.items()}

    def _full_sort_batch_eval(self, batched_data):
        interaction, scores, positive_u, positive_i = super()._full_sort_batch_eval(batched_data)
        self._check_predictions(scores, "the score of a movie")
        if self._candidates is not None:
            scores[:, ~self._candidates.to(scores.device)] = -np.inf
        return interaction, scores, positive_u, positive_i


def seed_epoch(seed: int, epoch: int, train_data, rank: int = 0) -> None:
    """Seed every generator that an epoch of training draws from.

    Args:
        rank: of this process; its own numbers differ from those of the others, but for the order of the batches.
    """
    _seed_all(_seed_of(seed, epoch, rank) if rank else _seed_of(seed, epoch))
    for loader in loaders_of(train_data):
        if loader.generator is not None:
            loader.generator.manual_seed(_seed_of(seed, epoch))


def _seed_of(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def _seed_all(seed: int) -> None:
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - RecBole's samplers draw from it
    random.seed(seed)  # DGCF and the masks of sequences draw from this


def _as_bytes(text: np.ndarray) -> np.ndarray:
    """Strings in the form that an .npz file holds without pickle, a byte a letter where the letters are ASCII."""
    return np.char.encode(text.astype(str), "utf-8")


def _by_name(losses) -> dict[str, float]:
    if isinstance(losses, dict):
        return losses
    parts = _flat(losses)
    return {"loss" if len(parts) == 1 else f"loss_{i + 1}": float(part) for i, part in enumerate(parts)}


def _flat(losses) -> list:
    """MKR and KGAT train on ratings and on triples in turn, and each can have losses in parts."""
    return [part for one in losses for part in _flat(one)] if isinstance(losses, tuple) else [losses]
