"""Encoders so small that tests can afford them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipeline.learn.encoders.base import Encoder, Joined
from pipeline.learn.networks.origin import OriginNet

WAVES: dict[str, Any] = {"conv_dim": [8, 8], "conv_kernel": [10, 3], "conv_stride": [5, 2]}
"""The first layers of a Wav2Vec2 of transformers."""
WHISPER: dict[str, Any] = {
    "d_model": 16,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 16,
    "decoder_ffn_dim": 16,
    "vocab_size": 8,
    "num_mel_bins": 8,
    "max_source_positions": 50,
    "pad_token_id": 1,
    "bos_token_id": 1,
    "eos_token_id": 1,
    "decoder_start_token_id": 1,
}
"""What a Whisper of transformers is made of."""


class Colours(Encoder):
    """The mean colour of a frame, each channel in [0, 1]; it counts the frames that it sees."""

    modality = "picture"
    num_features = 3

    def __init__(self) -> None:
        super().__init__()
        self.num_seen = 0

    def forward(self, taken: Tensor) -> Tensor:
        self.num_seen += taken.shape[0]
        return taken.float().mean((1, 2)) / 255

    def architecture(self) -> dict[str, Any]:
        return {"name": "colours"}

    def provenance(self) -> list[dict[str, str]]:
        return [{"name": "Colours", "origin": "a test", "licence": "CC0-1.0", "sha256": "0" * 64}]


class Pace(Colours):
    """The mean colour of the last of three frames, less that of the first."""

    modality = "video"
    num_frames = 3

    def forward(self, taken: Tensor) -> Tensor:
        means = taken.float().mean((2, 3)) / 255
        return means[:, -1] - means[:, 0]


def colour_origin(*, window: int = 8, every_frames: int = 4) -> OriginNet:
    """An answer on the origin with an opinion on mean colours."""
    origin = OriginNet(Colours(), window=window, every_frames=every_frames)
    torch.manual_seed(2)
    _opine(origin, std=4.0)
    return origin


def write_checkpoint(folder: Path, seed: int = 0) -> str:
    """A DINOv2 of 16 channels as it is published; gives its `pictures.name`."""
    import transformers

    torch.manual_seed(seed)
    config = transformers.Dinov2Config(
        image_size=16,
        patch_size=8,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        initializer_range=0.3,
    )
    transformers.AutoModel.from_config(config).save_pretrained(folder)
    preprocessor = {
        "image_processor_type": "ViTImageProcessor",
        "size": {"height": 16, "width": 16},
        "resample": 2,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.25, 0.25, 0.25],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    return f"hf:{folder}"


def write_ear(
    folder: Path,
    seed: int = 0,
    labels: Sequence[str] = ("Speech", "Gunshot, gunfire", "Music", "machine gun"),
) -> str:
    """An AST of 16 channels for classes of sound, as it is published; gives its `sound.name`."""
    import transformers

    torch.manual_seed(seed)
    config = transformers.ASTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_length=64,
        num_mel_bins=32,
        initializer_range=0.3,
        id2label=dict(enumerate(labels)),
        label2id={label: number for number, label in enumerate(labels)},
    )
    transformers.AutoModelForAudioClassification.from_config(config).save_pretrained(folder)
    transformers.ASTFeatureExtractor(max_length=64, num_mel_bins=32).save_pretrained(folder)
    return f"hf:{folder}"


def checkpoint_origin(
    folder: Path, *, window: int = 8, every_frames: int = 4, num_encoders: int = 1
) -> OriginNet:
    """An answer by what one or more such DINOv2 see, which can be saved and rebuilt."""
    from pipeline.learn.encoders.hf import HfEncoder

    names = [write_checkpoint(folder / str(seed), seed) for seed in range(num_encoders)]
    parts = [HfEncoder.from_checkpoint(name.removeprefix("hf:")) for name in names]
    encoder = parts[0] if num_encoders == 1 else Joined(parts)
    origin = OriginNet(encoder, window=window, every_frames=every_frames)
    torch.manual_seed(2)
    _opine(origin, std=2.0)
    return origin


def _opine(origin: OriginNet, std: float) -> None:
    torch.nn.init.normal_(origin.layer.weight, std=std)
    torch.nn.init.constant_(origin.layer.bias, 0.5)


def publish(checkpoint: Path, cache: Path, name: str, commit: str) -> None:
    """Put a checkpoint into the cache of the hub, as what a name of `owner` is since a commit."""
    repository = cache / f"models--owner--{name}"
    shutil.copytree(checkpoint, repository / "snapshots" / commit)
    (repository / "refs").mkdir(exist_ok=True)
    (repository / "refs" / "main").write_text(commit)
