"""The site: the pages of this folder as they are, the notebooks with the outputs they hold, and the public functions.

Build it from the top of the checkout: ``sphinx-build -W docs site`` (extra ``docs``).
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path.insert(0, str(ROOT))  # the checkout is documented, not an older version that is installed

import recbole_mm  # noqa: E402

project = "recbole-mm"
author = "recbole-mm authors"
copyright = author
version = release = recbole_mm.__version__

extensions = [
    "myst_nb",  # Markdown and notebooks
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
nb_execution_mode = "off"  # tests/docs/test_notebooks.py executes them
nb_render_markdown_format = "myst"  # tables in outputs
myst_heading_anchors = 3  # page.md#a-heading, as on GitHub
highlight_language = "none"  # blocks without a language are commands and equations
root_doc = "index"
exclude_patterns = ["**/.ipynb_checkpoints"]

autodoc_member_order = "bysource"
autodoc_default_options = {"exclude-members": "train, load_state_dict"}  # torch documents them
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_use_rtype = False
default_role = "py:obj"  # `name` in a docstring is a link where the site has that name

html_theme = "furo"
html_title = f"recbole-mm {version}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_copyright = html_show_sphinx = False
html_copy_source = False

# Pages of the checkout's top, and the page of the site that shows each.
TOP = {ROOT / "README.md": "index.md", ROOT / "CONTRIBUTING.md": "contributing.md", ROOT / "CHANGELOG.md": "changes.md"}


def links_of_the_site(text: str, folder: Path) -> str:
    """Markdown that lies in ``folder``, for a page in docs/: its links lead to pages of the site.

    A link whose text is a file's name has the title of the page or section instead. A link to a file that is no page
    and no picture becomes its text.
    """

    def of_the_site(found: re.Match[str]) -> str:
        words, path, anchor = found.groups()
        target = (folder / path).resolve()
        if not target.exists():  # an address, or brackets of an equation
            return found[0]
        if words.endswith((".md]", ".ipynb]")):
            words = "[]"
        if target in TOP:
            return f"{words}({TOP[target]}{anchor})"
        if target.is_relative_to(DOCS):
            return f"{words}({target.relative_to(DOCS).as_posix()}{anchor})"
        return found[1].removeprefix("[").removesuffix("]")

    return re.sub(r"(\[[^\]]*\])\(([\w./-]+)((?:#[\w-]+)?)\)", of_the_site, text)


def read_page(app, name: str, source: list[str]) -> None:
    """A page as Sphinx reads it, with the text of the page that it includes, if any."""
    if Path(app.env.doc2path(name)).suffix != ".md":
        return

    def included(found: re.Match[str]) -> str:
        path = (DOCS / found[1]).resolve()
        app.env.note_dependency(str(path))
        return links_of_the_site(path.read_text("utf-8"), path.parent)

    text = links_of_the_site(source[0], DOCS)
    source[0] = re.sub(r"```\{include\} (.+)\n```", included, text)


def keep_examples(app, what: str, name: str, of: object, options: object, lines: list[str]) -> None:
    """Examples and formulas of a docstring, indented below a blank line, as they are written."""
    kept: list[str] = []
    for line in lines:
        words = [before for before in kept if before]
        if line.startswith("    ") and kept and not kept[-1] and not words[-1].startswith(" "):
            kept += [] if words[-1].endswith("::") else ["::", ""]
        kept.append(line)
    lines[:] = kept


def setup(app) -> None:
    """Called by Sphinx."""
    app.connect("source-read", read_page)
    app.connect("autodoc-process-docstring", keep_examples, priority=400)  # before napoleon
