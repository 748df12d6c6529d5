from __future__ import annotations

import pytest

from recbole_mm.data import cache
from recbole_mm.measure import start


@pytest.mark.slow
def test_both_starts_are_measured(planted, capsys):
    arguments = ["--data_path", str(planted.folder.parent), "--dataset", planted.name, "--modalities", "text"]
    options = planted.folder / "planted.yaml"
    options.write_text("load_col:\n  inter: [user_id, item_id, rating]\n  item: [item_id, movie_title, class]\n")
    row = "\t".join(planted.ratings.iloc[0].astype(str).tolist()[1:])
    with (planted.folder / "planted.inter").open("a") as file:  # large enough to be kept
        file.writelines(f"{user:0400}\t{row}\n" for user in range(cache.WORTH_BYTES // 400))
    first, second = start.main([*arguments, "--data_only"])
    assert first["rows"] == second["rows"] > 60_000
    assert 0 < second["data_processor"] < first["data_processor"]
    assert "first" in capsys.readouterr().out
