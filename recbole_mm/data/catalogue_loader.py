"""Loader of users for ranking the whole catalogue, fast for any number of ratings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from recbole.data.dataloader import AbstractDataLoader, FullSortEvalDataLoader
from recbole.data.dataset import Dataset
from recbole.data.interaction import Interaction
from torch import Tensor

from recbole_mm.data.row_groups import places_of_runs
from recbole_mm.data.user_sets import UserSets


class CatalogueLoader(FullSortEvalDataLoader):
    """RecBole's loader for full ranking with the same batches, but with arrays.

    RecBole keeps a Python set for each user and each part.

    Args:
        dataset: the part with the positive rows; it is sorted by user, as in RecBole.
        history: the parts whose movies are not candidates for their users.
    """

    def __init__(self, config, dataset: Dataset, history: Sequence[Dataset]) -> None:
        self.uid_field, self.iid_field = dataset.uid_field, dataset.iid_field
        self.is_sequential = False
        dataset.sort(by=self.uid_field, ascending=True)
        positive = self._pairs([dataset])
        seen = self._pairs(history)
        self.positive = _Sets(positive, dataset.user_num, dataset.item_num)
        self.history = _Sets(_without(seen, positive), dataset.user_num, dataset.item_num)
        self.uid_list = self.positive.sizes.nonzero().squeeze(1)
        self.user_df = dataset.join(Interaction({self.uid_field: self.uid_list}))
        self.sample_size = len(self.uid_list)
        AbstractDataLoader.__init__(self, config, dataset, sampler=None, shuffle=False)

    def of_users(self, part: slice) -> CatalogueLoader:
        """The same for some of `uid_list`, without another look at the rows."""
        other = object.__new__(type(self))
        for name in ("uid_field", "iid_field", "is_sequential", "positive", "history"):
            setattr(other, name, getattr(self, name))
        other.uid_list, other.user_df = self.uid_list[part], self.user_df[part]
        other.sample_size = len(other.uid_list)
        AbstractDataLoader.__init__(other, self.config, self._dataset, sampler=None, shuffle=False)
        return other

    def _pairs(self, parts: Sequence[Dataset]) -> Tensor:
        """Each (user, item) of the parts once, as the number user · item_num + item, ascending."""
        rows = [_pair_numbers(part.inter_feat, self.uid_field, self.iid_field, part.item_num) for part in parts]
        # numpy sorts whole numbers several times faster than torch.
        return torch.from_numpy(np.sort(torch.cat(rows).numpy())).unique_consecutive()

    def collate_fn(self, index) -> tuple[Interaction, tuple[Tensor, Tensor], Tensor, Tensor]:
        """Users of a batch, (row, item) of their history, and rows and items of their positives."""
        index = torch.as_tensor(index)
        users = self.user_df.interaction[self.uid_field][index]
        history, positive = self.history.of(users), self.positive.of(users)
        return self.user_df[index], (history.row, history.movie), positive.row, positive.movie


def _pair_numbers(rows: Any, uid_field: str, iid_field: str, item_num: int) -> Tensor:
    return rows[uid_field] * item_num + rows[iid_field]


def _without(pairs: Tensor, others: Tensor) -> Tensor:
    """Those of ``pairs`` that are not in ``others``; both are ascending."""
    places = torch.searchsorted(pairs, others).clamp_(max=max(len(pairs) - 1, 0))
    kept = torch.ones(len(pairs), dtype=torch.bool)
    if len(pairs):
        kept[places[pairs[places] == others]] = False
    return pairs[kept]


class _Sets:
    """Items of each user, from ascending pair numbers user · item_num + item."""

    def __init__(self, pairs: Tensor, user_num: int, item_num: int) -> None:
        self.items = pairs % item_num
        self.sizes = (pairs // item_num).bincount(minlength=user_num)
        self.starts = self.sizes.cumsum(0) - self.sizes

    def of(self, users: Tensor) -> UserSets:
        sizes = self.sizes[users]
        items = self.items[places_of_runs(self.starts[users], sizes)]
        return UserSets(torch.repeat_interleave(sizes), items, len(users))
