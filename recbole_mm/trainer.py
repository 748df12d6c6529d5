"""Trainers: named losses, one evaluate() for all metric families, checkpoints that run no code."""

from __future__ import annotations

import os
import secrets
from time import perf_counter

import numpy as np
import torch
from recbole.data.interaction import Interaction
from recbole.trainer import Trainer
from recbole.utils import get_local_time, get_trainer
from torch.nn.utils import clip_grad_norm_
from tqdm import tqdm

from recbole_mm.checkpoint import restore, save_checkpoint
from recbole_mm.data.dataloader import EvaluationData
from recbole_mm.errors import InputError
from recbole_mm.evaluator import genre_metrics, rating_metrics

# A bar for each evaluation of a second would bury the log; from this many batches on it is worth one.
LONG_EVALUATION = 50


class EvaluationMixin:
    """What every trainer of this package does, whichever RecBole trainer it stands on.

    Attributes:
        history: one dict for each epoch: epoch, seconds, losses by name, statistics by name, valid by metric.
        data_fingerprint: set by quick_start; kept in checkpoints so that one is not applied to other data.
    """

    def __init__(self, config, model) -> None:
        super().__init__(config, model)
        # RecBole's name has a resolution of one second: two runs would share a file.
        name = f"{config['model']}-{config['dataset']}-{get_local_time()}-{secrets.token_hex(3)}.pt"
        self.saved_model_file = os.path.join(self.checkpoint_dir, name)
        self.history: list[dict] = []
        self.data_fingerprint = ""
        self._candidates: torch.Tensor | None = None

    # ------------------------------------------------------------------ training

    def _train_epoch(self, train_data, epoch_idx, loss_func=None, show_progress=False):
        start = perf_counter()
        self._seed_epoch(train_data, epoch_idx)
        losses = super()._train_epoch(train_data, epoch_idx, loss_func, show_progress)
        self.history.append({"epoch": epoch_idx, "seconds": perf_counter() - start, "losses": _by_name(losses)})
        return losses

    def _seed_epoch(self, train_data, epoch_idx: int) -> None:
        """The random numbers of an epoch depend on seed and epoch only, so resuming equals never having stopped."""
        seed = int(np.random.SeedSequence([self.config["seed"], epoch_idx]).generate_state(1)[0])
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - RecBole's samplers draw from it
        if train_data.generator is not None:
            train_data.generator.manual_seed(seed)

    def _check_nan(self, loss: torch.Tensor) -> None:
        if torch.isnan(loss):
            raise InputError(
                f"training loss is nan in epoch {len(self.history)}; lower learning_rate (now {self.learning_rate:g}) "
                f"or set clip_grad_norm: {{max_norm: 1}}"
            )

    def _valid_epoch(self, valid_data, show_progress=False):
        score, result = super()._valid_epoch(valid_data, show_progress)
        if self.history:
            self.history[-1]["valid"] = dict(result)
        for name, value in result.items():
            self.tensorboard.add_scalar(f"Valid/{name}", value, self.history[-1]["epoch"] if self.history else 0)
        return score, result

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
        if self.config["rating_metrics"]:
            result.update(self._evaluate_ratings(eval_data.rows))
        if eval_data.ranking is not None:
            self._candidates = eval_data.candidates
            shown = show_progress and len(eval_data.ranking) > LONG_EVALUATION
            ranking = super().evaluate(eval_data.ranking, load_best_model=False, show_progress=shown)
            result.update({name: float(value) for name, value in ranking.items()})
        if eval_data.genre_items is not None:
            probability = self.model.predict_genres(eval_data.genre_items.to(self.device))
            result.update(genre_metrics(self.config, eval_data.genres, probability))
        return result

    def _evaluate_ratings(self, rows) -> dict[str, float]:
        step = max(1, self.config["eval_batch_size"])
        predicted = [
            self.model.predict_rating(rows[start : start + step].to(self.device)) for start in range(0, len(rows), step)
        ]
        return rating_metrics(self.config, torch.cat(predicted), rows.inter_feat[self.config["RATING_FIELD"]])

    def _full_sort_batch_eval(self, batched_data):
        interaction, scores, positive_u, positive_i = super()._full_sort_batch_eval(batched_data)
        if self._candidates is not None:
            scores[:, ~self._candidates.to(scores.device)] = -np.inf
        return interaction, scores, positive_u, positive_i

    # ------------------------------------------------------------------ checkpoints

    def _save_checkpoint(self, epoch, verbose=True, **kwargs) -> None:
        if not self.config["single_spec"] and self.config["local_rank"] != 0:
            return
        path = kwargs.pop("saved_model_file", self.saved_model_file)
        save_checkpoint(
            path,
            {
                "config": self.config.plain(),
                "epoch": epoch,
                "cur_step": self.cur_step,
                "best_valid_score": float(self.best_valid_score),
                "state_dict": dict(self.model.state_dict()),
                "other_parameter": self.model.other_parameter() or {},
                "optimizer": self.optimizer.state_dict(),
                "data": self.data_fingerprint,
                "training": self.training_state(),
            },
        )
        if verbose:
            self.logger.info(f"Saving current: {path}")

    def training_state(self) -> dict:
        """What going on training needs beyond weights and optimiser."""
        return {}

    def load_training_state(self, state: dict) -> None:
        """Inverse of `training_state`."""

    def load_weights(self, path: str) -> dict:
        """Put the weights of a checkpoint into the model; see `recbole_mm.checkpoint.restore`."""
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
        self.optimizer.load_state_dict(checkpoint["optimizer"])
        for group in self.optimizer.param_groups:
            group.update(lr=self.learning_rate, weight_decay=self.weight_decay)
        self.load_training_state(checkpoint["training"])
        self.cur_step = checkpoint["cur_step"]
        self.best_valid_score = checkpoint["best_valid_score"]
        self._save_checkpoint(checkpoint["epoch"], verbose=False)
        self.logger.info(f"Checkpoint loaded. Resume training from epoch {self.start_epoch}")


