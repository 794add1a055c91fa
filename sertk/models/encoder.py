"""Speech encoders of transformers, from a local folder: wav2vec 2.0, HuBERT, WavLM, data2vec-audio, Whisper's encoder.

transformers is imported by load_encoder alone, and kept from the network.
"""

import hashlib
import json
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sertk.datadir.records import read_json
from sertk.errors import SertkError
from sertk.frontend.audio import SCALE
from sertk.kaldi.manifest import file_sha256
from sertk.models.compute import autocast

ARCHITECTURES = ("data2vec-audio", "hubert", "wav2vec2", "wavlm", "whisper")
CONFIG, PREPROCESSOR = "config.json", "preprocessor_config.json"
# Where transformers 5 saves the front end together with a tokeniser.
PROCESSOR = "processor_config.json"
WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
# Added to the variance of samples, as by Wav2Vec2FeatureExtractor.
EPSILON = 1e-7
# A weight that no forward pass in evaluation reads: what replaces masked frames in training.
_UNREAD = "masked_spec_embed"


@dataclass
class Moments:
    """Sums over frames, from which mean and standard deviation of each layer follow; parts of a recording are added.

    Args:
        frames: number of frames.
        sums: (layers, dim) float64.
        squares: (layers, dim) float64.
    """

    frames: int
    sums: np.ndarray
    squares: np.ndarray

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(self.frames + other.frames, self.sums + other.sums, self.squares + other.squares)

    def statistics(self) -> np.ndarray:
        """Mean and population standard deviation of each layer, (layers, 2 * dim) float32."""
        mean = self.sums / self.frames
        deviation = np.sqrt(np.maximum(self.squares / self.frames - mean**2, 0))
        return np.concatenate([mean, deviation], axis=1).astype(np.float32)


