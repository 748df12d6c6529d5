"""Where the files that travel with the package lie: properties/ and the shipped vectors in dataset/."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def resource_dir(name: str) -> Path:
    """The folder ``properties`` or ``dataset``: inside an installed wheel, else at the top of a checkout.

    Raises:
        FileNotFoundError: the folder is in neither place (a broken installation).
    """
    for folder in (_PACKAGE / name, _PACKAGE.parent / name):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"recbole_mm is installed without its '{name}' folder; reinstall the package")
