"""The site: built of all pages without a warning, links and pictures included; public names are in its reference."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote

import pytest

import recbole_mm

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PACKAGES = ("sphinx", "myst_nb", "furo")


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The built site."""
    for package in PACKAGES:
        pytest.importorskip(package, reason=f"{package} (extra 'docs') is not installed")
    folder = tmp_path_factory.mktemp("site")
    done = build(DOCS, folder)
    assert done.returncode == 0, done.stderr[-5000:]
    return folder / "html"


def build(source: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    places = ["-d", str(folder / "doctrees"), str(source), str(folder / "html")]
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", *places]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


class Targets(HTMLParser):
    """Where a page's links and pictures lead, and the anchors it has."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(page.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.links |= {found[name] for name in ("href", "src") if found.get(name)}
        self.anchors |= {found[name] for name in ("id", "name") if found.get(name)}


@pytest.mark.slow
def test_every_page_is_built_and_every_link_leads_somewhere(site):
    pages = {path: Targets(path) for path in site.rglob("*.html")}
    sources = [path for end in ("md", "rst", "ipynb") for path in DOCS.rglob(f"*.{end}")]
    assert {site / path.relative_to(DOCS).with_suffix(".html") for path in sources} <= set(pages)
    lost = []
    for page, targets in pages.items():
        for link in targets.links:
            path, _, anchor = unquote(link).partition("#")
            if re.match(r"\w+:", link):
                continue
            target = (page.parent / path.partition("?")[0]).resolve() if path else page
            if not target.exists() or (target in pages and anchor not in ("", *pages[target].anchors)):
                lost.append((page.name, link))
    assert lost == []


@pytest.mark.slow
def test_pages_keep_their_pictures_and_links_to_each_other(site):
    first = Targets(site / "index.html").links
    assert {"_images/demo.png", "quick-start.html#install", "contributing.html", "changes.html"} <= first
    assert "_images/architecture.svg" in Targets(site / "models.html").links


@pytest.mark.slow
def test_public_names_are_in_the_reference_and_can_be_searched(site):
    program = Targets(site / "api/program.html").anchors | Targets(site / "api/recommender.html").anchors
    public = set(recbole_mm.__all__) - {"__version__"}
    assert {f"recbole_mm.{name}" for name in public} <= program
    assert {"recbole_mm.Recommender.add_movies", "recbole_mm.Recommender.recommend_for"} <= program
    assert "from_frames" in (site / "searchindex.js").read_text("utf-8")
    # Formulas and examples of docstrings keep their lines.
    models = (site / "api/models.html").read_text("utf-8")
    assert re.search(r"<pre>(<span></span>)?f = fuse\(vectors, identity\)", models)


@pytest.mark.slow
def test_a_broken_link_fails(tmp_path):
    for package in PACKAGES:
        pytest.importorskip(package, reason=f"{package} (extra 'docs') is not installed")
    (tmp_path / "docs").mkdir()
    conf = (DOCS / "conf.py").read_text("utf-8").replace('"sphinx.ext.autodoc",', "")
    (tmp_path / "docs/conf.py").write_text(conf.replace("Path(__file__).resolve().parent\n", f"Path({str(DOCS)!r})\n"))
    (tmp_path / "docs/index.md").write_text("# Title\n\n[elsewhere](nowhere.md)\n")
    done = build(tmp_path / "docs", tmp_path)
    assert done.returncode == 1 and "nowhere.md" in done.stderr


# ---------------------------------------------------------------------- without Sphinx


@pytest.fixture(scope="module")
def conf() -> ModuleType:
    spec = importlib.util.spec_from_file_location("conf", DOCS / "conf.py")
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", list(sys.path))
        spec.loader.exec_module(module)
    return module


def test_links_of_top_pages_lead_to_pages_of_the_site(conf):
    text = "[a](docs/models.md#profiles-x), [b](CONTRIBUTING.md), ![c](docs/demo.png), [d](CITATION.cff), [e](https://e.org)"
    expected = "[a](models.md#profiles-x), [b](contributing.md), ![c](demo.png), d, [e](https://e.org)"
    assert conf.links_of_the_site(text, ROOT) == expected


def test_links_of_pages_stay_within_the_site(conf):
    text = "[two\nwords](../README.md#results), [b](quick-start.md#install), [c](../results/ml-100k-mm), f[x](m), "
    text += "[models.md](models.md)"
    expected = "[two\nwords](index.md#results), [b](quick-start.md#install), c, f[x](m), [](models.md)"
    assert conf.links_of_the_site(text, DOCS) == expected


def test_the_site_has_the_groups_of_the_list_of_pages():
    listed: dict[str, list[str]] = {}
    for line in (DOCS / "README.md").read_text("utf-8").splitlines():
        if line.startswith("## "):
            listed[line.removeprefix("## ")] = []
        elif line.startswith("| ["):
            listed[list(listed)[-1]] += [re.search(r"\]\(([\w./-]+)\.\w+\)", line)[1]]
    index = (DOCS / "index.md").read_text("utf-8")
    trees = re.findall(r"```\{toctree\}\n:hidden:\n:caption: (.+)\n\n((?:.+\n)+)```", index)
    assert {caption: pages.split() for caption, pages in trees if caption != "Reference"} == listed
