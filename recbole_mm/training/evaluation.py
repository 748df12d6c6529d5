"""What all trainers share: evaluation of every metric family that the run asks for, checkpoints that run no code."""

from __future__ import annotations

import math
import os
import random
import secrets
from collections.abc import Callable
from dataclasses import replace
from inspect import signature
from pathlib import Path
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
from recbole_mm.training.builtin_state import StateOutsideWeights
from recbole_mm.training.checkpoint import load_checkpoint, restore, save_checkpoint
from recbole_mm.training.checkpoint_checks import check_optimizer
from recbole_mm.training.last import best_of, check_best, copy_best, find, is_last, last_of, link
from recbole_mm.training.log import CountedFromOne
from recbole_mm.training.recbole_errors import errors_of_recbole

# A bar for each evaluation of a second would bury the log; from this many batches on it is worth one.
LONG_EVALUATION = 50


class EvaluationMixin:
    """What every trainer of this package does, whichever RecBole trainer it stands on.

    Attributes:
        epoch: that is trained or was trained last; None before the first.
        history: one dict for each epoch: epoch, seconds, losses by name, statistics by name, valid by metric.
        processes: those that train together.
        saves_last: save the last epoch too, beside the best one; a run sets it, and removes the file in the end.
        throughput: of the last evaluation: ``pairs`` rated a second, ``users`` ranked a second (with their metrics).
        data_fingerprint: set by quick_start; kept in checkpoints so that one is not applied to other data.
        epochs_option: the option that says how many epochs are trained.
    """

    epochs_option = "epochs"

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
        self.data_fingerprint = ""
        self.epoch: int | None = None
        self.saves_last = False
        self._best_epoch: int | None = None  # of `saved_model_file`
        self._candidates: torch.Tensor | None = None
        self.logger = CountedFromOne(self.logger, {})
        self.evaluator = UserEvaluator(config)
        of_tasks = {task.family.name: task.family for task in config.task_classes}
        self.families = {**FAMILIES, **of_tasks}
        self._transform = construct_transform(config)
        self._outside_weights = StateOutsideWeights(model)
        # RecVAE's trainer has two more, and puts them into the place of the first in turn.
        self._optimizers = {key: one for key, one in vars(self).items() if isinstance(one, torch.optim.Optimizer)}

    # ------------------------------------------------------------------ training

    def fit(self, train_data, valid_data=None, saved=True, callback_fn=None, **more):
        """RecBole's, and the last epoch is saved too: after its validation, so that going on is as if never stopped."""
        fit = super().fit
        has_epochs = "callback_fn" in signature(fit).parameters
        self.saves_last &= saved and has_epochs and self.epochs > 1

        def after_validation(epoch: int, score: float) -> None:
            self._save_last(epoch)
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
            self._save_last(measured["epoch"] - 1)

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

    # ------------------------------------------------------------------ checkpoints

    def _save_checkpoint(self, epoch, verbose=True, **kwargs) -> None:
        if self.processes.rank:
            return
        path = kwargs.pop("saved_model_file", self.saved_model_file)
        is_best = path == self.saved_model_file
        content = {
            "config": self.config.plain(),
            "epoch": epoch,
            "cur_step": self.cur_step,
            "best_valid_score": float(self.best_valid_score),
            "state_dict": dict(self.model.state_dict()),
            "other_parameter": _without_modules(self.model.other_parameter() or {}),
            "optimizer": self._optimizers["optimizer"].state_dict(),
            "data": self.data_fingerprint,
            "training": self.training_state(),
        }
        try:
            save_checkpoint(path, content, durable=is_best)
        except (OSError, RuntimeError) as error:  # torch has a RuntimeError for a full disk
            raise InputError(self._not_saved(path, epoch, error)) from error
        if is_best:
            self._best_epoch = epoch
        if verbose:
            self.logger.info(f"Saving current: {path}")

    def _save_last(self, epoch: int) -> None:
        """Save the last epoch beside the best one. If it is the best one, its file gets a second name."""
        if not self.saves_last or self.processes.rank:
            return
        path = last_of(self.saved_model_file)
        if epoch != self._best_epoch or not link(self.saved_model_file, path):
            self._save_checkpoint(epoch, verbose=False, saved_model_file=str(path))

    def remove_last(self) -> None:
        """Remove the checkpoint of the last epoch: the run has ended well."""
        if not self.processes.rank:
            last_of(self.saved_model_file).unlink(missing_ok=True)

    def remove_files(self) -> None:
        """Remove the run's checkpoints: another training takes its place."""
        self.remove_last()
        if not self.processes.rank:
            Path(self.saved_model_file).unlink(missing_ok=True)

    def _not_saved(self, path: str, epoch: int, error: OSError | RuntimeError) -> str:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else " ".join(str(error).split())
        kept = "none was saved before"
        if os.path.isfile(path):
            kept = "the file still holds an epoch before it: go on from it with --resume"
        return (
            f"{path}: the checkpoint of epoch {epoch + 1} cannot be written ({reason[:160]}); {kept}; free some "
            f"space, or choose another checkpoint_dir"
        )

    def training_state(self) -> dict:
        """What going on training needs beyond weights and optimiser."""
        others = {key: one.state_dict() for key, one in self._optimizers.items() if key != "optimizer"}
        return {"attributes": self._outside_weights.changed(), "optimizers": others}

    def check_training_state(self, path: str, state: dict) -> None:
        """Refuse what `load_training_state` cannot take."""
        others = state.get("optimizers")
        if set(state) != {"attributes", "optimizers"} or not isinstance(others, dict):
            raise InputError(f"{path}: 'training' is not what this model's training keeps; train again")
        if set(others) != set(self._optimizers) - {"optimizer"}:
            raise InputError(f"{path}: 'training' is not what this model's training keeps; train again")
        self._outside_weights.check(path, state["attributes"])
        for key, kept in others.items():
            check_optimizer(path, self._optimizers[key], kept)

    def load_training_state(self, state: dict) -> None:
        """Inverse of `training_state`."""
        self._outside_weights.put(state["attributes"])
        for key, kept in state["optimizers"].items():
            self._optimizers[key].load_state_dict(kept)

    def load_weights(self, path: str) -> dict:
        """Put the weights of a checkpoint into the model; see `recbole_mm.training.checkpoint.restore`."""
        return restore(self.model, self.config, self.data_fingerprint, path, self._read_checkpoint)

    def _read_checkpoint(self, path: str) -> dict:
        """The content of a checkpoint that is on the host of rank 0, for every rank."""
        return self.processes.on_rank_zero(lambda: load_checkpoint(path))

    def resume_checkpoint(self, resume_file: str) -> None:
        """Go on from a checkpoint: weights, optimiser, epoch and early stopping as they were.

        Learning rate and weight decay are those of this run's options. The file itself is left as it is: what is
        better goes to this run's own file, which starts as a copy of the best epoch.
        """
        checkpoint = self._resume(resume_file)
        if self.start_epoch >= self.epochs < self.config[self.epochs_option]:
            raise InputError(
                f"{resume_file}: a {self.config['model']} is trained in one epoch; nothing is left to resume"
            )
        if self.start_epoch >= self.epochs:
            raise InputError(
                f"{resume_file}: has {self.start_epoch} epochs behind it; give --{self.epochs_option} above that to go "
                f"on training"
            )
        if not is_last(resume_file):
            self._save_checkpoint(checkpoint["epoch"], verbose=False)
        elif math.isfinite(self.best_valid_score) and not self.processes.rank:
            copy_best(resume_file, self.saved_model_file)

    def resume_last(self) -> bool:
        """Go on, under the same names, from the last epoch of a run with the same options that was stopped.

        Returns:
            Whether there is nothing left to train. False too if there is no such run.
        """
        arguments = self.checkpoint_dir, self.config, self.data_fingerprint, load_checkpoint
        path = self.processes.on_rank_zero(lambda: find(*arguments))
        if path is None:
            self.logger.info(f"No stopped run with these options in {self.checkpoint_dir}: training starts")
            return False
        self.saved_model_file = str(best_of(path))
        self._resume(str(path))
        return self.start_epoch >= self.epochs or self.cur_step > self.stopping_step

    def _resume(self, path: str) -> dict:
        """Take over the state of a checkpoint; returns its content."""
        checkpoint = self.load_weights(path)
        check_optimizer(path, self.optimizer, checkpoint["optimizer"])
        self.check_training_state(path, checkpoint["training"])
        if math.isfinite(checkpoint["best_valid_score"]):
            self.processes.on_rank_zero(lambda: check_best(path))
        self.start_epoch = checkpoint["epoch"] + 1
        self.optimizer.load_state_dict(checkpoint["optimizer"])
        self.load_training_state(checkpoint["training"])
        for optimizer in self._optimizers.values():
            for group in optimizer.param_groups:
                group.update(lr=self.learning_rate, weight_decay=self.weight_decay)
        self.cur_step = checkpoint["cur_step"]
        self.best_valid_score = checkpoint["best_valid_score"]
        self.logger.info(f"{path}: training goes on from epoch {self.start_epoch + 1}")
        return checkpoint


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


def _without_modules(parameters: dict) -> dict:
    """SASRecF and others name a part of their network, whose weights are among the model's already."""
    return {name: value for name, value in parameters.items() if not isinstance(value, torch.nn.Module)}
