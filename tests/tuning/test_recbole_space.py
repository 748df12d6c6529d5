"""Search spaces in RecBole's form: one option a line."""

from __future__ import annotations

import math

import pytest

from recbole_mm.config.config import Config
from recbole_mm.errors import InputError
from recbole_mm.tuning.recbole_space import read_recbole_space
from recbole_mm.tuning.search_space import read_space


def written(tmp_path, text: str):
    path = tmp_path / "model.hyper"
    path.write_text(text)
    return path


def test_every_kind_of_line(tmp_path):
    path = written(
        tmp_path,
        "# RecBole's lines\n"
        "learning_rate loguniform -8,0\n\n"
        "weight_decay loguniform -8 0\n"
        "dropout_prob uniform 0.0,0.5\n"
        "train_batch_size quniform 512, 2048, 512\n"
        "embedding_size choice [64,96]\n"
        "mlp_hidden_size choice ['[64]', '[64,32]']\n"
        "loss_type choice ['CE', 'BPR']\n",
    )
    found = read_recbole_space(path)
    assert found["learning_rate"]["loguniform"] == pytest.approx([math.exp(-8), 1.0])
    assert found["weight_decay"] == found["learning_rate"]
    assert found["dropout_prob"] == {"uniform": [0.0, 0.5]}
    assert found["train_batch_size"] == {"choice": [512, 1024, 1536, 2048]}
    assert found["embedding_size"] == {"choice": [64, 96]}
    assert found["mlp_hidden_size"] == {"choice": [[64], [64, 32]]}
    assert found["loss_type"] == {"choice": ["CE", "BPR"]}


def test_the_lines_are_a_space_of_the_model(tmp_path):
    path = written(tmp_path, "learning_rate loguniform -8,-4\nembedding_size choice [8,16]\n")
    config = Config(arguments=["--model=BPR", "--dataset=ml-100k-mm"])
    assert set(read_space(path, config).distributions) == {"learning_rate", "embedding_size"}
    path = written(tmp_path, "embeding_size choice [8,16]\n")
    with pytest.raises(InputError, match="model.hyper: BPR: unknown option 'embeding_size'.*'embedding_size'"):
        read_space(path, config)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("learning_rate loguniform", "line 1: takes an option, a distribution and values"),
        ("learning_rate logunifrm -8,0", "'logunifrm' is not a distribution. Did you mean 'loguniform'?"),
        ("learning_rate loguniform -8", "loguniform takes 2 numbers"),
        ("learning_rate uniform nan,1", "uniform takes 2 numbers"),
        ("learning_rate loguniform 1,100000", "is too large"),
        ("embedding_size choice __import__('os').system('touch hacked')", "choice takes a list"),
        ("embedding_size choice 64", "choice takes a list"),
        ("embedding_size quniform 1,100000,1", "at most 1000 values"),
        ("embedding_size quniform 1,2,0", "at most 1000 values"),
        ("a choice [1]\na choice [2]", "line 2: option 'a' stands here a second time"),
    ],
)
def test_a_wrong_line_is_one_error(tmp_path, monkeypatch, line, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        read_recbole_space(written(tmp_path, f"{line}\n"))
    assert not (tmp_path / "hacked").exists()
