"""Attributes of users and movies as indicator matrices, for the baselines that read them."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import scipy.sparse as sp


def one_hot(features, id_field: str, names: Collection[str] | None = None) -> list[sp.csr_matrix]:
    """One indicator matrix for each field with one value a row, [rows, values of the field].

    Args:
        features: ``user_feat`` or ``item_feat`` of a data set, in the order of the ids; None: there are no fields.
        id_field: is left out.
        names: of the fields; None: all.
    """
    if features is None:
        return []
    found = [name for name in features.columns if name != id_field and (names is None or name in names)]
    columns = [np.asarray(features[name]) for name in found]
    return [
        sp.csr_matrix((np.ones(len(codes)), (np.arange(len(codes)), codes)))
        for column in columns
        if column.ndim == 1
        for codes in [np.unique(column, return_inverse=True)[1]]
    ]
