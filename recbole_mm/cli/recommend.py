"""``recbole-mm recommend``: movies for a user of the data set, or for anyone who names a few movies."""

from __future__ import annotations

import argparse
import json
import re
from typing import Any

from recbole_mm.cli.terminal import encodes_everything, visible
from recbole_mm.errors import InputError

HELP = "recommend movies with a trained model, with reasons"
DESCRIPTION = """Recommend movies, with reasons.

  recbole-mm recommend --checkpoint=saved/MMASP-….pt --user=42
  recbole-mm recommend --checkpoint=saved/MMASP-….pt --likes="Toy Story; Alien" --dislikes="Titanic" --k=5 --json

  recbole-mm recommend --checkpoint=saved/MMASP-….pt --all --out=lists --shard=0/4
  recbole-mm recommend --checkpoint=model.safetensors --users=ratings.csv --out=lists --format=parquet

Movies are named by id or by title, with or without the year, separated by semicolons. A user gets no movie that they
rated in the training or the validation part, as in the evaluation of the test part.

--all writes lists for all users of the data set, --users for the people of a file with columns user_id, item_id and
rating (csv or parquet; the rows of a person stand together). The folder --out gets files part-000000, … with columns
user_id, rank, item_id, score, rating. --shard=i/n writes every n-th file: n machines share the work. A file that is
there is not written again, so that the same command goes on after it was stopped.
"""

JSON_HELP = """--json prints one object:
  model, dataset      names, str
  user                id of the user, or null
  likes, dislikes     ids of the movies given, [str]
  recommendations     best first, each with
    rank, item_id, title, year (null: unknown), score
    rating            predicted, on the rating scale; null if the model predicts none
    genres            those likelier than not, else the likeliest: [{genre, probability}]
    because           the liked movies that carried it most: [{item_id, title, contribution}]
    because_method    exact (contributions of all movies and the movie's popularity sum to the score) or approximation
    modality          the movie's modality without which the score would lose most, or null
A built-in model of RecBole gives no genres and no reasons: [] and null.
"""

DEL_AND_C1 = re.compile(r"[\x7f-\x9f]")  # control characters that json leaves as they are
BATCH_SIZE = 4_096
_WIDTHS = {"title": 40, "year": None, "rating": None, "genres": 30, "why": 50}


def add_arguments(parser: argparse.ArgumentParser, typed: list[str]) -> None:
    """The options of the command."""
    parser.description, parser.epilog = DESCRIPTION, JSON_HELP
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--checkpoint", required=True, help="file that a run saved")
    parser.add_argument("--user", help="id of a user of the data set")
    parser.add_argument("--likes", help="movies that somebody likes, separated by semicolons")
    parser.add_argument("--dislikes", help="movies that they do not like")
    parser.add_argument("--k", type=int, default=10, help="how many movies (default: 10)")
    parser.add_argument("--data_path", help="folder that holds the data set's folder (default: as in training)")
    parser.add_argument("--all", action="store_true", help="lists for all users of the data set")
    parser.add_argument("--users", help="lists for people in no data set: csv or parquet file of what they rated")
    parser.add_argument("--out", help="folder of the lists")
    parser.add_argument("--shard", help="i/n: the i-th of n shares, counted from 0 (default: 0/1, all)")
    parser.add_argument("--batch_size", type=int, help=f"people in a file (default: {BATCH_SIZE:,})")
    parser.add_argument("--format", choices=["csv", "parquet"], help="of the lists (default: csv)")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of the table, described below")


def run(options: argparse.Namespace) -> int:
    """Print the recommendations.

    Raises:
        InputError: both or neither of a user and movies, or anything that `recbole_mm.load` or a `Recommender` refuses.
    """
    if options.all or options.users is not None:
        return _to_everybody(options)
    for name in ("out", "shard", "batch_size", "format"):
        if vars(options)[name] is not None:
            raise InputError(f"--{name} is for lists for everybody; give --all or --users=FILE too, or leave it out")
    likes, dislikes = (_titles(text) for text in (options.likes, options.dislikes))
    if (options.user is None) == (not likes and not dislikes):
        raise InputError("give either --user=ID or --likes='TITLE; TITLE' (and --dislikes='…')")
    from recbole_mm.inference.load import load
    from recbole_mm.inference.rows import recommendation_rows

    recommender = load(options.checkpoint, data_path=options.data_path)
    if options.user is not None:
        person: dict[str, Any] = {"user": options.user}
        found = recommender.recommend(options.user, options.k)
    else:
        person = {"liked": likes, "disliked": dislikes}
        found = recommender.recommend_for(likes, dislikes, options.k)
    reasons = recommender.explain_each(found["item_id"], **person) if recommender.multimodal else [None] * len(found)
    rows = recommendation_rows(recommender, found, reasons)
    if options.json:
        given = recommender.movie_ids(likes), recommender.movie_ids(dislikes)
        about = {"user": options.user, "likes": given[0], "dislikes": given[1], "recommendations": rows}
        text = json.dumps({**recommender.about, **about}, ensure_ascii=not encodes_everything(), indent=1)
        print(DEL_AND_C1.sub(lambda found: f"\\u{ord(found[0]):04x}", text))
    else:
        print(_table(rows))
    return 0


def _to_everybody(options: argparse.Namespace) -> int:
    others = [name for name in ("user", "likes", "dislikes") if vars(options)[name] is not None]
    others += ["json"] * options.json + ["users"] * (options.all and options.users is not None)
    if others:
        raise InputError(f"--{others[0]} cannot be given with --{'all' if options.all else 'users'}; leave one out")
    if options.out is None:
        raise InputError("--all and --users write files; give --out=FOLDER")
    from recbole_mm.data.shards import ALL, parse_shard
    from recbole_mm.inference.bulk import Job, recommend_to_all
    from recbole_mm.inference.load import load

    shard = options.shard or ALL
    parse_shard(shard)
    size = BATCH_SIZE if options.batch_size is None else options.batch_size
    job = Job.of(options.checkpoint, options.users, options.k, size, options.format or "csv")
    recommender = load(options.checkpoint, data_path=options.data_path)
    done = recommend_to_all(recommender, options.out, job, options.users, shard)
    print(f"{options.out}: {done.written:,} files written for {done.people:,} people; {done.found:,} were there")
    return 0


def _titles(text: str | None) -> list[str]:
    return [title.strip() for title in (text or "").split(";") if title.strip()]


def _table(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "no movie is left to recommend"
    from tabulate import tabulate

    shown = [
        {
            "title": visible(row["title"]),
            "year": row["year"],
            "rating": None if row["rating"] is None else f"{row['rating']:.1f}",
            "genres": visible(", ".join(one["genre"] for one in row["genres"])),
            "why": visible(_why(row)),
        }
        for row in rows
    ]
    kept = {name: width for name, width in _WIDTHS.items() if any(row[name] not in (None, "") for row in shown)}
    return tabulate(
        [[row[name] for name in kept] for row in shown],
        headers=list(kept),
        tablefmt="simple_outline",
        disable_numparse=True,
        maxcolwidths=list(kept.values()),
        missingval="-",
    )


def _why(row: dict[str, Any]) -> str:
    liked = ", ".join(f"'{one['title']}'" for one in row["because"])
    content = f"its {row['modality']}" if row["modality"] else ""
    return "; ".join(part for part in (liked, content) if part)
