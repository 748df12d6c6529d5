"""``python -m recbole_mm.config.options``: write the property files that the table of options makes."""

from __future__ import annotations

from recbole_mm.config.options.files import write_files
from recbole_mm.resources import resource_dir

if __name__ == "__main__":
    properties = resource_dir("properties")
    for name in write_files(properties) or ["nothing has changed"]:
        print(name)
