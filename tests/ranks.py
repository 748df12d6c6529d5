"""What the processes of tests/test_distributed.py do. They import it by name, so it is a module of its own."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import torch
import torch.distributed as dist

from recbole_mm.errors import InputError
from recbole_mm.training.distributed import current


class Options(dict):
    """Stands for a Config where the processes do nothing that needs RecBole."""

    def __init__(self, **changes) -> None:
        super().__init__(nproc=2, gpu_id="", device=torch.device("cpu"))
        self.update(changes)

    @property
    def final_config_dict(self) -> Options:
        return self


def record(config, folder: str, others: list[dict]) -> None:
    """Train each of ``others`` (model and options); each rank leaves ``<folder>/<model>-<rank>.pt`` of what it saw."""
    from recbole_mm.config.config import Config

    for other in others:
        fit_and_save(Config(other["model"], config["dataset"], config_dict=other["options"]), Path(folder))


def fit_and_save(config, folder: Path) -> dict:
    """Rows by epoch, genre draws, weights before and after, and the history of a training in this process."""
    from recbole_mm.training.session import prepare_session

    session = prepare_session(config)
    model, trainer = session.model, session.trainer
    calculate_loss, train_epoch = model.calculate_loss, trainer._train_epoch
    epochs, draws = [], []

    def seen(interaction):
        epochs[-1].append(torch.stack([interaction["user_id"], interaction["item_id"]], dim=1))
        draws.append(torch.get_rng_state().clone())
        return calculate_loss(interaction)

    def new_epoch(*arguments, **more):
        epochs.append([])
        return train_epoch(*arguments, **more)

    model.calculate_loss, trainer._train_epoch = seen, new_epoch
    first = {name: p.detach().clone() for name, p in model.named_parameters()}
    trainer.fit(session.train_data, session.valid_data, saved=False)
    rows = session.split.train.inter_feat
    recorded = {
        "sizes": [len(batch) for batch in epochs[0]],
        "epochs": [torch.cat(batches) for batches in epochs],
        "train": torch.stack([rows["user_id"], rows["item_id"]], dim=1),
        "draws": torch.stack(draws),
        "first": first,
        "last": {name: p.detach().clone() for name, p in model.named_parameters()},
        "trained": trainer.average.trained,
        "history": trainer.history,
    }
    torch.save(recorded, folder / f"{config['model']}-{current().rank}.pt")
    return recorded


def resume(config, model: str, options: dict) -> list[dict]:
    """History of a training that begins anew from its checkpoint after two epochs."""
    from recbole_mm.config.config import Config
    from recbole_mm.training.session import prepare_session

    first, second = (prepare_session(Config(model, config["dataset"], config_dict=options)) for _ in range(2))
    first.trainer.epochs = 2
    first.trainer.fit(first.train_data, first.valid_data, saved=True)
    second.trainer.resume_checkpoint(current().on_rank_zero(lambda: first.trainer.saved_model_file))
    second.trainer.fit(second.train_data, second.valid_data, saved=False)
    return second.trainer.history


def fail(config, how: str) -> None:
    """Rank 1 ends in this way while rank 0 waits for it."""
    if current().rank == 1:
        if how == "input":
            raise InputError("the input of rank 1 is wrong")
        if how == "error":
            raise ZeroDivisionError("a mistake of rank 1")
        os.kill(os.getpid(), signal.SIGKILL)
    dist.barrier()


def check_options(config, options: list[dict], fingerprints: list[str], rows: int) -> None:
    """Each rank with options and data of its own."""
    rank = current().rank
    current().check_same(options[rank], fingerprints[rank], rows)


def average(config, values: list[list[float | None]], rows: list[int]) -> list[float | None]:
    """Gradients of scalar parameters after averaging; ``values`` are those of each rank."""
    rank = current().rank
    parameters = [torch.nn.Parameter(torch.zeros(())) for _ in values[rank]]
    for parameter, value in zip(parameters, values[rank]):
        parameter.grad = None if value is None else torch.tensor(value)
    current().average_gradients(parameters, rows[rank])
    return [None if parameter.grad is None else parameter.grad.item() for parameter in parameters]


def several(config, calls: list[tuple]) -> list:
    """What each of the functions returned, in one start of the processes."""
    return [globals()[name](config, *arguments) for name, *arguments in calls]
