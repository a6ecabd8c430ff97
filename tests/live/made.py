"""Detectors and files to watch."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.commands import watch
from pipeline.errors import UserError
from pipeline.footage import foreign
from pipeline.learn import weights
from pipeline.learn.memory import Memory
from pipeline.learn.model_card import CARD
from pipeline.store.manifest import REAL_SHOOTING
from tests.learn.networks.nets import small_flash
from tests.learn.toy import FORMAT
from tests.made import scene, write_with_sound

LIMITS = foreign.DecodingLimits(36_000_000, 7200.0)
MEMORY = Memory(answer_s=FORMAT.num_frames / FORMAT.fps, origin_s=2.0, lasting=0.5, discharge_s=0.2)


def write_model(folder: Path, memory: Memory | None = MEMORY) -> Path:
    """Weights of a tiny network that streams, with a memory."""
    folder.mkdir(parents=True, exist_ok=True)
    weights.save(folder, small_flash(), clip=FORMAT, temperature=2.0, provenance={})
    if memory is not None:
        card = json.loads((folder / CARD).read_text())
        (folder / CARD).write_text(json.dumps({**card, "memory": memory.architecture()}))
    return folder


def write_model_of_flashes(folder: Path, *, surety: float = 8.0) -> Path:
    """Weights of a tiny network that scores a white picture higher than any other."""
    network, seen = small_flash().eval(), list[torch.Tensor]()
    shape = (1, FORMAT.num_frames, FORMAT.size, FORMAT.size, 3)
    hook = network.head.register_forward_hook(lambda _, given, __: seen.append(given[0]))
    with torch.no_grad():
        for level in (50, 250):
            network(torch.full(shape, level, dtype=torch.uint8))
        hook.remove()
        quiet, white = (one.reshape(-1, network.head.in_features)[-1] for one in seen)
        way = (white - quiet) / (white - quiet).norm() ** 2
        network.head.weight.zero_()
        network.head.bias.zero_()
        network.head.weight[REAL_SHOOTING] = surety * way
        network.head.bias[REAL_SHOOTING] = -surety * way @ (white + quiet) / 2
    folder.mkdir(parents=True)
    weights.save(folder, network, clip=FORMAT, temperature=1.0, memory=MEMORY, provenance={})
    return folder


def write_footage(path: Path, *lengths: int, seed: int = 0, video_codec: str = "libx264") -> Path:
    """A file of scenes of some frames at 30 a second each, with noise as its sound."""
    path.write_bytes(_footage(path.suffix, lengths, seed, video_codec))
    return path


@cache
def _footage(suffix: str, lengths: tuple[int, ...], seed: int, video_codec: str) -> bytes:
    """What half a minute of takes four seconds of processor time, and several tests write."""
    frames = np.concatenate([scene(seed + n, length) for n, length in enumerate(lengths)])
    rng = np.random.default_rng(seed)
    sound = rng.normal(0, 0.1, (1, 48_000 * len(frames) // 30))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"made{suffix}")
        write_with_sound(path, frames, sound, codec="aac", video_codec=video_codec)
        return path.read_bytes()


def watched(
    capsys: pytest.CaptureFixture[str],
    compose: Callable[..., Any],
    what: Path | str,
    *overrides: str,
    fails: str | None = None,
) -> list[dict[str, Any]]:
    """The events of `discern watch`, which `fails` with such a sentence where it is to."""
    capsys.readouterr()
    with pytest.raises(UserError, match=fails) if fails else nullcontext():
        watch.run(str(what), cfg=compose("watch", *overrides))
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def kinds(events: Iterable[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


def without_names(events: Iterable[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """What events tell besides names that are drawn, and how late they come."""
    passing = ("alert", "lag_s")
    return [
        (one["type"], {k: v for k, v in one["data"].items() if k not in passing}) for one in events
    ]
