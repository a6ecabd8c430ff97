from __future__ import annotations

from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor

from pipeline.learn.memory import Memory
from pipeline.learn.weights import WEIGHTS, MisfitError, fill, save
from tests.learn.networks.nets import small_flash
from tests.learn.toy import FORMAT


def test_a_network_is_filled_with_what_another_holds() -> None:
    network, other = small_flash(), small_flash()
    with torch.no_grad():
        for value in other.parameters():
            value.add_(1)
    fill(network, safetensors.torch.save(other.state_dict()), None)
    for name, value in network.state_dict().items():
        assert torch.equal(value, other.state_dict()[name])


def test_weights_that_do_not_fit_name_the_file_and_the_first_that_does_not() -> None:
    state: dict[str, Tensor] = dict(small_flash().state_dict())
    first = next(iter(state))
    missing = {name: value for name, value in state.items() if name != first}
    shape = tuple(state[first].shape)
    for given, how in (
        (missing, f"it holds no {first}"),
        ({**state, "a.weight": torch.zeros(1)}, "the architecture has no a.weight"),
        ({**state, first: torch.zeros(3)}, f"{first} is of shape (3,) instead of {shape}"),
    ):
        with pytest.raises(MisfitError) as raised:
            fill(small_flash(), safetensors.torch.save(given), None)
        assert raised.value.file == WEIGHTS
        assert str(raised.value) == how


def test_detectors_of_the_same_weights_that_answer_otherwise_have_another_hash(
    tmp_path: Path,
) -> None:
    network = small_flash()

    def saved(temperature: float = 1.0, memory: Memory | None = None) -> bytes:
        save(
            tmp_path,
            network,
            clip=FORMAT,
            temperature=temperature,
            memory=memory,
            provenance={},
        )
        return (tmp_path / WEIGHTS).read_bytes()

    first = saved()
    assert saved() == first
    memory = Memory(answer_s=1.0, origin_s=30.0, lasting=0.5, discharge_s=0.3)
    others = [saved(temperature=2.0), saved(memory=memory)]
    assert len({first, *others}) == 3
