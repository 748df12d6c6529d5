from __future__ import annotations

import json

import pytest

from recbole_mm.cli.main import main


@pytest.fixture
def recommend(checkpoint_of, capsys):
    """``recommend(*options, model=…)``: status, output and errors of the command on the planted data."""

    def call(*options: str, model: str = "MMASP", **trained) -> tuple[int, str, str]:
        checkpoint = checkpoint_of(model, **trained)
        capsys.readouterr()  # the training's log
        status = main(["recommend", f"--checkpoint={checkpoint}", *options])
        return status, *capsys.readouterr()

    return call


def test_a_table_for_a_user(recommend, recommender):
    status, out, err = recommend("--user=u4", "--k=3")
    assert status == 0 and not err
    lines = out.splitlines()
    assert [name.strip() for name in lines[1].strip("│").split("│")] == ["title", "year", "rating", "genres", "why"]
    found = recommender.recommend("u4", k=3)
    for line, (_, movie) in zip(lines[3:6], found.iterrows()):
        cells = [cell.strip() for cell in line.strip("│").split("│")]
        assert cells[:3] == [movie["title"], str(movie["year"]), f"{movie['rating']:.1f}"]
        reason = recommender.explain(movie["item_id"], user="u4")
        assert all(f"'{title}'" in cells[4] for title in reason.carriers()["title"])
        strongest = reason.strongest_modality()
        assert cells[4].endswith(f"; its {strongest}") if strongest else "; its" not in cells[4]


def test_json_for_somebody(recommend, recommender):
    status, out, _ = recommend("--likes=Movie number 4; m7;movie number 10 (1993);", "--dislikes=m5", "--k=4", "--json")
    assert status == 0
    found = json.loads(out)
    assert {name: found[name] for name in ("model", "dataset", "user", "likes", "dislikes")} == {
        "model": "MMASP",
        "dataset": "planted",
        "user": None,
        "likes": ["m4", "m7", "m10"],
        "dislikes": ["m5"],
    }
    expected = recommender.recommend_for(["m4", "m7", "m10"], ["m5"], k=4)
    rows = found["recommendations"]
    for name in ("rank", "item_id", "title", "year"):
        assert [row[name] for row in rows] == expected[name].tolist()
    for name in ("score", "rating"):
        assert [row[name] for row in rows] == pytest.approx(expected[name].tolist(), rel=1e-5)
    for row in rows:
        assert set(row["genres"][0]) == {"genre", "probability"} and row["because_method"] == "exact"
        assert {one["item_id"] for one in row["because"]} <= {"m4", "m7", "m10"} and len(row["because"]) <= 2
    assert [row["genres"][0]["genre"] for row in rows] == recommender.genres(expected["item_id"]).idxmax(
        axis=1
    ).tolist()


def test_a_built_in_model_gives_titles_alone(recommend):
    status, out, _ = recommend("--user=u4", "--k=2", model="EASE", epochs=1)
    assert status == 0 and "│ title" in out and "rating" not in out
    status, out, _ = recommend("--user=u4", "--k=2", "--json", model="EASE", epochs=1)
    row = json.loads(out)["recommendations"][0]
    assert (row["rating"], row["genres"], row["because"], row["modality"]) == (None, [], [], None)
    assert recommend("--likes=m4", model="EASE", epochs=1)[0] == 2


@pytest.mark.parametrize(
    "options, message",
    [
        ([], "give either --user=ID or --likes"),
        (["--likes= ; "], "give either --user=ID or --likes"),
        (["--user=u4", "--likes=m4"], "give either --user=ID or --likes"),
        (["--user=u4", "--dislikes=m4"], "give either --user=ID or --likes"),
        (["--user=u400"], "user 'u400': the data set has no user with this id. Did you mean 'u40'?"),
        (["--likes=Movie nunber 77"], "Did you mean 'Movie number 77'?"),
        (["--likes=Movie number 1"], "2 movies have this title; give the id of one: m0 (Movie number 1, 1991), m1"),
        (["--likes=m4", "--dislikes=movie number 4"], "both liked and disliked"),
        (["--user=u4", "--k=0"], "k: 0, but must be"),
        (["--user=u4", "--data_path=nowhere"], "nowhere"),
    ],
)
def test_wrong_input_is_one_line_and_status_2(recommend, options, message):
    status, out, err = recommend(*options)
    assert status == 2 and not out
    assert err.startswith("recbole-mm: error: ") and err.count("\n") == 1 and message in err


def test_a_wrong_checkpoint_is_one_line(tmp_path, capsys):
    (tmp_path / "wrong.pt").write_text("hello")
    for path, message in ((tmp_path / "wrong.pt", "not a checkpoint of recbole-mm"), ("none.pt", "no such checkpoint")):
        assert main(["recommend", f"--checkpoint={path}", "--user=1"]) == 2
        assert message in capsys.readouterr().err


def test_help_documents_the_json(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["recommend", "--help"])
    assert stop.value.code == 0
    assert "because_method" in capsys.readouterr().out
