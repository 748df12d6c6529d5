from __future__ import annotations

import pytest
from conftest import PlantedData
from trailers import clip

from recbole_mm import load, run
from recbole_mm.cli.main import main
from recbole_mm.inference.recommender import Recommender


@pytest.fixture
def hostile() -> str:
    """Title of the movie of this id: markup that must never become any."""
    return "<img src=x onerror=alert(1)>"


@pytest.fixture
def recommender(request, recommender, hostile) -> Recommender:
    """MMASP on the planted data and one movie more; with the parameter ``trained``, the model of that fixture."""
    if getattr(request, "param", None) == "trained":
        return load(request.getfixturevalue("trained"))
    recommender.add_movies({"item_id": ["hostile"], "title": [hostile], "year": [2026], "text": [[1.0, 0.0, 0.0]]})
    return recommender


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> str:
    """A checkpoint on planted movies whose audio and video were made by the command."""
    pytest.importorskip("av", reason="av (extra 'extract') is not installed")
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("clips")
        patch.chdir(folder)
        planted = PlantedData(folder / "dataset")
        for name in ("text", "audio"):
            (planted.folder / f"planted.{name}").unlink()
        for i in range(len(planted.tokens)):
            clip(folder / "trailers" / f"m{i}.mp4", i % 3, i)
        assert main(["extract", "--dataset=planted", "--audio=trailers", "--video=trailers"]) == 0
        options = planted.options(modalities=["audio", "video"], epochs=10, learning_rate=0.03, train_batch_size=128)
        return str(folder / run("MMASP", "planted", config_dict=options).checkpoint)
