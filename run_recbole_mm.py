"""python run_recbole_mm.py --model=MMASP --dataset=ml-100k-mm [--protocol=u1] [--key=value ...]: `recbole-mm run`."""

from __future__ import annotations

import sys

from recbole_mm.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["run", *sys.argv[1:]]))
