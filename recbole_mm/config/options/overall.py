"""Options of every run, in the order of properties/overall.yaml.

Three of them are RecBole's own with a default of ours: valid_metric, gpu_id and eval_batch_size.
"""

from __future__ import annotations

from recbole_mm.config.options.option import (
    AT_LEAST_1,
    BETWEEN_0_AND_1,
    FINITE,
    FROM_0_TO_1,
    Option,
    Range,
    Section,
)

PROTOCOL = Section(
    "What is split, trained and reported",
    (
        Option(
            "protocol",
            default="ranking",
            help="A file of properties/protocol: ranking, u1 … u5, cold-item, temporal, published.",
        ),
        Option(
            "builtin_task",
            default="ranking",
            choices=("ranking", "rating"),
            help="What RecBole's own models are trained for: ranking (as in RecBole) or rating (mean squared error).",
        ),
        Option(
            "split_by",
            default="recbole",
            choices=("recbole", "file_fold", "cold_item", "label"),
            help="recbole: by eval_args; file_fold: a fifth of the .inter file's rows; cold_item: by movie; label: by "
            "split_field.",
        ),
        Option(
            "split_field",
            default="x_label",
            help="With label: field of the .inter file with the part of each row: 0 training, 1 validation, 2 test. No "
            "model sees it.",
        ),
        Option(
            "test_fold",
            default=None,
            kinds=("int", "none"),
            range=Range("from 1 to 5", lambda x: 1 <= x <= 5),
            help="With file_fold: which fifth is tested.",
        ),
        Option(
            "valid_ratio",
            default=0.1,
            range=BETWEEN_0_AND_1,
            help="With file_fold, and with data split in two: part of the training rows that is validated on.",
        ),
        Option(
            "cold_test_ratio",
            default=0.2,
            range=BETWEEN_0_AND_1,
            help="With cold_item: part of the movies that is only tested.",
        ),
        Option(
            "cold_valid_ratio",
            default=0.1,
            range=BETWEEN_0_AND_1,
            help="With cold_item: part of the movies that is only validated on.",
        ),
        Option(
            "genre_test_ratio",
            default=0.2,
            range=BETWEEN_0_AND_1,
            help="Part of the movies whose genres are held out for the test (cold_item: its movies instead).",
        ),
        Option(
            "genre_valid_ratio",
            default=0.1,
            range=BETWEEN_0_AND_1,
            help="Part of the movies whose genres are held out for validation.",
        ),
        Option(
            "valid_metric",
            default=None,
            kinds=("str", "none"),
            help="Metric that chooses the epoch; ~ is RMSE for a model of ratings, else NDCG@10 (at the first topk "
            "where 10 is none).",
        ),
        Option(
            "refit",
            default=False,
            help="Train again, on training and validation rows together, for the number of epochs that validation "
            "chose; this model is tested. The metrics of validation are those of the first training.",
        ),
        Option(
            "tasks",
            default=None,
            kinds=("list", "none"),
            items="str",
            help="What our models learn together, of rating, genre and ranking. ~: all that the data allow.",
        ),
    ),
)

