"""Folders of the files shipped with the package: properties/ and the vectors in dataset/."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def resource_dir(name: str) -> Path:
    """The folder ``properties`` or ``dataset``: inside the installed package, or at the top of a checkout.

    Raises:
        FileNotFoundError: both are missing (a broken installation).
    """
    for folder in (_PACKAGE / name, _PACKAGE.parent / name):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"recbole_mm is installed without its '{name}' folder; reinstall the package")
