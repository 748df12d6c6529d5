"""``recbole-mm demo``: serve the page until interrupted."""

from __future__ import annotations

import argparse

from recbole_mm.cli import listen

HELP = "serve a local page on which a trained model is tried"
DESCRIPTION = """Serve a page on which the model is tried: choose movies, see recommendations and why.

  recbole-mm demo --checkpoint=saved/MMASP-….pt

Needs pip install 'recbole-mm[demo]', and no network. Ctrl+C ends it.
"""


def add_arguments(parser: argparse.ArgumentParser, typed: list[str]) -> None:
    """The options of the command."""
    parser.description, parser.formatter_class = DESCRIPTION, argparse.RawDescriptionHelpFormatter
    listen.add_arguments(parser, port=7860)


def run(options: argparse.Namespace) -> int:
    """Load the model, print the page's address and answer until interrupted.

    Raises:
        InputError: the extra is not installed, the address cannot be listened at, or what `recbole_mm.load` refuses.
    """
    return listen.answer(create_server(options), options.host)


def create_server(options: argparse.Namespace):
    """The server (waitress), listening; what `run` says of errors holds here."""
    listen.check(options, "the page", "demo")
    from recbole_mm.demo.app import create_app

    return listen.create_server(options, create_app)
