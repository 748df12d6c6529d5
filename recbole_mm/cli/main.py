"""Command line ``recbole-mm``: a table of its commands, and what becomes of their errors.

Each command is a module of this package with

    HELP                            one line in the list of commands
    add_arguments(parser, typed)    declares its options; ``typed`` are the words behind its name
    run(options)                    does the work and returns the exit status

A command that takes options of a run, ``--key=value``, declares the default ``run_options=[]`` and finds them there.
Modules of commands import torch and RecBole only in ``run``: these take seconds, which ``--help`` need not wait for.
run_recbole_mm.py is ``recbole-mm run``.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Sequence

from recbole_mm.cli import (
    benchmark,
    convert,
    curves,
    demo,
    export,
    extract,
    import_data,
    prepare,
    recommend,
    run,
    serve,
    tune,
)
from recbole_mm.cli.terminal import print_everything, terminated_like_interrupted, visible
from recbole_mm.config.processes import check_alone
from recbole_mm.errors import InputError, Terminated
from recbole_mm.files import why
from recbole_mm.resources import running_copy

COMMANDS = {
    "run": run,
    "tune": tune,
    "prepare": prepare,
    "import": import_data,
    "convert": convert,
    "extract": extract,
    "benchmark": benchmark,
    "curves": curves,
    "recommend": recommend,
    "export": export,
    "serve": serve,
    "demo": demo,
}

DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EMFILE}
"""Errors of the disk or the system, not of this program: one line instead of a traceback."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status.

    0, 1 if runs of a benchmark failed, 2 for wrong input or a file that cannot be written, 130 if interrupted, 141 if
    nobody reads the output any more, 143 if terminated.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    print_everything()
    try:
        with terminated_like_interrupted():
            options = _read(arguments)
            command = vars(options).pop("command")
            if command != "run":
                check_alone(command)
            status = COMMANDS[command].run(options)
            sys.stdout.flush()
            return status
    except InputError as error:
        return _fail(str(error), 2)
    except KeyboardInterrupt as stop:
        word, status = ("terminated", 143) if isinstance(stop, Terminated) else ("interrupted", 130)
        print(f"recbole-mm: {word}{f'; {stop}' if str(stop) else ''}", file=sys.stderr)
        return status
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that Python's last flush does not fail
        return 141
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        return _fail(f"{error.filename or 'a file'}: {why(error)}; free some space, or choose another place", 2)


def _fail(message: str, status: int) -> int:
    print(f"recbole-mm: error: {visible(' '.join(message.split()))}", file=sys.stderr)
    return status


def _read(arguments: list[str]) -> argparse.Namespace:
    """The options, and as ``command`` the name of the command; ends the program with status 2 if they are wrong."""
    parser = argparse.ArgumentParser(
        prog="recbole-mm",
        description="Multimodal multitask recommendation on RecBole.",
        formatter_class=argparse.RawDescriptionHelpFormatter,  # the path that --version prints stays on one line
    )
    parser.add_argument("--version", action="version", version=running_copy())
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    parsers = {name: commands.add_parser(name, help=one.HELP, allow_abbrev=False) for name, one in COMMANDS.items()}
    if arguments and arguments[0] in COMMANDS:
        COMMANDS[arguments[0]].add_arguments(parsers[arguments[0]], arguments[1:])
    options, others = parser.parse_known_args(arguments)
    if others and "run_options" not in options:
        parsers[options.command].error(f"unrecognized arguments: {' '.join(others)}")
    if others:
        options.run_options = others
    return options


if __name__ == "__main__":
    sys.exit(main())
