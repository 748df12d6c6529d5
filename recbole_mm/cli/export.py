"""``recbole-mm export``: a checkpoint as one file, or as a folder for a model hub."""

from __future__ import annotations

import argparse

HELP = "write a trained model as one file, or as a folder with a model card"
DESCRIPTION = """Write a model of MMFS, MMSP or MMASP so that it can be used without its data set.

  recbole-mm export --checkpoint=saved/MMASP-….pt --out=model.safetensors
  recbole-mm export --checkpoint=saved/MMASP-….pt --out=hub/ --result_file=out.json

With --result_file, the file that the run wrote by its option of this name, --out is a folder: model.safetensors,
config.json and a model card, README.md, with the numbers of the run. Upload it with huggingface_hub or git.
"""


def add_arguments(parser: argparse.ArgumentParser, typed: list[str]) -> None:
    """The options of the command."""
    parser.description, parser.formatter_class = DESCRIPTION, argparse.RawDescriptionHelpFormatter
    parser.add_argument("--checkpoint", required=True, help="file that a run of MMFS, MMSP or MMASP saved")
    parser.add_argument("--out", required=True, help="file to write; with --result_file, a folder")
    parser.add_argument("--result_file", help="result of the run, for the model card")
    parser.add_argument(
        "--histories",
        action="store_true",
        help="keep the users and what they rated (default: nothing about any user is written)",
    )
    parser.add_argument("--data_path", help="folder that holds the data set's folder (default: as in training)")


def run(options: argparse.Namespace) -> int:
    """Write the file or the folder.

    Raises:
        InputError: what `recbole_mm.load` or `Recommender.save` refuses, or a result of another model.
    """
    from recbole_mm.inference.hub import export_folder, read_result
    from recbole_mm.inference.load import load

    result = read_result(options.result_file) if options.result_file else None
    recommender = load(options.checkpoint, data_path=options.data_path)
    if result is None:
        recommender.save(options.out, options.histories)
    else:
        export_folder(recommender, options.out, result, options.histories)
    print(f"{options.out}: written")
    return 0
