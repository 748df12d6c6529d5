"""Models that are trained in stages (S3Rec, RaCT): each stage is a run of its own that starts from the one before.

RecBole pickles the file of a stage, which can run code when it is read. Here a stage writes this package's checkpoint,
which the option ``pre_model_path`` of the next stage reads.
"""

from __future__ import annotations

from time import time
from typing import Any

from recbole.trainer.trainer import PretrainTrainer

from recbole_mm.config.checks import PRETRAINED
from recbole_mm.errors import InputError
from recbole_mm.training.checkpoint import load_checkpoint
from recbole_mm.training.seal import is_sealed

LAST_STAGE = "finetune"


class PretrainingMixin(PretrainTrainer):
    """Before RecBole's trainer of stages: the epochs of a stage, saved every ``save_step`` epochs and at the end."""

    def __init__(self, config: Any, model: Any) -> None:
        super().__init__(config, model)
        if model.train_stage != LAST_STAGE:
            self.epochs, self.epochs_option = self.pretrain_epochs, "pretrain_epochs"

    def pretrain(self, train_data: Any, verbose: bool = True, show_progress: bool = False) -> tuple[float, None]:
        """Train one stage; there is nothing to choose an epoch by, so the last one is kept."""
        self.eval_collector.data_collect(train_data)
        for epoch in range(self.start_epoch, self.epochs):
            start = time()
            losses = self._train_epoch(train_data, epoch, show_progress=show_progress)
            if verbose:
                self.logger.info(self._generate_train_loss_output(epoch, start, time(), losses))
            self._add_train_loss_to_tensorboard(epoch, losses)
            if (epoch + 1) % self.save_step == 0 or epoch + 1 == self.epochs:
                self._save_checkpoint(epoch, verbose)
            else:
                self.save_last(epoch)
        self.logger.info(
            f"train_stage {self.model.train_stage} is finished; the next stage takes "
            f"--pre_model_path={self.saved_model_file}"
        )
        return self.best_valid_score, None


def check_same_data(config: Any, data_fingerprint: str) -> None:
    """Refuse a checkpoint to start from that is damaged or of other data: there, item 7 is another movie.

    A file that this package did not write is left to RecBole, which reads tensors from it and nothing else.

    Raises:
        InputError: names the option and the file.
    """
    if config["evaluate"] or config["resume"]:
        return  # these weights are replaced by those of the checkpoint
    for option in PRETRAINED:
        path = config.final_config_dict.get(option)
        if not path:
            continue
        with open(path, "rb") as file:
            ours = is_sealed(file)
        if ours and load_checkpoint(path)["data"] != data_fingerprint:
            raise InputError(
                f"option '{option}': {path} was trained on other ratings or movies than this run's; train it on this "
                f"run's data, split and seed"
            )
