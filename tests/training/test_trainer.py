from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
from model_contract import open_session

from recbole_mm.errors import InputError
from recbole_mm.training.session import run
from recbole_mm.training.trainer import WeightAverage


def model_of(value: float) -> torch.nn.Module:
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(model.weight, value)
    return model


def test_average_of_weights_is_exponential():
    model = model_of(0.0)
    average, expected = WeightAverage(model, 0.5), None
    for step in range(1, 6):
        torch.nn.init.constant_(model.weight, float(step))
        average.update()
        decay = min(0.5, (1 + step) / (10 + step))
        expected = float(step) if expected is None else decay * expected + (1 - decay) * step
    assert float(average.average[0]) == pytest.approx(expected)


def test_model_holds_the_average_outside_an_epoch_and_the_trained_weights_inside():
    model = model_of(1.0)
    average = WeightAverage(model, 0.9)
    average.update()
    torch.nn.init.constant_(model.weight, 3.0)
    average.update()
    average.enter()
    assert 1.0 < model.weight.item() < 3.0
    average.leave()
    assert model.weight.item() == 3.0


def test_without_decay_nothing_is_averaged():
    model = model_of(2.0)
    average = WeightAverage(model, 0.0)
    average.update()
    average.enter()
    assert model.weight.item() == 2.0
    assert average.average == []


def test_averaging_changes_what_is_evaluated_not_what_is_trained(planted):
    losses = {}
    for decay in (0.0, 0.9):
        session = open_session("MMFS", planted, averaging_decay=decay)
        session.trainer.fit(session.train_data, session.valid_data, saved=False)
        losses[decay] = [(epoch["losses"], epoch["valid"]["rmse"]) for epoch in session.trainer.history]
    assert [loss for loss, _ in losses[0.0]] == [loss for loss, _ in losses[0.9]]
    assert [rmse for _, rmse in losses[0.0]] != [rmse for _, rmse in losses[0.9]]


def test_losses_and_accuracy_are_in_the_log_and_in_tensorboard(planted, caplog):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with caplog.at_level(logging.INFO):
        run("MMASP", planted.name, config_dict=planted.options(epochs=2), saved=False)
    line = next(r.message for r in caplog.records if r.message.startswith("epoch 1 training"))
    names = ["rating", "genre", "discriminator", "orthogonality", "discriminator_accuracy"]
    assert all(f"{name}: " in line for name in names)
    folders = {path.parent for path in Path("log_tensorboard").rglob("events.out.tfevents.*")}
    tags = {tag for folder in folders for tag in EventAccumulator(str(folder)).Reload().Tags()["scalars"]}
    assert {f"Train/{name}" for name in names} | {"Valid/rmse", "Valid/ndcg@10", "Valid/genre_map"} <= tags


def test_loss_that_is_not_a_number_stops_the_run(planted):
    session = open_session("MMFS", planted)
    with torch.no_grad():
        session.model.tasks["rating"].mean_rating.fill_(float("nan"))
    with pytest.raises(InputError, match="training loss is nan in epoch 1; lower learning_rate"):
        session.trainer.fit(session.train_data, saved=False)


def test_cold_candidates_do_not_stay_for_the_next_evaluation(planted):
    session = open_session("MMFS", planted, protocol="cold-item")
    first = session.trainer.evaluate(session.test_data, load_best_model=False)
    session.trainer.evaluate(session.valid_data, load_best_model=False)
    assert session.trainer.evaluate(session.test_data, load_best_model=False) == first
