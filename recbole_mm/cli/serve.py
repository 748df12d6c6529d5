"""``recbole-mm serve``: answer questions in JSON until interrupted."""

from __future__ import annotations

import argparse
from functools import partial

from recbole_mm.cli import listen

HELP = "serve a trained model to other programs: recommendations, ratings and genres in JSON"
DESCRIPTION = """Serve a model to other programs. docs/serving.md describes the requests, and so does /openapi.json.

  recbole-mm serve --checkpoint=model.safetensors
  curl -s http://127.0.0.1:8000/recommend -H 'Content-Type: application/json' -d '{"people": [{"liked": ["Alien"]}]}'

GET /health /openapi.json /movies    POST /recommend /predict /genres /movies

Needs pip install 'recbole-mm[serve]'. There is no password. Ctrl+C ends it.
"""


def add_arguments(parser: argparse.ArgumentParser, typed: list[str]) -> None:
    """The options of the command."""
    parser.description, parser.formatter_class = DESCRIPTION, argparse.RawDescriptionHelpFormatter
    listen.add_arguments(parser, port=8000)
    parser.add_argument(
        "--add_movies",
        action="store_true",
        help="let POST /movies add movies, for everybody, until the server ends (default: it is refused)",
    )


def run(options: argparse.Namespace) -> int:
    """Load the model, print the address and answer until interrupted.

    Raises:
        InputError: the extra is not installed, the address cannot be listened at, or what `recbole_mm.load` refuses.
    """
    return listen.answer(create_server(options), options.host)


def create_server(options: argparse.Namespace):
    """The server (waitress), listening; what `run` says of errors holds here."""
    listen.check(options, "the server", "serve")
    from recbole_mm.serve.api import create_api

    return listen.create_server(options, partial(create_api, adds_movies=options.add_movies))
