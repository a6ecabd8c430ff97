from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pipeline import app
from pipeline.config import ClipFormat, TrainApp
from pipeline.errors import UserError
from pipeline.learn.networks import build, outside_hashes, rebuild
from pipeline.learn.networks.base import Network
from tests.learn.networks.nets import random_clips

CLIP = ClipFormat(num_frames=16, size=128, fps=15.0, crf=18)


def built(*overrides: str, clip: ClipFormat = CLIP) -> Network:
    cfg = app.compose("train", *overrides)
    assert isinstance(cfg, TrainApp)
    return build(cfg.model, clip)


def num_parameters(network: Network) -> int:
    return sum(p.numel() for p in network.parameters())


def test_the_default_is_causal_and_small() -> None:
    network = built()
    assert network.architecture()["name"] == "causal"
    assert num_parameters(network) <= 1_000_000


def test_the_baseline_is_about_as_large() -> None:
    ratio = num_parameters(built("model.name=frame")) / num_parameters(built())
    assert 0.9 < ratio < 1.1


@pytest.mark.parametrize("name", ["causal", "frame"])
def test_a_network_is_rebuilt_from_its_architecture(name: str) -> None:
    network = built(f"model.name={name}", clip=replace(CLIP, num_frames=4, size=32)).eval()
    again = rebuild(network.architecture()).eval()
    again.load_state_dict(network.state_dict())
    assert again.architecture() == network.architecture()
    clips = random_clips(2, 4)
    features = network.embed(clips)
    assert features.shape == (2, network.num_features)
    assert torch.equal(again.embed(clips), features)


@pytest.mark.parametrize("name", ["causal", "frame"])
def test_every_parameter_is_in_one_group_and_learns(name: str) -> None:
    network = built(f"model.name={name}", clip=replace(CLIP, num_frames=4, size=32))
    torch.nn.init.normal_(network.head.weight)  # type: ignore[union-attr, arg-type]
    network(random_clips(2, 4)).square().sum().backward()
    grouped = [p for group in network.parameter_groups() for p in group.parameters]
    assert sorted(map(id, grouped)) == sorted(map(id, network.parameters()))
    assert all(p.grad is not None and p.grad.any() for p in grouped)


def test_widths_and_dilations_must_fit() -> None:
    with pytest.raises(UserError, match=r"conf/train\.yaml: model has 4 widths and 1 dilations"):
        built("model.dilations=[1]")
    with pytest.raises(UserError, match=r"model\.widths=\[8\]"):
        built("model.name=frame", "model.widths=[8]")


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"model\.name=resnet is none of causal, frame, hf:"):
        built("model.name=resnet")
    with pytest.raises(UserError, match="architecture 'resnet' is unknown"):
        rebuild({"name": "resnet"})


def test_files_of_a_backbones_folder_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "deep" / "weights").write_bytes(b"1")
    before = outside_hashes(f"hf:{tmp_path}")
    assert list(before) == ["config.json", "deep/weights"]
    (tmp_path / "deep" / "weights").write_bytes(b"2")
    after = outside_hashes(f"hf:{tmp_path}")
    assert [name for name in before if before[name] != after[name]] == ["deep/weights"]
    assert outside_hashes("causal") == {}