@dataclass
class Encoder:
    """An encoder, ready to compute.

    Args:
        network: in evaluation mode.
        kind: one of ARCHITECTURES.
        rate: sample rate in Hz.
        num_layers: transformer layers; outputs are numbered from 0, the input of the first one.
        dim: size of an output.
        normalised: samples of a recording are scaled to mean 0 and variance 1.
        batched: recordings of several lengths can be computed together without changing each other.
        longest: samples that the network takes at a time; 0: any number.
        digest: sha256 of config and weights.
        sha256: of the file of weights; of several files, the digest.
        precision: "float32" or "bf16".
        extractor: transformers' front end (Whisper), None where the network takes samples.
        device: of the network.
    """

    network: nn.Module
    kind: str
    rate: int
    num_layers: int
    dim: int
    normalised: bool
    batched: bool
    longest: int
    digest: str
    sha256: str
    precision: str = "float32"
    extractor: Any = None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def scaled(self, samples: np.ndarray) -> np.ndarray:
        """Samples of a whole recording as the encoder takes them.

        Args:
            samples: (samples,) float32 in the 16-bit range.
        """
        if not self.normalised:
            return samples * np.float32(1 / SCALE)
        mean, variance = samples.mean(dtype=np.float64), samples.var(dtype=np.float64)
        return ((samples - np.float32(mean)) / np.float32(np.sqrt(variance + EPSILON * SCALE**2))).astype(np.float32)

    def num_frames(self, samples: int) -> int:
        """Frames of a recording of so many samples; 0 if it is too short for one."""
        config = self.network.config
        if self.kind == "whisper":
            return -(-samples // (2 * self.extractor.hop_length))
        for kernel, stride in zip(config.conv_kernel, config.conv_stride):
            samples = max(0, (samples - kernel) // stride + 1)
        return samples

    @torch.no_grad()
    def moments(self, pieces: Sequence[np.ndarray], layers: Sequence[int]) -> list[Moments]:
        """Sums over the frames of each piece, without padding.

        Args:
            pieces: (samples,) each, from `scaled`, of one frame or more.
            layers: numbers of the outputs to take.
        """
        inputs = self._inputs(pieces)
        with autocast(self.device, self.precision):
            outputs = self.network(**inputs, output_hidden_states=True).hidden_states
        result = []
        for number, piece in enumerate(pieces):
            frames = self.num_frames(len(piece))
            chosen = torch.stack([outputs[layer][number, :frames] for layer in layers]).double()
            sums, squares = chosen.sum(dim=1), chosen.square().sum(dim=1)
            result.append(Moments(frames, sums.cpu().numpy(), squares.cpu().numpy()))
        return result

    def _inputs(self, pieces: Sequence[np.ndarray]) -> dict[str, Tensor]:
        if self.kind == "whisper":
            feats = self.extractor(list(pieces), sampling_rate=self.rate, return_tensors="pt")["input_features"]
            return {"input_features": feats.to(self.device)}
        lengths = torch.tensor([len(piece) for piece in pieces])
        batch = torch.zeros(len(pieces), int(lengths.max()))
        for row, piece in zip(batch, pieces):
            row[: len(piece)] = torch.from_numpy(piece)
        inputs = {"input_values": batch.to(self.device)}
        if int(lengths.min()) < batch.shape[1]:
            mask = torch.arange(batch.shape[1]) < lengths[:, None]
            inputs["attention_mask"] = mask.long().to(self.device)
        return inputs


def load_encoder(folder: Path, device: torch.device, precision: str = "float32") -> Encoder:
    """Read an encoder in the layout of transformers. No code from the folder is run, nothing is fetched.

    Args:
        folder: with config.json, preprocessor_config.json and the weights.
        device: where to compute.
        precision: "float32" or "bf16".

    Raises:
        SertkError: a file is missing or damaged, the architecture is another, or weights are missing.
        ModuleNotFoundError: transformers is not installed.
    """
    config, (front_file, front) = _read_json(folder, CONFIG), _read_front_end(folder)
    if (kind := config.get("model_type")) not in ARCHITECTURES:
        raise SertkError(f"{folder / CONFIG}: model_type {kind!r}: expected one of {', '.join(ARCHITECTURES)}")
    weights = _weights(folder)
    network, extractor = _from_transformers(folder, kind)
    network = network.eval().requires_grad_(False).to(device)
    whisper = kind == "whisper"
    num_layers = len(network.layers if whisper else network.encoder.layers)
    if not num_layers:
        raise SertkError(f"{folder / CONFIG}: has no layers")
    sha256 = {path.name: file_sha256(path) for path in (folder / CONFIG, front_file, *weights)}
    digest = hashlib.sha256(json.dumps(sha256, sort_keys=True).encode()).hexdigest()
    return Encoder(
        network=network,
        kind=kind,
        rate=front.get("sampling_rate", 16000),
        num_layers=num_layers,
        dim=network.config.d_model if whisper else network.config.hidden_size,
        normalised=not whisper and bool(front.get("do_normalize", True)),
        batched=whisper or (kind != "data2vec-audio" and network.config.feat_extract_norm == "layer"),
        longest=extractor.n_samples if whisper else 0,
        digest=digest,
        sha256=sha256[weights[0].name] if len(weights) == 1 else digest,
        precision=precision,
        extractor=extractor,
        device=device,
    )


def _read_json(folder: Path, name: str) -> dict:
    if not (folder / name).exists():
        what = "no such folder" if not folder.is_dir() else f"has no {name}, as the folder of a network of transformers"
        raise SertkError(f"{folder}: {what} (download it first, with all its files: nothing is fetched)")
    return read_json(folder / name)


def _read_front_end(folder: Path) -> tuple[Path, dict]:
    """The file that describes the front end, and its settings."""
    if (folder / PROCESSOR).exists() and not (folder / PREPROCESSOR).exists():
        path, front = folder / PROCESSOR, _read_json(folder, PROCESSOR).get("feature_extractor") or {}
    else:
        path, front = folder / PREPROCESSOR, _read_json(folder, PREPROCESSOR)
    rate = front.get("sampling_rate", 16000) if isinstance(front, dict) else None
    if type(rate) is not int or rate < 1:
        raise SertkError(f"{path}: sampling_rate {rate!r} is not a whole number of Hz")
    return path, front


def _weights(folder: Path) -> list[Path]:
    """The files of weights that transformers reads."""
    first = next((folder / name for name in WEIGHTS if (folder / name).exists()), None)
    if first is None:
        raise SertkError(f"{folder}: has no weights: expected {WEIGHTS[0]} or {WEIGHTS[2]}")
    if first.suffix != ".json":
        return [first]
    names = _read_json(folder, first.name).get("weight_map")
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise SertkError(f"{first}: has no weight_map of file names")
    return [folder / name for name in sorted(set(names.values()))]


def _from_transformers(folder: Path, kind: str) -> tuple[nn.Module, Any]:
    """The network, and Whisper's front end."""
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    # Of WavLM's attention with a mask, for every batch; the result is right.
    warnings.filterwarnings("ignore", "Support for mismatched key_padding_mask", UserWarning)
    try:
        network, loading = transformers.AutoModel.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, dtype=torch.float32, output_loading_info=True
        )
        extractor = None
        if kind == "whisper":
            extractor = transformers.WhisperFeatureExtractor.from_pretrained(folder, local_files_only=True)
            network = network.get_encoder()
    except Exception as error:  # whatever its readers stumble over
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise SertkError(f"{folder}: transformers {transformers.__version__} cannot read it: {reason}") from None
    lacking = sorted(name for name in loading["missing_keys"] if _UNREAD not in name and "decoder" not in name)
    if lacking:
        raise SertkError(f"{folder}: weights do not fit {CONFIG}: {lacking[0]} and {len(lacking) - 1} more are missing")
    return network, extractor
