"""A folder that can be uploaded to a model hub as it is: the model in one file, its options, and a model card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from recbole_mm import __version__
from recbole_mm.errors import InputError
from recbole_mm.files import make_folder, write_text
from recbole_mm.inference.recommender import Recommender

MODEL_FILE, CARD, OPTIONS = "model.safetensors", "README.md", "config.json"
_REMEDY = "give the file that --result_file wrote"
_NEEDED = {"model": str, "dataset": str, "protocol": str, "seed": int, "test": dict, "valid": dict, "versions": dict}


def read_result(path: str | Path) -> dict[str, Any]:
    """The numbers of a run, from the file that ``--result_file`` wrote.

    Raises:
        InputError: the file is absent or is no such file.
    """
    try:
        result = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); {_REMEDY}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is no JSON; {_REMEDY}") from error
    given = result if isinstance(result, dict) else {}
    wrong = [name for name, kind in _NEEDED.items() if type(given.get(name)) is not kind]
    numbers = [] if wrong else [*result["test"].items(), *result["valid"].items()]
    wrong += [name for name, value in numbers if value is not None and type(value) not in (int, float)]
    if wrong:
        raise InputError(f"{path}: '{wrong[0]}' is missing or of another kind; {_REMEDY}")
    return result


def export_folder(
    recommender: Recommender, folder: str | Path, result: Mapping[str, Any], histories: bool = False
) -> None:
    """Write the folder: ``model.safetensors``, ``config.json`` and the card ``README.md``.

    Args:
        result: of the run that trained the model, from `read_result` or ``dataclasses.asdict(result)``.
        histories: see `Recommender.save`.

    Raises:
        InputError: the result is of another model or data set, or a file cannot be written.
    """
    for name, own in recommender.about.items():
        if result[name] != own:
            raise InputError(f"the result is of {name} {result[name]}, the model's is {own}; give its own result")
    folder = Path(folder)
    make_folder(folder)
    recommender.save(folder / MODEL_FILE, histories)
    write_text(folder / OPTIONS, json.dumps(recommender.options, indent=1, ensure_ascii=False) + "\n")
    write_text(folder / CARD, model_card(recommender, result, histories))


def model_card(recommender: Recommender, result: Mapping[str, Any], histories: bool) -> str:
    """The card: facts for the hub in yaml, then what the model is, its numbers, and how to use it."""
    about = recommender.about
    tested = {name: value for name, value in result["test"].items() if value is not None}
    metrics = [{"type": name, "value": value, "name": name} for name, value in tested.items()]
    facts = {
        "library_name": "recbole-mm",
        "tags": ["recommender-system", "multimodal", "multitask", "recbole", about["model"].lower()],
        "model-index": [
            {
                "name": about["model"],
                "results": [
                    {
                        "task": {"type": "recommendation", "name": "movie recommendation"},
                        "dataset": {"type": about["dataset"], "name": about["dataset"], "split": "test"},
                        "metrics": metrics,
                    }
                ],
            }
        ],
    }
    of_users = (
        f" and the histories of {len(recommender.users):,} users" if histories else ", and nothing about any user"
    )
    lines = [
        "---",
        yaml.safe_dump(facts, sort_keys=False, allow_unicode=True).strip(),
        "---",
        "",
        f"# {about['model']} on {about['dataset']}",
        "",
        f"A multimodal, multitask model of recbole-mm. Tasks: {', '.join(recommender.options['tasks'])}. Vectors of a "
        f"movie: {', '.join(f'{name} ({size})' for name, size in recommender.dimensions.items()) or 'none'}.",
        f"The file holds {len(recommender.movies):,} movies{of_users}.",
        "",
        "## Numbers",
        "",
        f"Protocol `{result['protocol']}`, seed {result['seed']}, best epoch {result.get('best_epoch')} of "
        f"{result.get('epochs')} (chosen on the validation part).",
        "",
        "| metric | validation | test |",
        "|---|---|---|",
    ]
    for name, value in tested.items():
        validated = result["valid"].get(name)
        lines.append(f"| {name} | {'–' if validated is None else f'{validated:.4f}'} | {value:.4f} |")
    example = [str(title) for title in recommender.movies["title"].head(2)]
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    lines += [
        "",
        "## Use",
        "",
        "```python",
        "import recbole_mm",
        "",
        f'recommender = recbole_mm.load("{MODEL_FILE}")',
        f"recommender.recommend_for(liked={json.dumps(example, ensure_ascii=False)})",
        "```",
        "",
        "No data set is needed. The file holds numbers and text: loading it runs no code.",
        "",
        "## Limits",
        "",
        "- The numbers are of one run with one seed on one split. They say nothing about other data.",
        "- What people rated shaped the weights: recommendations favour what those people rated.",
        "- Titles are those of the data set. Its licence decides what may be done with them and with this model.",
        "",
        f"Written by recbole-mm {__version__} from the result of the run ({versions}).",
        "",
    ]
    return "\n".join(lines)
