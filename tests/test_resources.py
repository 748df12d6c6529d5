"""A checkout and an installed package side by side: each reads its own properties and vectors."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import recbole_mm
from recbole_mm import resources
from recbole_mm.resources import in_checkout, other_copy, resource_dir

ROOT = Path(__file__).parents[1]
VERSION = recbole_mm.__version__


def make_copy(top: Path, *, checkout: bool) -> Path:
    """The code with its properties, as a checkout or as an installed wheel has them; returns the package's folder."""
    ignored = shutil.ignore_patterns("__pycache__", "properties", "dataset")
    package = Path(shutil.copytree(ROOT / "recbole_mm", top / "recbole_mm", ignore=ignored))
    place = top if checkout else package
    for name in ("properties", "dataset"):
        (place / name).mkdir()
    for name in ("protocol", "model", "dataset"):
        shutil.copytree(ROOT / "properties" / name, place / "properties" / name)
    shutil.copy(ROOT / "properties" / "overall.yaml", place / "properties")
    if checkout:
        shutil.copy(ROOT / "run_recbole_mm.py", top)
    else:
        information = top / f"recbole_mm-{VERSION}.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: recbole-mm\nVersion: {VERSION}\n")
    return package


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return make_copy(tmp_path / "checkout", checkout=True)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    return make_copy(tmp_path / "site", checkout=False)


def python(arguments: list[str], cwd: Path, *path: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
    return subprocess.run([sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True)


SHOW = "from recbole_mm.resources import *; print(resource_dir('properties'), resource_dir('dataset'), in_checkout())"


def test_each_copy_reads_its_own_files_whatever_the_current_folder(checkout: Path, installed: Path, tmp_path: Path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for cwd in (elsewhere, checkout.parent, installed):
        for package, place, of_checkout in ((checkout, checkout.parent, True), (installed, installed, False)):
            # -P: the current folder is not on the path, as with the command recbole-mm
            options = ["-P"] if sys.version_info >= (3, 11) else []
            if not options and cwd != elsewhere:
                continue
            shown = python([*options, "-c", SHOW], cwd, package.parent)
            assert shown.stdout.split() == [f"{place / 'properties'}", f"{place / 'dataset'}", f"{of_checkout}"], (
                shown.stderr
            )


def test_a_stale_folder_in_the_package_of_a_checkout_is_not_read(checkout: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("properties", "dataset"):
        (checkout / name).mkdir()
    (checkout / "properties" / "overall.yaml").write_text("seed: 1\n")
    monkeypatch.setattr(resources, "_PACKAGE", checkout)
    assert in_checkout()
    assert resource_dir("properties") == checkout.parent / "properties"
    assert resource_dir("dataset") == checkout.parent / "dataset"


def test_folders_of_others_beside_an_installed_package_are_not_read(installed: Path, monkeypatch: pytest.MonkeyPatch):
    (installed.parent / "dataset").mkdir()  # there is a package of that name
    (installed.parent / "setup.py").write_text("")
    monkeypatch.setattr(resources, "_PACKAGE", installed)
    assert resource_dir("dataset") == installed / "dataset"
    shutil.rmtree(installed / "dataset")
    with pytest.raises(FileNotFoundError, match="install recbole-mm again"):
        resource_dir("dataset")


def test_these_tests_run_from_a_checkout_or_a_whole_package():
    assert (resource_dir("properties") / "overall.yaml").is_file()


# ---------------------------------------------------------------------- which copy runs


def test_the_script_of_a_checkout_runs_the_checkout_and_says_so_once(checkout: Path, installed: Path, tmp_path: Path):
    script = str(checkout.parent / "run_recbole_mm.py")
    said = f"recbole-mm {VERSION} from {checkout}; the copy in {installed} is not used\n"
    for cwd in (tmp_path, checkout.parent, installed):
        done = python([script, "--help"], cwd, installed.parent)
        assert done.returncode == 0 and done.stderr == said


def test_an_editable_installation_is_no_other_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    information = tmp_path / f"recbole_mm-{VERSION}.dist-info"  # and no folder recbole_mm beside it
    information.mkdir()
    monkeypatch.setattr(metadata, "distributions", lambda name: [metadata.Distribution.at(information)])
    assert other_copy() is None


def test_a_copy_that_runs_is_no_other_copy(checkout: Path, installed: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(installed.parent))
    monkeypatch.setattr(resources, "_PACKAGE", checkout)
    assert other_copy() == installed
    monkeypatch.setattr(resources, "_PACKAGE", installed)
    assert other_copy() != installed


def test_version_says_which_copy_runs(checkout: Path, installed: Path, tmp_path: Path):
    for package in (checkout, installed):
        shown = python(["-m", "recbole_mm.cli.main", "--version"], tmp_path, package.parent)
        assert shown.stdout == f"recbole-mm {VERSION} from {package}\n", shown.stderr
