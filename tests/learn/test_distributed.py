from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import distributed, multiprocessing, nn

from pipeline.config import LossConfig
from pipeline.learn.distributed import SyncedBatchNorms, averaged, gathered_objects, own_share
from pipeline.learn.losses import joint_loss
from tests.learn.networks.nets import small_flash

NUM_PROCESSES = 2
NUM_PICTURES = 12


def test_one_process_has_its_own_mean_and_objects() -> None:
    tensor = torch.ones(2, 3)
    assert torch.equal(averaged(tensor), tensor)
    assert gathered_objects("a") == ["a"]
    assert own_share([3.0]) == 3.0


def test_what_more_processes_gave_is_shared_evenly() -> None:
    assert own_share([1.0, 4.0]) == 2.5


def test_batch_norms_become_what_they_were() -> None:
    network = small_flash()
    kinds = [type(module) for module in network.modules()]
    synced = SyncedBatchNorms()
    assert [type(module) for module in synced.apply(network).modules()] != kinds
    assert [type(module) for module in synced.revert(network).modules()] == kinds


def two_norms() -> tuple[nn.Sequential, nn.Linear]:
    """Layers to features, with a norm over pictures and one over vectors, and a head; float64."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.Tanh(), nn.Flatten(), nn.Linear(54, 8)]
    return nn.Sequential(*layers, nn.BatchNorm1d(8)).double(), nn.Linear(8, 4).double()


def learn(rank: int, num_processes: int) -> dict[str, torch.Tensor]:
    """Gradients and buffers after a backward pass over every `num_processes`-th picture."""
    embed, classify = two_norms()
    network = nn.ModuleList([embed, classify]).train()
    if num_processes > 1:
        SyncedBatchNorms().apply(network)
    some = slice(rank, None, num_processes)
    pictures = torch.randn(NUM_PICTURES, 3, 5, 5, dtype=torch.float64)[some]
    labels = (torch.arange(NUM_PICTURES) % 4)[some]
    logits = classify(embed(pictures))
    loss = joint_loss(logits, labels, LossConfig(0.1, 0.5, 0.5))
    loss.backward()
    found = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    assert len(found) == len(list(network.parameters()))
    if num_processes > 1:
        for gradient in found.values():
            distributed.all_reduce(gradient)
            gradient /= num_processes
    return {**found, **dict(network.named_buffers()), "loss": averaged(loss)}


def process(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    store = f"file://{folder / 'store'}"
    distributed.init_process_group("gloo", store, rank=rank, world_size=NUM_PROCESSES)
    torch.save(learn(rank, NUM_PROCESSES), folder / f"{rank}.pt")
    assert gathered_objects("ab"[: rank + 1]) == ["a", "ab"]
    assert own_share([5.0, 7.0]) == (5.0, 7.0)[rank]
    distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_learn_from_a_batch_what_one_would(tmp_path: Path) -> None:
    multiprocessing.spawn(process, (tmp_path,), nprocs=NUM_PROCESSES)
    expected = learn(0, 1)
    for rank in range(NUM_PROCESSES):
        found = torch.load(tmp_path / f"{rank}.pt")
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-7)
