"""Vectors of trailers by a pretrained network of the transformers library, given by name or folder.

Code of a model's author never runs: only the library's own architectures are allowed (``trust_remote_code`` is off),
and weights are read from safetensors files only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recbole_mm.errors import InputError
from recbole_mm.extract.decode import MediaError, pictures, sound
from recbole_mm.features.sentence_encoder import first_line

WINDOW_SECONDS = 10
SHORTEST_SECONDS = 0.3  # a shorter rest of sound is left out: networks need a minimum length
PICTURES = 64  # at most, evenly spaced, from one picture a second
PICTURE_HEIGHT = 360  # pixels; the aspect ratio stays, and the network's processor resizes again
BATCH_SIZE = 16  # pictures or windows encoded at a time

_TRAINING_ONLY = ("masked_spec_embed", "mask_token")  # missing from many published weights, not used here


class AudioEncoder:
    """Mean of a network's last hidden states over a file's sound, in windows of 10 s.

    Args:
        name: a folder with the model, or its name on the Hugging Face hub, which needs a network the first time.
        device: of torch, where the network computes.
        batch_size: windows encoded at a time.

    Attributes:
        settings: everything that the numbers depend on besides the file.

    Raises:
        InputError: the library is missing, there is no such model, or the model does not encode sound.
    """

    def __init__(self, name: str, device: str = "cpu", batch_size: int = BATCH_SIZE) -> None:
        self._network = _Network("--audio-encoder", name, "AutoFeatureExtractor", "audio_model", device)
        self._batch_size = batch_size
        self.settings = {"version": 1, "window_seconds": WINDOW_SECONDS, **self._network.settings}
        self._network.check("sound", lambda: self._windows([np.zeros(self._rate, np.float32)]))

    def vector(self, path: Path, seconds: float | None = None) -> np.ndarray:
        """float64 [hidden size]; windows are weighted by their length. Only the first ``seconds`` are used.

        Raises:
            MediaError: the sound cannot be decoded or is shorter than 0.3 s.
        """
        total, samples, waiting, length = 0.0, 0, [], WINDOW_SECONDS * self._rate
        for window in _windows(sound(path, self._rate, seconds), length):
            if len(window) < SHORTEST_SECONDS * self._rate:
                continue
            samples += len(window)
            if len(window) < length:  # the last one: alone, since shorter ones would be padded
                total = total + self._windows([window]) * len(window)
                continue
            waiting.append(window)
            if len(waiting) == self._batch_size:
                total, waiting = total + self._windows(waiting) * length, []
        if waiting:
            total = total + self._windows(waiting) * length
        if not samples:
            raise MediaError(f"has less than {SHORTEST_SECONDS} s of sound")
        return _finite(total / samples)

    @property
    def _rate(self) -> int:
        return self._network.processor.sampling_rate

    def _windows(self, windows: list[np.ndarray]) -> np.ndarray:
        """Sum of the vectors of windows of one length, [hidden size]."""
        inputs = self._network.processor(windows, sampling_rate=self._rate, return_tensors="pt")
        return self._network.hidden_mean(self._network.run(inputs)).sum(axis=0)


class VideoEncoder:
    """Mean of a network's picture vectors over a file's pictures: one a second, at most 64, evenly spaced.

    A picture's vector is the network's pooled output. If the network has no pooling layer, or no weights for it, the
    vector is the mean of the last hidden states.

    Args:
        name, device: as for `AudioEncoder`.
        batch_size: pictures encoded at a time.

    Attributes:
        settings: everything that the numbers depend on besides the file.

    Raises:
        InputError: the library is missing, there is no such model, or the model does not encode pictures.
    """

    def __init__(self, name: str, device: str = "cpu", batch_size: int = BATCH_SIZE) -> None:
        self._network = _Network("--video-encoder", name, "AutoImageProcessor", "vision_model", device)
        self._batch_size = batch_size
        self.settings = {"version": 1, "pictures": PICTURES, "height": PICTURE_HEIGHT, **self._network.settings}
        black = np.zeros((PICTURE_HEIGHT, PICTURE_HEIGHT, 3), np.uint8)
        self._network.check("pictures", lambda: self._pictures([black]))

    def vector(self, path: Path, seconds: float | None = None) -> np.ndarray:
        """float64 [hidden size]. Only the first ``seconds`` are used.

        Raises:
            MediaError: the pictures cannot be decoded, or there are none.
        """
        frames = (frame for _, frame in pictures(path, 1, None, PICTURE_HEIGHT, seconds))
        chosen = evenly_spaced(frames, PICTURES)
        if not chosen:
            raise MediaError("has no pictures")
        starts = range(0, len(chosen), self._batch_size)
        batches = [self._pictures(chosen[start : start + self._batch_size]) for start in starts]
        return _finite(np.concatenate(batches).mean(axis=0))

    def _pictures(self, frames: list[np.ndarray]) -> np.ndarray:
        output = self._network.run(self._network.processor(images=frames, return_tensors="pt"))
        pooled = getattr(output, "pooler_output", None) if self._network.has_pooler else None
        if pooled is None:
            return self._network.hidden_mean(output)
        return pooled.flatten(1).cpu().double().numpy()


ENCODERS = {"audio": AudioEncoder, "video": VideoEncoder}  # field -> its encoder


class _Network:
    """A model and the processor of its inputs.

    Args:
        option: that gave the name, for messages.
        name: of the model, or its folder.
        processor: the library's class that loads the processor.
        part: attribute with the half that is used of a model with two inputs, such as CLIP or CLAP.
        device: of torch.
    """

    def __init__(self, option: str, name: str, processor: str, part: str, device: str) -> None:
        self._device = device
        self._asked = f"{option}={name}"
        try:
            import transformers
        except ImportError as error:
            raise InputError(
                f"{self._asked}: pretrained encoders need the package transformers, and module '{error.name}' is "
                "missing; type: pip install 'recbole-mm[extract]'"
            ) from None
        safe = {"trust_remote_code": False, "local_files_only": Path(name).is_dir()}
        verbosity = transformers.logging.get_verbosity()
        transformers.logging.set_verbosity_error()  # hide its list of unused layers, e.g. of a classifier
        try:
            self.processor = getattr(transformers, processor).from_pretrained(name, **safe)
            model, report = transformers.AutoModel.from_pretrained(
                name, use_safetensors=True, output_loading_info=True, **safe
            )
        except Exception as error:  # the library can raise almost any type
            raise InputError(
                f"{self._asked}: cannot be loaded ({type(error).__name__}: {first_line(error)}); give a folder that "
                "holds a transformers model with safetensors weights, or a name on the Hugging Face hub, which needs a "
                "network (without one: run 'hf download NAME --local-dir FOLDER' elsewhere and copy the folder here)"
            ) from None
        finally:
            transformers.logging.set_verbosity(verbosity)
        missing = set(report["missing_keys"])
        self.has_pooler = not any("pooler" in key for key in missing)
        self._check_weights({key for key in missing if "pooler" not in key and not key.endswith(_TRAINING_ONLY)})
        digest = _digest(model, missing, self.processor)
        if getattr(model.config, "is_encoder_decoder", False):
            model = model.get_encoder()
        self._model = getattr(model, part, model).float().eval().to(device)
        self.settings = {"encoder": name, "weights": digest}

    @torch.no_grad()
    def run(self, inputs: dict[str, torch.Tensor]) -> Any:
        """The model's output for the processor's output."""
        return self._model(**{name: value.to(self._device) for name, value in inputs.items()})

    @staticmethod
    def hidden_mean(output: Any) -> np.ndarray:
        """Mean of the last hidden states, [n, steps, d] or [n, d, height, width], as float64 [n, d]."""
        hidden = output.last_hidden_state
        mean = hidden.mean(dim=1) if hidden.dim() == 3 else hidden.flatten(2).mean(dim=2)
        return mean.cpu().double().numpy()

    def check(self, what: str, trial: Callable[[], np.ndarray]) -> None:
        """Raises InputError if the trial fails, so that a wrong model is found before the first file."""
        try:
            trial()
        except Exception as error:  # a model of another kind can fail anywhere
            raise InputError(
                f"{self._asked}: does not encode {what} ({type(error).__name__}: {first_line(error)}); give a model "
                f"that takes only {what} and returns last_hidden_state"
            ) from None

    def _check_weights(self, missing: set[str]) -> None:
        """Refuse missing weights: the library would fill them with random numbers."""
        if missing:
            raise InputError(
                f"{self._asked}: the weights lack {len(missing)} arrays of the model (first: {min(missing)}); give a "
                "model whose files are complete"
            )


def evenly_spaced(frames: Iterable[Any], limit: int) -> list[Any]:
    """Every n-th frame, starting with the first. n is the smallest power of 2 that leaves at most ``limit`` frames.

    The number of frames need not be known; at most ``limit`` frames are in memory.
    """
    kept, step = [], 1
    for index, frame in enumerate(frames):
        if index % step:
            continue
        if len(kept) == limit:
            kept, step = kept[::2], step * 2
            if index % step:
                continue
        kept.append(frame)
    return kept


def _windows(blocks: Iterable[np.ndarray], length: int) -> Iterator[np.ndarray]:
    """The samples of the blocks in windows of ``length``; the last window has the rest, which may be empty."""
    waiting = np.empty(0, np.float32)
    for block in blocks:
        waiting = np.concatenate([waiting, block])
        while len(waiting) >= length:
            yield waiting[:length]
            waiting = waiting[length:]
    yield waiting


def _digest(model: torch.nn.Module, missing: set[str], processor: Any) -> str:
    """Hash of weights and processor, which can change under the same name. Weights filled at random are left out."""
    digest = hashlib.sha256(processor.to_json_string().encode())
    for key, value in sorted(model.state_dict().items()):
        if key not in missing:
            digest.update(key.encode())
            digest.update(value.contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()[:16]


def _finite(vector: np.ndarray) -> np.ndarray:
    if not np.isfinite(vector).all():
        raise MediaError("gives a vector with inf or nan")
    return vector
