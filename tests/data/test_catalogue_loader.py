from __future__ import annotations

import pytest
import torch
from recbole.data import create_samplers
from recbole.data.dataloader import FullSortEvalDataLoader

from recbole_mm.config.config import Config
from recbole_mm.data.catalogue_loader import CatalogueLoader
from recbole_mm.training.session import prepare_data


def batches(loader) -> list[tuple]:
    return [
        (users[loader.uid_field].tolist(), *(set(zip(*(side.tolist() for side in pair))) for pair in (history, found)))
        for users, history, row, item in loader
        for found in [(row, item)]
    ]


@pytest.mark.parametrize("phase", ["valid", "test"])
def test_batches_are_those_of_recbole(planted, phase):
    config = Config("MMFS", planted.name, config_dict=planted.options(protocol="ranking", eval_batch_size=1_000))
    dataset, split = prepare_data(config)
    samplers = dict(
        zip(("train", "valid", "test"), create_samplers(config, dataset, [split.train, split.valid, split.test]))
    )
    part = getattr(split, phase)
    history = [split.train] if phase == "valid" else [split.train, split.valid]
    ours = batches(CatalogueLoader(config, part, history))
    theirs = batches(FullSortEvalDataLoader(config, part, samplers[phase]))
    assert len(ours) > 3 and ours == theirs


def test_a_movie_that_is_to_be_found_is_no_history(planted):
    """A movie rated twice may be in the training part and in the tested one; it stays a candidate."""
    config = Config("MMFS", planted.name, config_dict=planted.options(protocol="ranking"))
    _, split = prepare_data(config)
    part = split.test.copy(split.test.inter_feat[torch.tensor([0, 1])])
    both = split.train.copy(split.test.inter_feat[torch.tensor([0])])
    ((_, (_, history), _, positive),) = CatalogueLoader(config, part, [both])
    assert len(history) == 0 and len(positive) == 2
