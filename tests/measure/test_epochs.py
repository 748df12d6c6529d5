from __future__ import annotations

from recbole_mm.measure.epochs import measure


def test_models_are_compared_with_the_first(planted):
    given = planted.data_options(modalities=["text", "audio"])
    first, second = measure(planted.name, 2, given, models=["LightGCN", "FREEDOM"], protocol="ranking")
    assert first["model"] == "LightGCN" and first["epoch / LightGCN's"] == 1
    assert second["epoch / LightGCN's"] == second["epoch"] / first["epoch"]
    assert second["lowest"] <= second["epoch"] <= second["highest"] and second["full ranking"] > 0
    assert second["rows"] == first["rows"] > 1000
