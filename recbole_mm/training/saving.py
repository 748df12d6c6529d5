"""What all trainers share: checkpoints that run no code, the best one and the last one, and going on from them."""

from __future__ import annotations

import math
import os
from pathlib import Path

import torch

from recbole_mm.errors import InputError
from recbole_mm.training.builtin_state import StateOutsideWeights
from recbole_mm.training.checkpoint import load_checkpoint, restore, save_checkpoint
from recbole_mm.training.checkpoint_checks import check_optimizer
from recbole_mm.training.last import best_of, check_best, copy_best, find, is_last, last_of, link


class SavingMixin:
    """Checkpoints of a trainer.

    Attributes:
        saves_last: save the last epoch too, beside the best one; a run sets it, and removes the file in the end.
        data_fingerprint: set by a run; kept in checkpoints so that one is not applied to other data.
        epochs_option: the option that says how many epochs are trained.
    """

    epochs_option = "epochs"

    def keep_state_of(self, model: torch.nn.Module) -> None:
        """Note what, beside the weights, training changes; called once, when trainer and model are built."""
        self.data_fingerprint = ""
        self.saves_last = False
        self._best_epoch: int | None = None  # of `saved_model_file`
        self._outside_weights = StateOutsideWeights(model)
        # RecVAE's trainer has two more, and puts them into the place of the first in turn.
        self._optimizers = {key: one for key, one in vars(self).items() if isinstance(one, torch.optim.Optimizer)}

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

    def save_last(self, epoch: int) -> None:
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


def _without_modules(parameters: dict) -> dict:
    """SASRecF and others name a part of their network, whose weights are among the model's already."""
    return {name: value for name, value in parameters.items() if not isinstance(value, torch.nn.Module)}
