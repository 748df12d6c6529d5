"""NAME.yaml beside the files of data set NAME: read by every command, whatever the current folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from recbole_mm.cli.main import main
from recbole_mm.config.config import Config
from recbole_mm.errors import InputError
from recbole_mm.inference.load import load
from recbole_mm.training.checkpoint import load_checkpoint
from recbole_mm.training.session import run

COLUMNS = """\
load_col:
  inter: [user_id, item_id, rating, timestamp]
  item: [item_id, movie_title, release_year, class]
"""
SMALL = {"embedding_size": 8, "rating_hidden_size": 8, "epochs": 1, "show_progress": False, "gpu_id": ""}


@pytest.fixture
def own(planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """``own(text)``: planted data with this NAME.yaml, and another current folder; returns data_path."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)

    def write(text: str = "modalities: [text, audio]\n") -> Path:
        (planted.folder / "planted.yaml").write_text(COLUMNS + text, encoding="utf-8")
        return planted.folder.parent

    return write


def read(data_path: Path, *arguments: str, model: str = "MMFS", **sources) -> Config:
    return Config(model, "planted", arguments=[f"--data_path={data_path}", *arguments], **sources)


# ---------------------------------------------------------------------- the order of the sources


def test_it_is_stronger_than_the_package_and_weaker_than_what_is_given(own, tmp_path: Path):
    file = tmp_path / "more.yaml"
    file.write_text("like_threshold: 2\n", encoding="utf-8")
    data_path = own("modalities: [text]\nlike_threshold: 3\nepochs: 3\nlearning_rate: 0.1\n")
    config = read(data_path, "--epochs=5", config_file_list=[file])
    assert config["modalities"] == ["text"]
    assert (config["like_threshold"], config["epochs"], config["learning_rate"]) == (2, 5, 0.1)
    assert read(data_path, config_dict={"like_threshold": 1})["like_threshold"] == 1


def test_it_is_stronger_than_the_files_of_the_package(tmp_path: Path):
    folder = tmp_path / "ml-100k-mm"
    folder.mkdir()
    (folder / "ml-100k-mm.yaml").write_text("rating_scale: [0, 5]\ntrain_batch_size: 7\n", encoding="utf-8")
    for model, protocol in (("MMASP", "ranking"), ("FM", "u1")):
        config = Config(model, "ml-100k-mm", arguments=[f"--data_path={tmp_path}", f"--protocol={protocol}"])
        assert (config["rating_scale"], config["train_batch_size"]) == ([0, 5], 7)
        assert "item" in config["load_col"]  # still of properties/dataset
    assert Config("MMASP", "ml-100k-mm")["rating_scale"] == [1, 5]


def test_it_lies_below_data_path_or_in_dataset_of_the_current_folder(own, planted, monkeypatch: pytest.MonkeyPatch):
    data_path = own()
    assert read(data_path)["modalities"] == ["text", "audio"]
    assert Config("MMFS", "planted")["modalities"] != ["text", "audio"]  # no dataset/ here
    monkeypatch.chdir(data_path.parent)
    data_path.rename("dataset")
    assert Config("MMFS", "planted")["modalities"] == ["text", "audio"]
    assert Config("MMFS", "planted", config_dict={"data_path": Path("dataset")})["modalities"] == ["text", "audio"]


def test_a_protocol_that_is_given_keeps_its_split_and_metrics(own):
    data_path = own("protocol: temporal\nmetrics: [RMSE]\neval_args: {mode: uni10}\n")
    config = read(data_path)
    assert (config["protocol"], config["metrics_of"], config["metrics"]) == ("temporal", {"rating": ["RMSE"]}, [])
    given = read(data_path, "--protocol=ranking")
    assert given["eval_args"]["order"] == "RO" and given["eval_args"]["mode"]["test"] == "full"
    assert given["metrics"] and given["metrics_of"]["genre"]
    ranked = read(own("topk: 5\neval_args: {mode: uni10}\n"), "--metrics=[NDCG]")
    assert (ranked["topk"], ranked["eval_args"]["order"], ranked["eval_args"]["mode"]["test"]) == ([5], "RO", "uni10")


def test_the_columns_that_a_built_in_model_does_not_use_are_left_out(own):
    assert read(own(), model="BPR")["load_col"]["item"] == ["item_id"]


# ---------------------------------------------------------------------- what it may hold


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("modalites: [text]", "unknown option 'modalites' for model MMFS. Did you mean 'modalities'?"),
        ("rating_scale: high", "option 'rating_scale' is 'high', but takes a list or ~"),
        ("cold_test_ratio: 2", "option 'cold_test_ratio' is 2, but must be in (0, 1)"),
        ("vector_components: 8", "option 'vector_components' is now called 'pca_components'"),
        ("device: cpu", "option 'device' is set by the program"),
        ("metrics: [RMES]", "metric 'RMES' is unknown. Did you mean 'RMSE'?"),
        ("protocol: cold", "protocol 'cold' is unknown"),
        ("model: MMSP", "option 'model' has no place in the file of a data set"),
        ("dataset: planted", "option 'dataset' has no place"),
        ("data_path: there", "option 'data_path' has no place"),
        ("resume: a.pt", "option 'resume' has no place"),
        ("nproc: 2", "option 'nproc' has no place"),
        ("config_files: a.yaml", "option 'config_files' has no place"),
        ("- text", "not valid YAML"),
    ],
)
def test_a_wrong_option_names_the_file(own, planted, text: str, message: str):
    data_path = own(f"{text}\n")
    with pytest.raises(InputError) as caught:
        read(data_path)
    assert str(caught.value).startswith(f"{planted.folder / 'planted.yaml'}: ")
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_an_option_of_another_model_is_left_out(own):
    data_path = own("ease_weight: 0.0\nmodalities: [text]\n")
    assert read(data_path)["ease_weight"] == 0
    assert "ease_weight" not in read(data_path, model="BPR")


# ---------------------------------------------------------------------- commands


def test_a_checkpoint_of_such_a_run_loads_with_its_own_options(own):
    data_path = own("modalities: [text, audio]\nlike_threshold: 3\nvalid_metric: MAE\n")
    result = run("MMFS", "planted", config_dict={**SMALL, "data_path": str(data_path)})
    config = read(data_path, config_dict={**SMALL})
    assert Config.from_plain(config.plain()) == config
    own("modalities: [audio]\nlike_threshold: 5\n")  # the file changes, the checkpoint does not
    loaded = Config.from_plain(load_checkpoint(result.checkpoint)["config"])
    assert loaded["modalities"] == ["text", "audio"]
    assert (loaded["like_threshold"], loaded["valid_metric"]) == (3, "MAE")
    assert load(result.checkpoint).recommend("u0", k=3) is not None
    again = run(config_dict={"evaluate": result.checkpoint})
    assert again.test == result.test


def test_the_command_line_reads_it(own, capsys: pytest.CaptureFixture):
    data_path = own()
    arguments = ["run", "--model=MMFS", "--dataset=planted", f"--data_path={data_path}"]
    options = [f"--{name}={value}" for name, value in SMALL.items()]
    assert main([*arguments, *options]) == 0
    assert "RMSE" in capsys.readouterr().out.upper()
    own("modalites: [text]\n")
    assert main([*arguments, *options]) == 2
    assert "planted.yaml: unknown option 'modalites'" in capsys.readouterr().err
