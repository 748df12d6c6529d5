"""Options of the multimodal rankers that ours are compared with (recbole_mm/model/multimodal)."""

from __future__ import annotations

from recbole_mm.config.options.option import (
    ABOVE_0,
    AT_LEAST_0,
    AT_LEAST_1,
    FROM_0_BELOW_1,
    FROM_0_TO_1,
    Option,
    Section,
)

VBPR = Section(
    "Factorisation",
    (
        Option("embedding_size", default=64, help="Length of the vectors of users and movies."),
        Option("content_size", default=64, help="Length of the projection of a movie's vectors."),
        Option("reg_weight", default=0.001, help="L2 penalty on the vectors of a batch."),
        Option("learning_rate", default=0.001, help="Step size of the optimiser."),
    ),
)

GRAPH_SIZE = Option("embedding_size", default=64, help="Length of the vectors of users and movies.")
GRAPH_LEARNING_RATE = Option("learning_rate", default=0.001, help="Step size of the optimiser.")
NEIGHBOURS = Option(
    "neighbours", default=10, range=AT_LEAST_1, help="k: nearest movies of a movie in the graph of each modality."
)


def _large_batches(learning_rate: float) -> tuple[Option, ...]:
    """In each step every modality is propagated on all graphs, so that the usual batches of 2048 pairs are slow.

    An epoch has a quarter of the steps, so that there are four times as many epochs.
    """
    return (
        Option("learning_rate", default=learning_rate, help="Step size of the optimiser."),
        Option("train_batch_size", default=8192, help="Pairs in a step, in which all graphs are propagated once."),
        Option("epochs", default=1200, help="Epochs at most; early stopping ends most runs earlier."),
        Option("stopping_step", default=40, help="Epochs without a better validation score before training stops."),
    )


def _layers(default: int) -> Option:
    return Option("n_layers", default=default, range=AT_LEAST_0, help="L: layers of propagation on the training pairs.")


FREEDOM = Section(
    "Graphs",
    (
        GRAPH_SIZE,
        _layers(2),
        NEIGHBOURS,
        Option(
            "edge_dropout",
            default=0.8,
            range=FROM_0_BELOW_1,
            help="rho: part of the training pairs that an epoch leaves out of the graph.",
        ),
        Option(
            "content_weight", default=0.001, range=AT_LEAST_0, help="lambda: weight of the losses of content alone."
        ),
        GRAPH_LEARNING_RATE,
    ),
)

LATTICE = Section(
    "Graphs",
    (
        GRAPH_SIZE,
        _layers(2),
        Option("item_layers", default=1, range=AT_LEAST_1, help="Layers of propagation on the graph of movies."),
        NEIGHBOURS,
        Option(
            "frozen_weight",
            default=0.9,
            range=FROM_0_TO_1,
            help="lambda: weight of the graph of the vectors as they are; the learned graph has the rest.",
        ),
        Option("reg_weight", default=0.0001, help="L2 penalty on the embeddings of a batch."),
        GRAPH_LEARNING_RATE,
    ),
)

BM3 = Section(
    "Views",
    (
        GRAPH_SIZE,
        _layers(1),
        Option("dropout_prob", default=0.3, help="rho: dropout of the other view, in [0, 1)."),
        Option("content_weight", default=2.0, range=AT_LEAST_0, help="c: weight of the losses of content."),
        Option("reg_weight", default=0.01, help="lambda: weight of the norms of the vectors of a batch."),
        GRAPH_LEARNING_RATE,
    ),
)

CONTRAST = (
    Option(
        "contrast_weight",
        default=0.01,
        range=AT_LEAST_0,
        help="gamma: weight of the contrast of behaviour and content (InfoNCE).",
    ),
    Option("temperature", default=0.2, range=ABOVE_0, help="Temperature of InfoNCE."),
    Option("reg_weight", default=0.0001, help="L2 penalty on the embeddings of a batch."),
)

MGCN = Section("Graphs", (GRAPH_SIZE, _layers(2), NEIGHBOURS, *CONTRAST, *_large_batches(0.02)))

SMORE = Section(
    "Graphs",
    (
        GRAPH_SIZE,
        _layers(3),
        NEIGHBOURS,
        Option("dropout_prob", default=0.0, help="Dropout of what behaviour wants of each modality, in [0, 1)."),
        *CONTRAST,
        *_large_batches(0.02),
    ),
)

MMGCN = Section(
    "Graphs",
    (
        GRAPH_SIZE,
        Option("reg_weight", default=0.0001, help="L2 penalty on the embeddings of a batch."),
        *_large_batches(0.003),
    ),
)
