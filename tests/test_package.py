"""What `import recbole_mm` does: requirements checked, nothing heavy imported, ray never needed. What a wheel holds."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
import yaml

import recbole_mm
from recbole_mm.datasets.ml_100k import build as ml_100k_mm
from recbole_mm.datasets.mmtf_14k import small as mmtf_14k_small

PACKAGE_PARENT = str(Path(recbole_mm.__file__).parents[1])
ROOT = Path(__file__).parents[1]


def run_python(code: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": PACKAGE_PARENT}
    return subprocess.run([sys.executable, "-c", code], cwd=cwd, env=environment, capture_output=True, text=True)


@pytest.fixture
def versions(monkeypatch: pytest.MonkeyPatch):
    """Makes the package believe that these versions are installed (None: not installed)."""

    def pretend(**pretended: str | None) -> None:
        def version(distribution: str) -> str:
            found = pretended.get(distribution, "0")
            if found is None:
                raise metadata.PackageNotFoundError(distribution)
            return found

        monkeypatch.setattr(metadata, "version", version)

    return pretend


@pytest.mark.parametrize(("found", "said"), [(None, "none is installed"), ("1.2.0", "1.2.0 is installed")])
def test_absent_or_other_recbole_is_refused(versions, found, said) -> None:
    versions(recbole=found, pandas="2.3.3")
    with pytest.raises(ImportError) as refused:
        recbole_mm._check_requirements()
    assert said in str(refused.value)
    assert str(refused.value).endswith("type: pip install --no-deps recbole==1.2.1")


@pytest.mark.parametrize(("found", "said"), [(None, "none is installed"), ("3.1.1", "3.1.1 is installed")])
def test_absent_or_new_pandas_is_refused(versions, found, said) -> None:
    versions(recbole="1.2.1", pandas=found)
    with pytest.raises(ImportError, match=said) as refused:
        recbole_mm._check_requirements()
    assert "type: pip install 'pandas>=2.2,<3'" in str(refused.value)


@pytest.mark.parametrize("pandas", ["2.2.0", "2.3.3"])
def test_supported_versions_are_accepted(versions, pandas) -> None:
    versions(recbole="1.2.1", pandas=pandas)
    recbole_mm._check_requirements()


def test_import_is_light(tmp_path: Path) -> None:
    code = "import sys, recbole_mm; print(sorted({'torch', 'recbole', 'pandas', 'scipy', 'ray'} & set(sys.modules)))"
    assert run_python(code, tmp_path).stdout.strip() == "[]"


def test_runs_where_ray_cannot_be_imported(tmp_path: Path) -> None:
    """All modules of the package import with ray blocked, and none of them imports recbole.quick_start."""
    code = (
        "import sys, importlib, pkgutil\n"
        "sys.modules['ray'] = None\n"
        "import recbole_mm\n"
        "for module in pkgutil.walk_packages(recbole_mm.__path__, 'recbole_mm.'):\n"
        "    if not module.name.endswith('__main__'): importlib.import_module(module.name)\n"
        "assert recbole_mm.run and recbole_mm.load and recbole_mm.Config\n"
        "assert 'recbole.config' in sys.modules and 'recbole.quick_start' not in sys.modules\n"
    )
    result = run_python(code, tmp_path)
    assert result.returncode == 0, result.stderr


def test_public_names() -> None:
    assert set(recbole_mm.__all__) <= set(dir(recbole_mm))
    with pytest.raises(AttributeError, match="no attribute 'runn'"):
        _ = recbole_mm.runn


def test_versions_agree() -> None:
    try:
        installed = metadata.version("recbole-mm")
    except metadata.PackageNotFoundError:
        pytest.skip("recbole-mm runs from a checkout and is not installed")
    assert installed == recbole_mm.__version__


@pytest.mark.slow
def test_wheel_holds_properties_and_vectors_and_no_generated_file(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    for folder in ("recbole_mm", "properties", "dataset", "docs", "tests"):
        shutil.copytree(ROOT / folder, checkout / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, checkout)
    dataset = checkout / "dataset" / "ml-100k-mm"
    for suffix in ("inter", "item", "user", "meta", "text.npz"):  # what `prepare` writes in a checkout
        (dataset / f"ml-100k-mm.{suffix}").write_text("generated")
    (checkout / "dataset" / "anime").mkdir()
    for name in ("anime.text", "anime.text.encoder.npz", "PROVENANCE.md"):
        (checkout / "dataset" / "anime" / name).write_text("made of what may not be passed on")
    options = ["--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path)]
    build = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *options, str(checkout)], capture_output=True, text=True
    )
    assert build.returncode == 0, build.stdout + build.stderr

    (wheel,) = tmp_path.glob(f"recbole_mm-{recbole_mm.__version__}-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    yamls = [path.relative_to(ROOT / "properties") for path in ROOT.glob("properties/**/*.yaml")]
    shipped = {f"recbole_mm/properties/{path.as_posix()}" for path in yamls}
    assert shipped <= names
    assert "recbole_mm/properties/overall.yaml" in names
    assert {"recbole_mm/report/report.html.jinja", "recbole_mm/py.typed"} < names
    assert {f"recbole_mm/demo/static/page.{kind}" for kind in ("html", "css", "js")} < names
    vectors = {name for name in names if name.startswith("recbole_mm/dataset/")}
    fields = {"ml-100k-mm": ml_100k_mm.SHIPPED_FIELDS, "mmtf-14k-small": mmtf_14k_small.SHIPPED_FIELDS}
    expected = {f"{name}/PROVENANCE.md" for name in fields}
    expected |= {
        f"{name}/{name}.{field}{end}" for name in fields for field in fields[name] for end in ("", ".encoder.npz")
    }
    assert {name.removeprefix("recbole_mm/dataset/") for name in vectors} == expected
    assert not [name for name in names if name.startswith(("docs/", "tests/"))]


def test_version_is_the_latest_of_the_changelog_and_that_of_the_citation() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    released = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d{2}-\d{2})$", changelog, re.M)
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert released[0][0] == citation["version"] == recbole_mm.__version__
    assert released[0][1] == str(citation["date-released"])


def test_ruff_is_the_same_before_a_commit_and_in_ci() -> None:
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"]
    version = repository["rev"].removeprefix("v")
    assert f'"ruff=={version}"' in (ROOT / "pyproject.toml").read_text("utf-8")


def test_readme_and_ci_run_the_same_command() -> None:
    (assignment,) = re.findall(r"^test_command=(.*)$", (ROOT / ".ci" / "run").read_text("utf-8"), re.M)
    (command,) = shlex.split(assignment)
    assert command in (ROOT / "README.md").read_text("utf-8").splitlines()
