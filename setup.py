"""What pyproject.toml cannot say: properties/ and dataset/, at the top of the checkout, travel inside the package."""

from setuptools import find_packages, setup

SHIPPED = {
    "ml-100k-mm": ("text", "words", "audio", "avf", "mise", "meta", "facts"),
    "mmtf-14k-small": ("text", "words", "meta", "keywords", "audio", "avf", "mise"),
}

setup(
    packages=[*find_packages(include=["recbole_mm", "recbole_mm.*"]), "recbole_mm.properties", "recbole_mm.dataset"],
    package_dir={"recbole_mm.properties": "properties", "recbole_mm.dataset": "dataset"},
    # Named one by one: the atomic files that `recbole-mm prepare` writes beside the vectors are not ours to distribute.
    package_data={
        "recbole_mm": ["py.typed"],
        "recbole_mm.demo": ["static/*"],
        "recbole_mm.properties": ["*.yaml", "*/*.yaml", "benchmark/**/*.yaml", "tuned/**/*.yaml"],
        "recbole_mm.report": ["*.jinja"],
        "recbole_mm.dataset": [
            *(f"{name}/{name}.{field}" for name, fields in SHIPPED.items() for field in fields),
            *(f"{name}/{name}.{field}.encoder.npz" for name, fields in SHIPPED.items() for field in fields),
            *(f"{name}/PROVENANCE.md" for name in SHIPPED),
        ],
    },
    include_package_data=False,
)
