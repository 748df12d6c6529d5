"""python run_recbole_mm.py --model=MMASP --dataset=ml-100k-mm [--protocol=u1] [--key=value ...]: `recbole-mm run`.

It runs the package that lies beside it, also where another copy is installed.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path


def main() -> int:
    """Run the checkout that this script belongs to; returns the exit status."""
    sys.path.insert(0, str(Path(__file__).resolve().parent))  # Python has done so already, but not with -P
    from recbole_mm.cli.main import main as command_line
    from recbole_mm.resources import other_copy, running_copy

    if other := other_copy():
        logging.getLogger("recbole_mm").warning("%s; the copy in %s is not used", running_copy(), other)
    return command_line(["run", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
