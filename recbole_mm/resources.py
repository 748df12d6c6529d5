"""Which copy of the package runs, and where the files that belong to it lie: properties/ and the vectors in dataset/.

A checkout has them at its top, an installed wheel inside the package. The code that runs decides which of the two it
is, never the current folder, so that a checkout and an installed package side by side do not mix.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from recbole_mm import __version__

_PACKAGE = Path(__file__).resolve().parent


def resource_dir(name: str) -> Path:
    """The folder ``properties`` or ``dataset`` of the copy that runs.

    A folder ``recbole_mm/properties`` in a checkout was left there by a build, and is not read.

    Raises:
        FileNotFoundError: the folder is not there (a broken installation).
    """
    folder = (_PACKAGE.parent if in_checkout() else _PACKAGE) / name
    if not folder.is_dir():
        raise FileNotFoundError(f"{_PACKAGE} has no folder {folder}; install recbole-mm again, or check it out again")
    return folder


def in_checkout() -> bool:
    """Whether the code that runs is a checkout's."""
    top = _PACKAGE.parent
    of_checkout = any((top / name).is_file() for name in ("setup.py", "run_recbole_mm.py"))
    return of_checkout and (top / "properties" / "overall.yaml").is_file()


def running_copy() -> str:
    """Version and folder of the package that runs."""
    return f"recbole-mm {__version__} from {_PACKAGE}"


def other_copy() -> Path | None:
    """The package folder of an installed recbole-mm that is not the copy that runs; None if there is none.

    An editable installation has no such folder: it is a link to a checkout.
    """
    for distribution in metadata.distributions(name="recbole-mm"):
        folder = Path(str(distribution.locate_file("recbole_mm"))).resolve()
        if folder.is_dir() and folder != _PACKAGE:
            return folder
    return None