class WeightAverage:
    """Exponential moving average of the weights (Polyak and Juditsky, SIAM J. Control Optim. 1992).

    Outside a training epoch the model holds the average, so validation, checkpoints and predictions use it.

    Args:
        decay: share of the old average kept in each step, in [0, 1); 0 switches averaging off.
    """

    def __init__(self, model: torch.nn.Module, decay: float) -> None:
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.decay, self.steps = decay, 0
        self.average: list[torch.Tensor] = []
        self.trained: list[torch.Tensor] = []

    def update(self) -> None:
        """Take one optimiser step into the average; the first steps count more, so the start is soon forgotten."""
        if not self.decay:
            return
        self.steps += 1
        weight = 1 - min(self.decay, (1 + self.steps) / (10 + self.steps))
        with torch.no_grad():
            if not self.average:
                self.average = [p.detach().clone() for p in self.parameters]
            torch._foreach_lerp_(self.average, self.parameters, weight)

    def enter(self) -> None:
        """Put the average into the model and keep the trained weights."""
        if self.decay:
            self.trained = [p.detach().clone() for p in self.parameters]
            self._write(self.average)

    def leave(self) -> None:
        """Put the trained weights back to go on training."""
        if self.trained:
            self._write(self.trained)
            self.trained = []

    def resume(self, steps: int, trained: list[torch.Tensor]) -> None:
        """Go on from a checkpoint, whose weights (the average) the model holds already."""
        self.steps, self.trained = steps, trained
        self.average = [p.detach().clone() for p in self.parameters] if trained else []

    def _write(self, values: list[torch.Tensor]) -> None:
        with torch.no_grad():
            for parameter, value in zip(self.parameters, values):
                parameter.copy_(value)


class MultitaskTrainer(EvaluationMixin, Trainer):
    """Trains a model whose ``calculate_loss`` returns weighted losses by name: one backward pass, one optimiser."""

    def __init__(self, config, model) -> None:
        super().__init__(config, model)
        self.average = WeightAverage(model, config["averaging_decay"])

    def _train_epoch(self, train_data, epoch_idx, loss_func=None, show_progress=False) -> dict[str, float]:
        start = perf_counter()
        self._seed_epoch(train_data, epoch_idx)
        self.average.leave()
        self.model.train()
        totals: dict[str, torch.Tensor] = {}
        bar = tqdm(
            train_data,
            desc=f"Train {epoch_idx:>4}",
            leave=False,
            ncols=100,
            disable=None if show_progress else True,  # None: no bar where there is no terminal
        )
        for interaction in bar:
            interaction: Interaction = interaction.to(self.device)
            self.optimizer.zero_grad()
            with torch.autocast(device_type=self.device.type, enabled=self.enable_amp):
                losses = self.model.calculate_loss(interaction)
                loss = sum(losses.values())
            self._check_nan(loss)
            loss.backward()
            if self.clip_grad_norm:
                clip_grad_norm_(self.model.parameters(), **self.clip_grad_norm)
            self.optimizer.step()
            self.average.update()
            for name, value in losses.items():
                totals[name] = totals.get(name, 0.0) + value.detach()
        means = {name: float(total) / len(train_data) for name, total in totals.items()}
        statistics = self.model.pop_statistics()
        self.average.enter()
        self.history.append(
            {"epoch": epoch_idx, "seconds": perf_counter() - start, "losses": means, "statistics": statistics}
        )
        return {**means, **statistics}

    def _build_optimizer(self, **kwargs) -> torch.optim.Optimizer:
        optimizer = super()._build_optimizer(**kwargs)
        if isinstance(optimizer, (torch.optim.Adam, torch.optim.AdamW)):
            for group in optimizer.param_groups:  # one kernel for all weights
                group.update(fused=True, foreach=False)
        return optimizer

    def training_state(self) -> dict:
        return {"steps": self.average.steps, "trained": self.average.trained}

    def load_training_state(self, state: dict) -> None:
        self.average.resume(**state)

    def _generate_train_loss_output(self, epoch_idx, s_time, e_time, losses) -> str:
        decimals = self.config["loss_decimal_place"] or 4
        named = ", ".join(f"{name}: {value:.{decimals}f}" for name, value in losses.items())
        return f"epoch {epoch_idx} training [time: {e_time - s_time:.2f}s, {named}]"

    def _add_train_loss_to_tensorboard(self, epoch_idx, losses, tag="Loss/Train") -> None:
        for name, value in losses.items():
            self.tensorboard.add_scalar(f"Train/{name}", value, epoch_idx)


def build_trainer(config, model):
    """The trainer of a model: `MultitaskTrainer` for ours, RecBole's own with our evaluation for a built-in one."""
    if getattr(model, "predicts_genres", False):
        return MultitaskTrainer(config, model)
    base = get_trainer(config["MODEL_TYPE"], config["model"])
    return type(base.__name__, (EvaluationMixin, base), {})(config, model)


def _by_name(losses) -> dict[str, float]:
    if isinstance(losses, dict):
        return losses
    parts = losses if isinstance(losses, tuple) else (losses,)
    return {"loss" if len(parts) == 1 else f"loss_{i + 1}": float(part) for i, part in enumerate(parts)}
