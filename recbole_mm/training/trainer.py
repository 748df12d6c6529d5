"""Training of our models: several losses and one backward pass, evaluated at an average of the weights."""

from __future__ import annotations

from time import perf_counter

import torch
from recbole.data.interaction import Interaction
from recbole.trainer import PretrainTrainer, Trainer
from recbole.utils import get_trainer
from torch.nn.utils import clip_grad_norm_
from tqdm import tqdm

from recbole_mm.training.checkpoint_checks import check_trained
from recbole_mm.training.evaluation import EvaluationMixin
from recbole_mm.training.pretraining import PretrainingMixin


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
        self.processes.broadcast(model)
        self.processes.shard_draws(model.tasks.values())
        self.average = WeightAverage(model, config["averaging_decay"])

    def _train_epoch(self, train_data, epoch_idx, loss_func=None, show_progress=False) -> dict[str, float]:
        start = perf_counter()
        self._seed_epoch(train_data, epoch_idx)
        self.average.leave()
        self.model.train()
        totals: dict[str, torch.Tensor] = {}
        bar = tqdm(
            train_data,
            desc=f"Train {epoch_idx + 1:>4}",
            leave=False,
            ncols=100,
            disable=None if show_progress else True,  # None: no bar where there is no terminal
        )
        for interaction in bar:
            interaction: Interaction = self.processes.shard(interaction).to(self.device)
            self.optimizer.zero_grad()
            with torch.autocast(device_type=self.device.type, enabled=self.enable_amp):
                losses = self.model.calculate_loss(interaction)
                loss = sum(losses.values())
            self._check_nan(loss)
            loss.backward()
            self.processes.average_gradients(self.model.parameters(), len(interaction))
            if self.clip_grad_norm:
                clip_grad_norm_(self.model.parameters(), **self.clip_grad_norm)
            self.optimizer.step()
            self.average.update()
            for name, value in losses.items():
                totals[name] = totals.get(name, 0.0) + value.detach()
        means = self.processes.mean({name: float(total) / len(train_data) for name, total in totals.items()})
        statistics = self.processes.mean(self.model.pop_statistics())
        self.average.enter()
        self._end_epoch(
            {"epoch": epoch_idx + 1, "seconds": perf_counter() - start, "losses": means, "statistics": statistics}
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

    def check_training_state(self, path: str, state: dict) -> None:
        check_trained(path, self.average.parameters, state)

    def load_training_state(self, state: dict) -> None:
        self.average.resume(**state)

    def _generate_train_loss_output(self, epoch_idx, s_time, e_time, losses) -> str:
        decimals = self.config["loss_decimal_place"] or 4
        named = ", ".join(f"{name}: {value:.{decimals}f}" for name, value in losses.items())
        return f"epoch {epoch_idx + 1} training [time: {e_time - s_time:.2f}s, {named}]"

    def _add_train_loss_to_tensorboard(self, epoch_idx, losses, tag="Loss/Train") -> None:
        for name, value in losses.items():
            self.tensorboard.add_scalar(f"Train/{name}", value, epoch_idx)


def build_trainer(config, model):
    """The trainer of a model: `MultitaskTrainer` for ours, RecBole's own with our evaluation for a built-in one."""
    if config.is_multitask:
        return MultitaskTrainer(config, model)
    base = get_trainer(config["MODEL_TYPE"], config["model"])
    mixins = (EvaluationMixin, PretrainingMixin) if issubclass(base, PretrainTrainer) else (EvaluationMixin,)
    return type(base.__name__, (*mixins, base), {})(config, model)
