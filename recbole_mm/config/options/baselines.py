"""Options of the baselines that RecBole lacks (recbole_mm/model/baselines)."""

from __future__ import annotations

from recbole_mm.config.options.option import (
    ABOVE_0,
    AT_LEAST_0,
    AT_LEAST_1,
    FROM_0_TO_1,
    Option,
    Section,
)

BIAS = Section(
    "Biases",
    (
        Option(
            "biases",
            default=("item", "user"),
            items="str",
            help="Which biases: item, user or both; [] is the global mean.",
        ),
        Option(
            "item_damping",
            default=10.0,
            range=AT_LEAST_0,
            help="Ratings at the mean that every movie is given beside its own.",
        ),
        Option(
            "user_damping",
            default=15.0,
            range=AT_LEAST_0,
            help="Ratings at the mean that every user is given beside their own.",
        ),
    ),
)

GENRE_RIDGE = Section(
    "Regression",
    (
        Option(
            "genre_penalty",
            default=20.0,
            range=ABOVE_0,
            help="L2 penalty on a user's weights; on those of all users together too.",
        ),
        Option(
            "user_damping",
            default=5.0,
            range=AT_LEAST_0,
            help="Ratings at the mean of all that every user is given beside their own.",
        ),
    ),
)

SVDPP = Section(
    "Factorisation",
    (
        Option("factors", default=20, help="Length of the vectors of users and movies."),
        Option("sgd_epochs", default=20, help="Passes over the training ratings."),
        Option("sgd_learning_rate", default=0.007, help="Step size of stochastic gradient descent."),
        Option("sgd_penalty", default=0.02, help="L2 regularisation."),
    ),
)

DENSE_LIMIT = Option(
    "dense_limit",
    default=16000,
    range=AT_LEAST_1,
    help="Most movies (or users) for which a dense matrix between them is built; more are refused.",
)

HIERARCHICAL_REGRESSION = Section(
    "Regression",
    (
        Option("content_components", default=64, range=AT_LEAST_1, help="Principal components of all vectors."),
        Option("em_steps", default=15, range=AT_LEAST_1, help="Steps of expectation maximisation."),
        DENSE_LIMIT,
    ),
)

GAUSSIAN_PROCESS = Section(
    "Kernels",
    (
        Option(
            "user_bias_variance", default=0.2, range=AT_LEAST_0, help="Variance of what a user adds to all ratings."
        ),
        Option(
            "item_bias_variance", default=0.1, range=AT_LEAST_0, help="Variance of what a movie adds to all ratings."
        ),
        Option(
            "interaction_variance",
            default=1.2,
            range=AT_LEAST_0,
            help="Variance of what a user and a movie add together.",
        ),
        Option("noise_variance", default=0.65, range=ABOVE_0, help="Variance of the noise of a rating."),
        Option(
            "user_corating",
            default=0.5,
            range=FROM_0_TO_1,
            help="Part of the users' kernel that is the cosine of what they rated; the rest of 1 is the user's own.",
        ),
        Option(
            "user_attributes",
            default=0.0,
            range=FROM_0_TO_1,
            help="Part of the users' kernel that is the portion of equal attributes, where the data have some.",
        ),
        Option(
            "item_content",
            default=0.45,
            range=FROM_0_TO_1,
            help="Part of the movies' kernel that is the RBF kernel of the vectors; the rest of 1 is the movie's own.",
        ),
        Option(
            "item_corating",
            default=0.35,
            range=FROM_0_TO_1,
            help="Part of the movies' kernel that is the cosine of who rated them; none for movies that nobody rated.",
        ),
        DENSE_LIMIT,
    ),
)

BAYESIAN_FM = Section(
    "Factorisation machine",
    (
        Option("factors", default=10, help="Length of the vectors of the inputs."),
        Option("samples", default=200, range=AT_LEAST_1, help="Samples of the chain; the first quarter is left out."),
        DENSE_LIMIT,
    ),
)

KERNEL_RIDGE = Section(
    "Regression",
    (Option("kernel_penalty", default=1.0, range=ABOVE_0, help="lambda: penalty of the regression."), DENSE_LIMIT),
)

CONTENT_EASE = Section(
    "Item-to-item scores",
    (
        Option("content_weight", default=100.0, range=AT_LEAST_0, help="w: weight of the kernel of content."),
        Option("ease_penalty", default=300.0, range=ABOVE_0, help="lambda: penalty of the regression."),
        DENSE_LIMIT,
    ),
)

CONTENT_KNN = Section(
    "Neighbours",
    (Option("neighbours", default=50, range=AT_LEAST_1, help="Nearest movies that count."), DENSE_LIMIT),
)
