"""Controls that corrupt the vectors of movies on purpose, to measure how much the content contributes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from recbole_mm.data.modality import Modality

CORRUPTIONS = ("none", "shuffled", "noise", "constant", "absent")


def corrupt(modalities: dict[str, Modality], control: str, missing_ratio: float, seed: int) -> dict[str, Modality]:
    """The same fields with corrupted content; unchanged for ``none`` and a ratio of 0.

    Each field has its own random numbers, which depend only on seed and field.

    Args:
        control: ``shuffled`` permutes the vectors of a field among the movies that have one; ``noise`` replaces them
            by Gaussian numbers with the mean and standard deviation of each column; ``constant`` by the column means;
            ``absent`` removes all of them.
        missing_ratio: part of the vectors of each field that is then removed, of random movies, in [0, 1].
    """
    corrupted = {}
    for name, modality in modalities.items():
        random = np.random.default_rng([seed, 2, *name.encode()])
        values, present = _control(modality.values, modality.present, control, random)
        present = present & torch.from_numpy(random.random(len(present)) >= missing_ratio)
        corrupted[name] = Modality(values * present[:, None], present)
    return corrupted


def _control(values: Tensor, present: Tensor, control: str, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    rows = torch.nonzero(present).squeeze(1)
    values = values.clone()
    if control == "shuffled":
        values[rows] = values[rows[torch.from_numpy(random.permutation(len(rows)))]]
    elif control == "noise":
        mean, deviation = values[rows].mean(dim=0), values[rows].std(dim=0, correction=0)
        noise = torch.from_numpy(random.standard_normal((len(rows), values.shape[1]))).to(values.dtype)
        values[rows] = mean + deviation * noise
    elif control == "constant":
        values[rows] = values[rows].mean(dim=0)
    elif control == "absent":
        present = torch.zeros_like(present)
    return values, present