MOVIES = Section(
    "Movies and their vectors",
    (
        Option(
            "modalities",
            default=("text", "words", "audio", "avf", "mise", "meta", "facts"),
            items="str",
            help="Fields: <dataset>.<field> or <dataset>.<field>.npz beside the .inter file.",
        ),
        Option(
            "non_finite_vectors",
            default="error",
            choices=("error", "missing"),
            help="A vector with inf or nan: error, or missing (the movie then lacks that field).",
        ),
        Option(
            "pca_components",
            default=None,
            kinds=("int", "none"),
            range=AT_LEAST_1,
            former=("vector_components",),
            help="Raw vectors: clip and standardise them and keep at most this number of principal components, fitted "
            "on training movies. ~: as they are.",
        ),
        Option(
            "filter_inter_by_user_or_item",
            default=False,
            help="Leave out the ratings of movies and users without a row in the .item and .user file. Else their "
            "fields are empty.",
        ),
        Option("genre_field", default="class", help="Field of the .item file that holds the genres."),
        Option(
            "genre_input",
            default=False,
            help="Let built-in context models see the genres. They are a target, so by default no model does.",
        ),
        Option(
            "vector_input",
            default=False,
            help="Let built-in context models trained on ratings see each modality as one more field, a learned "
            "projection of its vector.",
        ),
        Option(
            "metadata_genre",
            default=False,
            help="Ablation only: read field meta_genre (metadata with genres) in place of meta.",
        ),
        Option(
            "modality_corruption",
            default="none",
            choices=("none", "shuffled", "noise", "constant", "absent"),
            former=("modality_control",),
            help="Control only: corrupt the vectors, to see what they are worth: none, shuffled, noise, constant or "
            "absent.",
        ),
        Option(
            "missing_ratio",
            default=0.0,
            range=FROM_0_TO_1,
            help="Control only: part of the vectors of each modality that is taken away before training.",
        ),
        Option(
            "imputation",
            default="none",
            choices=("none", "zeros", "mean", "neighbours", "pagerank", "heat"),
            help="Control only: give movies without a vector one that counts as theirs: none, zeros, the mean, or a "
            "mean over movies rated by the same users (neighbours, pagerank, heat).",
        ),
        Option(
            "title_field",
            default="movie_title",
            help="Field of the .item file; items of one title and year are one movie when movies are split.",
        ),
        Option("year_field", default="release_year", help="Field of the .item file that holds the year."),
    ),
)

RATINGS = Section(
    "Ratings",
    (
        Option(
            "like_threshold",
            default=4.0,
            range=FINITE,
            help="A user likes the movies rated at least this; their average is the user's profile.",
        ),
        Option(
            "rating_scale",
            default=None,
            kinds=("list", "none"),
            help="Lowest and highest rating, e.g. [1, 5]; predictions are clipped to it. ~ takes the training rows' "
            "range.",
        ),
        Option(
            "batches_of",
            default="rows",
            choices=("rows", "users"),
            help="rows: a step has training rows at random; users: a user's rows stay together, for millions of "
            "ratings.",
        ),
    ),
)

RUNNING = Section(
    "Running",
    (
        Option(
            "gpu_id",
            default=None,
            kinds=("str", "int", "none"),
            help="GPUs to use, e.g. 0 or 0,1; '' is the CPU; ~ takes what CUDA_VISIBLE_DEVICES leaves, or the CPU if "
            "there is none.",
        ),
        Option(
            "eval_batch_size",
            default=200000,
            range=AT_LEAST_1,
            help="Scores (or rows) computed at once in evaluation; RecBole's 4096 is two users at a time, 6 to 9 times "
            "slower.",
        ),
        Option(
            "ratings_cache",
            default="auto",
            kinds=("str", "none"),
            help="Folder where a large .inter file is kept parsed for the next start; auto: .recbole-mm-cache beside "
            "the data, or the user's folder of caches; ~: nowhere.",
        ),
        Option(
            "result_file",
            default=None,
            kinds=("str", "none"),
            help="Write the result of the run to this JSON file.",
        ),
        Option(
            "predictions_file",
            default=None,
            kinds=("str", "none"),
            former=("outcome_file",),
            help="Write rating and prediction of each test pair, and the metrics of each ranked user, to this .npz "
            "file.",
        ),
        Option(
            "resume",
            default=None,
            kinds=("str", "none"),
            help="Checkpoint to go on training from. 'auto': the last epoch of a run with the same options that was "
            "stopped, or a new run if there is none.",
        ),
        Option(
            "save_last",
            default=True,
            help="Save the last epoch too, beside the best one, while a run trains; --resume=auto goes on from it.",
        ),
        Option("evaluate", default=None, kinds=("str", "none"), help="Checkpoint to evaluate, without training."),
        Option(
            "nproc",
            default=1,
            range=AT_LEAST_1,
            help="Processes on this host that train together, each with a GPU where there are any. A short cut for "
            "torchrun, which also starts several hosts (docs/distributed.md).",
        ),
    ),
)

OVERALL = (PROTOCOL, MOVIES, RATINGS, RUNNING)
