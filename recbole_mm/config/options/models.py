"""Options of each model, in the order of its file in properties/model.

An option that RecBole's models have too (learning_rate, embedding_size, dropout_prob, …) has only its default and help
here; its range is RecBole's, in config/schema.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from recbole_mm.config.options.baselines import (
    BAYESIAN_FM,
    BIAS,
    CONTENT_EASE,
    CONTENT_KNN,
    GAUSSIAN_PROCESS,
    GENRE_RIDGE,
    HIERARCHICAL_REGRESSION,
    KERNEL_RIDGE,
    SVDPP,
)
from recbole_mm.config.options.multimodal import BM3, FREEDOM, LATTICE, MGCN, MMGCN, SMORE, VBPR
from recbole_mm.config.options.option import (
    AT_LEAST_0,
    AT_LEAST_1,
    FROM_0_BELOW_1,
    FROM_0_TO_1,
    Option,
    Section,
)


@dataclass(frozen=True)
class ModelOptions:
    """Options of one model.

    Attributes:
        summary: what the model is, in one line.
        sections: its options.
    """

    summary: str
    sections: tuple[Section, ...]


# ---------------------------------------------------------------------- what MMFS, MMSP and MMASP share

MOVIE = Section(
    "Representation of a movie",
    (
        Option(
            "embedding_size",
            default=32,
            help="Length d of each modality's projection and of the movie representation.",
        ),
        Option(
            "id_size",
            default=32,
            range=AT_LEAST_0,
            help="Length of the learned vector that a movie with training ratings has beside its content; 0: content "
            "alone.",
        ),
        Option(
            "id_dropout",
            default=0.3,
            range=FROM_0_BELOW_1,
            help="Probability in training that a movie loses this vector, as cold movies have none.",
        ),
        Option(
            "dropout_prob",
            default=0.3,
            help="Dropout of the fused input and of the rating head's hidden layer, in [0, 1).",
        ),
        Option(
            "modality_dropout",
            default=0.1,
            range=FROM_0_BELOW_1,
            help="Probability in training that a movie's vector of one modality counts as missing.",
        ),
    ),
)

RATING_TASK = Section(
    "Task: rating",
    (
        Option(
            "rating_weight",
            default=1.0,
            range=AT_LEAST_0,
            help="Weight of the rating loss (mean squared error on the raw scale).",
        ),
        Option(
            "rating_hidden_size",
            default=32,
            range=AT_LEAST_1,
            help="Hidden units of the rating head, MLP[P; z; P*z].",
        ),
        Option("rating_bias", default=True, help="Add b_u to the rating."),
        Option(
            "disliked_profile",
            default=True,
            help="Add a learned map of the average disliked movie to the profile; false: the liked average alone.",
        ),
        Option(
            "implicit_size",
            default=32,
            before=0,
            range=AT_LEAST_0,
            help="Length of the vectors that say who rated what, in both directions, a term of the rating; 0: no such "
            "term.",
        ),
        Option(
            "implicit_dropout",
            default=0.5,
            range=FROM_0_BELOW_1,
            help="Dropout of the product of these vectors.",
        ),
        Option(
            "implicit_pairs",
            default=2_000_000,
            before=0,
            range=AT_LEAST_0,
            help="Most pairs of a movie and a rater that a training step sums; with more ratings movies keep a part of "
            "their raters, drawn once; 0: all, and an epoch takes time in the square of the ratings.",
        ),
        Option(
            "implicit_joint",
            default=False,
            before=True,
            help="Train these vectors and the rest of the rating by one loss: better ratings of movies with training "
            "ratings, on some data worse predictions of the others.",
        ),
        Option(
            "regression_weight",
            default=0.6,
            before=0.0,
            range=FROM_0_TO_1,
            help="Weight of the user's regression on content, in closed form, in the rating of a movie without "
            "training ratings; 0: none.",
        ),
        Option(
            "regression_components",
            default=64,
            range=AT_LEAST_1,
            help="Principal components of all vectors that the first of two regressions reads. The second reads half "
            "of them and, with the task genre, predicted genres. Their mean counts.",
        ),
    ),
)

GENRE_TASK = Section(
    "Task: genre",
    (
        Option("genre_weight", default=1.0, range=AT_LEAST_0, help="Weight of the genre loss (binary cross-entropy)."),
        Option(
            "genre_linear",
            default=True,
            help="Predict genres by a penalised linear map of the movie's vectors; false: from its representation, as "
            "in the paper.",
        ),
        Option(
            "genre_regression_weight",
            default=0.5,
            before=0.0,
            range=FROM_0_TO_1,
            help="Weight of the regression on content and on who rated the movie, in closed form, in the genre "
            "probabilities; 0: none.",
        ),
        Option(
            "genre_batch_size",
            default=512,
            range=AT_LEAST_1,
            help="Movies drawn uniformly from the catalogue for the genre loss, in each step.",
        ),
    ),
)

RANKING_TASK = Section(
    "Task: ranking",
    (
        Option(
            "ranking_size",
            default=128,
            range=AT_LEAST_1,
            help="Length of the vectors whose dot product ranks the catalogue.",
        ),
        Option("ranking_dropout", default=0.7, range=FROM_0_BELOW_1, help="Dropout of a user's vector for ranking."),
        Option(
            "ranking_gradient_scale",
            default=0.01,
            range=AT_LEAST_0,
            former=("ranking_influence",),
            help="Factor of the ranking task's gradient into the movies' representation.",
        ),
        Option(
            "ease_weight",
            default=8.0,
            range=AT_LEAST_0,
            former=("ranking_linear_weight",),
            help="Weight of closed-form item-to-item scores (EASE) in the ranking; 0: none. They take a movies x "
            "movies matrix.",
        ),
        Option(
            "ease_content_weight",
            default=100.0,
            before=0.0,
            range=AT_LEAST_0,
            help="Weight of the kernel of content among these scores; 0: ratings alone, and no such score for a movie "
            "that nobody rated.",
        ),
        Option(
            "ranking_batch_size",
            default=256,
            range=AT_LEAST_1,
            help="Users drawn for the ranking loss, in each step.",
        ),
    ),
)

TRAINING = Section(
    "Training",
    (
        Option("learning_rate", default=0.005, help="Step size of the optimiser."),
        Option("weight_decay", default=0.0003, help="L2 regularisation."),
        Option(
            "train_batch_size",
            default=8192,
            help="Rating rows in a step; the whole catalogue is encoded once a step.",
        ),
        Option("epochs", default=200, help="Epochs at most; early stopping ends most runs earlier."),
        Option(
            "stopping_step",
            default=10,
            help="Epochs without a better validation score before training stops.",
        ),
        Option(
            "averaging_decay",
            default=0.99,
            range=FROM_0_BELOW_1,
            help="Part of the old weight average that is kept in each step; 0: no averaging.",
        ),
    ),
)

# ---------------------------------------------------------------------- what MMSP and MMASP add

PRIVATE = Section(
    "Shared and private parts",
    (
        Option(
            "private_size",
            default=None,
            kinds=("int", "none"),
            range=AT_LEAST_0,
            help="Length of each private part; ~ is embedding_size, 0 leaves them out (then the model is MMFS).",
        ),
    ),
)

ADVERSARIAL = Section(
    "What keeps shared and private parts apart",
    (
        Option(
            "adversarial_strength",
            default=0.01,
            range=AT_LEAST_0,
            help="lambda: factor of the reversed gradient of the task discriminator; 0 switches it off.",
        ),
        Option(
            "adversarial_genres",
            default=False,
            help="The discriminator reads the shared representation together with the genres predicted from it (CDAN).",
        ),
        Option(
            "adversarial_rise",
            default=0,
            range=AT_LEAST_0,
            help="Training steps in which lambda rises from 0 to its value (Ganin et al. 2016); 0: it has its value "
            "from the first step.",
        ),
        Option(
            "orthogonality_weight",
            default=0.01,
            range=AT_LEAST_0,
            help="gamma: weight of the orthogonality of shared and private parts.",
        ),
    ),
)

# ---------------------------------------------------------------------- by model

_TASKS = (RATING_TASK, GENRE_TASK, RANKING_TASK)

MODEL_OPTIONS: dict[str, ModelOptions] = {
    "MMFS": ModelOptions(
        "fully shared. One representation of a movie for both tasks (recbole_mm/model/mmfs.py).",
        (MOVIE, *_TASKS, TRAINING),
    ),
    "MMSP": ModelOptions(
        "shared-private. Each task sees the shared representation beside one of its own (recbole_mm/model/mmsp.py).",
        (MOVIE, PRIVATE, *_TASKS, TRAINING),
    ),
    "MMASP": ModelOptions(
        "adversarial shared-private. MMSP, a task discriminator behind gradient reversal, and orthogonality "
        "(recbole_mm/model/mmasp.py).",
        (MOVIE, PRIVATE, ADVERSARIAL, *_TASKS, TRAINING),
    ),
    "Bias": ModelOptions(
        "mean rating plus damped biases of movies and users (recbole_mm/model/baselines/bias.py); the floors of the "
        "rating tables.",
        (BIAS,),
    ),
    "GenreRidge": ModelOptions(
        "each user's own ridge regression of ratings on genres (recbole_mm/model/baselines/genre_ridge.py). Genres are "
        "an input here.",
        (GENRE_RIDGE,),
    ),
    "SVDpp": ModelOptions(
        "SVD++ of scikit-surprise, at its own defaults (recbole_mm/model/baselines/svdpp.py).",
        (SVDPP,),
    ),
    "HierarchicalRegression": ModelOptions(
        "each user's regression on content with a prior of all users "
        "(recbole_mm/model/baselines/hierarchical_regression.py).",
        (HIERARCHICAL_REGRESSION,),
    ),
    "GaussianProcess": ModelOptions(
        "Gaussian process over users and movies with kernels of content and of who rated what "
        "(recbole_mm/model/baselines/gaussian_process.py).",
        (GAUSSIAN_PROCESS,),
    ),
    "BayesianFM": ModelOptions(
        "Bayesian factorisation machine of myfm (recbole_mm/model/baselines/bayesian_fm.py).",
        (BAYESIAN_FM,),
    ),
    "KernelRidge": ModelOptions(
        "kernel ridge regression of who rated what on content (recbole_mm/model/baselines/content_ranking.py).",
        (KERNEL_RIDGE,),
    ),
    "ContentEASE": ModelOptions(
        "EASE with content in its Gram matrix (recbole_mm/model/baselines/content_ranking.py).",
        (CONTENT_EASE,),
    ),
    "ContentKNN": ModelOptions(
        "item-to-item cosine of content (recbole_mm/model/baselines/content_ranking.py).",
        (CONTENT_KNN,),
    ),
    "VBPR": ModelOptions(
        "matrix factorisation and a projection of the movies' vectors, learned from pairs "
        "(recbole_mm/model/multimodal/vbpr.py).",
        (VBPR,),
    ),
    "FREEDOM": ModelOptions(
        "LightGCN on a part of the pairs, and a frozen graph of movies (recbole_mm/model/multimodal/freedom.py).",
        (FREEDOM,),
    ),
    "LATTICE": ModelOptions(
        "LightGCN and a learned graph of movies (recbole_mm/model/multimodal/lattice.py).",
        (LATTICE,),
    ),
    "BM3": ModelOptions(
        "users, movies and content predict each other without negatives (recbole_mm/model/multimodal/bm3.py).",
        (BM3,),
    ),
    "MGCN": ModelOptions(
        "LightGCN and identities that content has filtered (recbole_mm/model/multimodal/mgcn.py).",
        (MGCN,),
    ),
    "SMORE": ModelOptions(
        "LightGCN and modalities that are fused as spectra (recbole_mm/model/multimodal/smore.py).",
        (SMORE,),
    ),
    "MMGCN": ModelOptions(
        "each modality is propagated on the training pairs (recbole_mm/model/multimodal/mmgcn.py).",
        (MMGCN,),
    ),
}
"""Model -> its options. A model that is not here has them in properties/model/NAME.yaml alone (docs/extending.md)."""
