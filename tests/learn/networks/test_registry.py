from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline import app
from pipeline.config import ClipFormat, TrainApp
from pipeline.detect.detector import Detector
from pipeline.errors import UserError
from pipeline.learn import weights
from pipeline.learn.networks import NETWORKS, build, outside_hashes, rebuild
from pipeline.learn.networks.base import Network, NetworkFactory, State, Streaming
from pipeline.store.manifest import CLASSES
from tests.learn.networks.nets import random_clips
from tests.learn.toy import FORMAT

CLIP = ClipFormat(num_frames=16, size=128, fps=15.0, crf=18)


def built(*overrides: str, clip: ClipFormat = CLIP) -> Network:
    cfg = app.compose("train", *overrides)
    assert isinstance(cfg, TrainApp)
    return build(cfg.model, clip)


def num_parameters(network: Network) -> int:
    return sum(p.numel() for p in network.parameters())


def test_the_default_is_flash_and_small() -> None:
    network = built()
    assert network.architecture()["name"] == "flash"
    assert num_parameters(network) <= 5_000


def test_a_network_is_rebuilt_from_its_architecture() -> None:
    network = built(clip=replace(CLIP, num_frames=4, size=32)).eval()
    again = rebuild(network.architecture()).eval()
    again.load_state_dict(network.state_dict())
    assert again.architecture() == network.architecture()
    clips = random_clips(2, 4)
    features = network.embed(clips)
    assert features.shape == (2, network.num_features)
    assert torch.equal(again.embed(clips), features)


def test_every_parameter_is_in_one_group_and_learns() -> None:
    network = built(clip=replace(CLIP, num_frames=4, size=32))
    torch.nn.init.normal_(network.head.weight)  # type: ignore[union-attr, arg-type]
    network(random_clips(2, 4)).square().sum().backward()
    grouped = [p for group in network.parameter_groups() for p in group.parameters]
    assert sorted(map(id, grouped)) == sorted(map(id, network.parameters()))
    assert all(p.grad is not None and p.grad.any() for p in grouped)


def test_too_short_clips_for_flashes_are_an_error() -> None:
    with pytest.raises(UserError, match=r"clip\.num_frames=2: too few for model\.name=flash"):
        built(clip=replace(CLIP, num_frames=2))


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"model\.name=causal is none of flash, hf:"):
        built("model.name=causal")


def test_a_network_that_was_removed_is_named_with_a_remedy() -> None:
    told = "no network 'causal'; run discern train again, or use the version that trained it"
    with pytest.raises(UserError, match=told):
        rebuild({"name": "causal", "widths": [8, 8], "dilations": [1]})


def test_files_of_a_backbones_folder_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "deep" / "weights").write_bytes(b"1")
    before = outside_hashes(f"hf:{tmp_path}")
    assert list(before) == ["config.json", "deep/weights"]
    (tmp_path / "deep" / "weights").write_bytes(b"2")
    after = outside_hashes(f"hf:{tmp_path}")
    assert [name for name in before if before[name] != after[name]] == ["deep/weights"]
    assert outside_hashes("flash") == {}


class Brightness(Network, Streaming):
    """What a new network needs: this, and its line in `NETWORKS`."""

    num_features = 1

    def __init__(self) -> None:
        super().__init__()
        self.head = torch.nn.Linear(1, len(CLASSES))

    def embed(self, clips: torch.Tensor) -> torch.Tensor:
        return clips[:, -1].float().mean((1, 2, 3))[:, None] / 255

    def classify(self, features: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(features)
        return logits

    def architecture(self) -> dict[str, Any]:
        return {"name": "brightness"}

    def start(self, num_streams: int) -> State:
        return {}

    def advance(
        self, clips: torch.Tensor, state: State, sounds: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, State]:
        return torch.stack([self(clips[:, [n]]) for n in range(clips.shape[1])], dim=1), state


def test_a_network_of_one_module_and_one_line_is_built_saved_loaded_and_streamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = NetworkFactory(
        build=lambda model, clip: Brightness(), rebuild=lambda values, _: Brightness()
    )
    monkeypatch.setitem(NETWORKS, "brightness", kind)
    network = built("model.name=brightness", clip=FORMAT)
    weights.save(tmp_path, network, clip=FORMAT, temperature=2.0, provenance={})
    detector = Detector.load(tmp_path)
    clips = random_clips(2, FORMAT.num_frames).numpy()
    expected = (network(torch.from_numpy(clips)) / 2).softmax(-1).detach().numpy()
    np.testing.assert_allclose(detector.predict(clips), expected, atol=1e-6)
    stream = detector.stream(2)
    for frames in clips.swapaxes(0, 1):
        answers = stream.push(frames)
    np.testing.assert_allclose(answers, expected, atol=1e-6)
    with pytest.raises(UserError, match=r"is none of flash, .*, brightness and module:factory"):
        built("model.name=resnet")


def test_a_network_that_is_made_of_trained_ones_is_not_chosen_by_name() -> None:
    for name in ("product", "members"):
        with pytest.raises(UserError, match=f"model.name={name} is none of flash"):
            built(f"model.name={name}")
