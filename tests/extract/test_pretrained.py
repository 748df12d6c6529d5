"""Pretrained encoders of sound and pictures: tiny networks with random weights, made and saved here."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from clips import field, gradient, noise, tone
from hypothesis import given
from hypothesis import strategies as st

from recbole_mm.cli.main import main
from recbole_mm.data.vectors import read_vectors
from recbole_mm.errors import InputError
from recbole_mm.extract.decode import MediaError, pictures, sound
from recbole_mm.extract.pretrained import AudioEncoder, VideoEncoder, evenly_spaced

SIZE = 16  # hidden size
SMALL = {"hidden_size": SIZE, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}


@pytest.fixture
def library(monkeypatch):
    """The library transformers, with the hub shut."""
    transformers = pytest.importorskip("transformers", reason="transformers (extra 'extract') is not installed")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # the variable is read when it is imported
    torch.manual_seed(0)
    return transformers


@pytest.fixture
def audio_folder(library, tmp_path) -> Path:
    # One convolution of 400 samples every 320: 50 steps a second.
    convolution = {"conv_dim": (8,), "conv_kernel": (400,), "conv_stride": (320,), "num_feat_extract_layers": 1}
    positions = {"num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2}
    config = library.Wav2Vec2Config(**SMALL, **convolution, **positions)
    return save(library.Wav2Vec2Model(config), library.Wav2Vec2FeatureExtractor(), tmp_path / "wav2vec2")


@pytest.fixture
def video_folder(library, tmp_path) -> Path:
    model = library.ViTModel(library.ViTConfig(**SMALL, image_size=32, patch_size=8))
    return save(model, image_processor(library), tmp_path / "vit")


def image_processor(library, size: int = 32):
    pytest.importorskip("PIL", reason="Pillow (extra 'extract') is not installed")
    return library.ViTImageProcessor(size={"height": size, "width": size})


def save(model, processor, folder: Path) -> Path:
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def test_sound_is_the_mean_over_windows_of_ten_seconds(library, audio_folder, tmp_path, write_clip):
    clip = write_clip(tmp_path / "a.wav", samples=np.concatenate([tone(9), noise(5), tone(7.1, 2000)]))
    found = AudioEncoder(str(audio_folder)).vector(clip)
    model = library.Wav2Vec2Model.from_pretrained(audio_folder).eval()
    samples = np.concatenate(list(sound(clip, 16_000)))
    expected = 0
    for window in (samples[:160_000], samples[160_000:320_000], samples[320_000:]):
        normal = (window - window.mean()) / np.sqrt(window.var() + 1e-7)
        with torch.no_grad():
            hidden = model(torch.tensor(normal)[None]).last_hidden_state[0]
        expected = expected + hidden.mean(dim=0).numpy() * len(window) / len(samples)
    assert found.shape == (SIZE,) and np.abs(found).max() > 0.1
    assert found == pytest.approx(expected, abs=1e-5)


def test_pictures_are_the_mean_of_pooled_outputs(library, video_folder, tmp_path, write_clip):
    clip = write_clip(tmp_path / "a.mp4", [*field((200, 40, 40)), *gradient(10, 240), *field((20, 20, 250))])
    found = VideoEncoder(str(video_folder)).vector(clip)
    model = library.ViTModel.from_pretrained(video_folder).eval()
    frames = [frame for _, frame in pictures(clip, 1, 640, 360)]
    inputs = image_processor(library)(images=frames, return_tensors="pt")
    with torch.no_grad():
        pooled = model(**inputs).pooler_output.numpy()
    assert pooled.shape == (3, SIZE) and pooled.std(axis=0).max() > 0.01
    assert found == pytest.approx(pooled.mean(axis=0), abs=1e-5)


def test_only_the_first_seconds(audio_folder, video_folder, tmp_path, write_clip):
    def clip(name: str, colour, frequency: float) -> Path:
        samples = np.concatenate([tone(2), tone(2, frequency)])
        return write_clip(tmp_path / name, [*field((9, 9, 9), 48), *field(colour, 48)], samples)

    one, other = clip("a.mkv", (200, 9, 9), 300), clip("b.mkv", (9, 200, 9), 3000)
    for encoder in (AudioEncoder(str(audio_folder)), VideoEncoder(str(video_folder))):
        assert np.abs(encoder.vector(one) - encoder.vector(other)).max() > 1e-3
        # 1.5 s: the last packet of a compressed sound track reaches over its end.
        assert encoder.vector(one, 1.5) == pytest.approx(encoder.vector(other, 1.5), abs=1e-3)


def test_a_pooler_without_weights_is_not_used(library, tmp_path, write_clip):
    """It would be filled at random: published classifiers come without it."""
    model = library.ViTModel(library.ViTConfig(**SMALL, image_size=32, patch_size=8), add_pooling_layer=False)
    folder = str(save(model, image_processor(library), tmp_path / "vit"))
    clip = write_clip(tmp_path / "a.mp4", gradient(10, 240))
    first, second = VideoEncoder(folder), VideoEncoder(folder)
    assert first.settings == second.settings
    assert np.array_equal(first.vector(clip), second.vector(clip))
    inputs = image_processor(library)(images=[frame for _, frame in pictures(clip, 1, 640, 360)], return_tensors="pt")
    with torch.no_grad():
        hidden = model.eval()(**inputs).last_hidden_state
    assert first.vector(clip) == pytest.approx(hidden.mean(dim=(0, 1)).numpy(), abs=1e-5)


def test_the_picture_half_of_a_model_of_two_kinds(library, tmp_path, write_clip):
    config = library.CLIPConfig(
        text_config={**SMALL, "vocab_size": 50}, vision_config={**SMALL, "image_size": 32, "patch_size": 8}
    )
    folder = save(library.CLIPModel(config), image_processor(library), tmp_path / "clip")
    assert VideoEncoder(str(folder)).vector(write_clip(tmp_path / "a.mp4", gradient(10, 240))).shape == (SIZE,)


def test_a_clip_without_sound_is_a_media_error(audio_folder, tmp_path, write_clip):
    clips = write_clip(tmp_path / "a.wav", samples=tone(0.1)), write_clip(tmp_path / "a.mp4", gradient(10, 240))
    for clip, message in zip(clips, ("less than 0.3 s of sound", "no sound track"), strict=True):
        with pytest.raises(MediaError, match=message):
            AudioEncoder(str(audio_folder)).vector(clip)


def extract(*more: str) -> int:
    return main(["extract", "--audio=clips", "--video=clips", "--dataset=my", *more])


def test_the_command_resumes_and_notices_another_encoder(
    library, audio_folder, video_folder, tmp_path, write_clip, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    for item in range(2):
        write_clip(tmp_path / "clips" / f"{item}.mkv", field((200 * item, 40, 90)), tone(1, 300 + 900 * item))
    encoders = (f"--audio-encoder={audio_folder}", f"--video-encoder={video_folder}")
    assert extract(*encoders) == 0
    out = capsys.readouterr().out
    for name in ("audio", "video"):
        assert f"my.{name}: 2 movies, {SIZE} numbers each (2 computed, 0 kept" in out
        one, other = read_vectors(Path("dataset/my"), "my", name).values
        assert np.abs(one - other).max() > 1e-3
    assert extract(*encoders) == 0
    assert capsys.readouterr().out.count("(0 computed, 2 kept from before)") == 2

    with torch.no_grad():  # the folder is the same, its weights are not
        model = library.ViTModel.from_pretrained(video_folder)
        model.layernorm.bias.add_(1)
    model.save_pretrained(video_folder)
    assert extract(*encoders) == 0
    out = capsys.readouterr().out
    assert "my.audio: 2 movies, 16 numbers each (0 computed" in out
    assert "my.video: 2 movies, 16 numbers each (2 computed" in out
    assert extract() == 0
    assert "my.audio: 2 movies, 60 numbers each (2 computed" in capsys.readouterr().out


@pytest.mark.parametrize("option", ["audio", "video"])
def test_an_unknown_name_is_one_line_and_status_2(library, option, tmp_path, write_clip, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_clip(tmp_path / "clips" / "1.mkv", field((9, 9, 9)), tone(1))
    assert main(["extract", f"--{option}=clips", "--dataset=my", f"--{option}-encoder=nobody/nothing"]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert f"recbole-mm: error: --{option}-encoder=nobody/nothing: cannot be loaded" in error
    assert "hf download NAME --local-dir FOLDER" in error


def test_a_model_of_another_kind_is_refused_before_the_work(library, audio_folder, video_folder):
    with pytest.raises(InputError, match=r"--video-encoder=.*wav2vec2: cannot be loaded"):
        VideoEncoder(str(audio_folder))
    library.Wav2Vec2FeatureExtractor().save_pretrained(video_folder)
    with pytest.raises(InputError, match=r"--audio-encoder=.*vit: does not encode sound"):
        AudioEncoder(str(video_folder))


def test_weights_that_are_pickled_or_incomplete_are_refused(video_folder):
    from safetensors.torch import load_file, save_file

    weights = video_folder / "model.safetensors"
    arrays = load_file(weights)
    save_file({key: value for key, value in arrays.items() if "patch" not in key}, weights, metadata={"format": "pt"})
    with pytest.raises(InputError, match="the weights lack 2 arrays of the model"):
        VideoEncoder(str(video_folder))
    weights.unlink()
    torch.save(arrays, video_folder / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"cannot be loaded .*safetensors"):
        VideoEncoder(str(video_folder))


def test_code_in_the_folder_does_not_run(video_folder):
    (video_folder / "own.py").write_text("raise SystemExit('was run')")
    for name, changes in (
        ("config.json", {"auto_map": {"AutoConfig": "own.C", "AutoModel": "own.M"}, "model_type": "own"}),
        ("preprocessor_config.json", {"auto_map": {"AutoImageProcessor": "own.P"}}),
    ):
        path = video_folder / name
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(InputError, match="cannot be loaded"):
        VideoEncoder(str(video_folder))


def test_the_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(InputError, match=r"--video-encoder=x: .*type: pip install 'recbole-mm\[extract\]'"):
        VideoEncoder("x")


@pytest.mark.parametrize("kind", ["audio", "video"])
def test_an_encoder_without_its_files(kind, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["extract", "--texts=a.csv", "--dataset=my", f"--{kind}-encoder=x"]) == 2
    assert f"--{kind}-encoder belongs to {kind}: give --{kind}=FOLDER" in capsys.readouterr().err


@given(st.integers(0, 300), st.integers(1, 20))
def test_frames_are_evenly_spaced(count, most):
    kept = evenly_spaced(range(count), most)
    step = kept[1] if len(kept) > 1 else max(count, 1)
    assert kept == list(range(0, count, step))
    assert len(kept) <= most and (2 * len(kept) >= most or len(kept) == count)
