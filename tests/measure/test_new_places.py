from __future__ import annotations

from recbole_mm.measure import new_places


def test_movies_that_were_left_out_are_placed_near_their_own_points(checkpoint_of, capsys):
    assert new_places.main([f"--checkpoint={checkpoint_of('MMASP')}", "--movies=12"]) == 0
    own, _, at_random, placed, drawn = (float(line.split(": ")[1]) for line in capsys.readouterr().out.splitlines())
    assert own < at_random / 3
    assert placed > 0.5 * drawn > 0


def test_a_file_that_is_none_is_one_line(capsys, tmp_path):
    assert new_places.main([f"--checkpoint={tmp_path / 'none.pt'}"]) == 2
    assert capsys.readouterr().err.startswith("recbole-mm: error:")
