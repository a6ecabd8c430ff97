"""Lets several processes compute what one would: sums that gradients pass through."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from pytorch_lightning.plugins import LayerSync
from torch import Tensor, distributed, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm


def is_distributed() -> bool:
    """Return whether this process trains together with others."""
    return distributed.is_available() and distributed.is_initialized()


def averaged(tensor: Tensor) -> Tensor:
    """The mean of the tensors of all processes, of any shape; no gradient passes through it."""
    if not is_distributed():
        return tensor.detach()
    total = tensor.detach().clone()
    distributed.all_reduce(total)
    return total / distributed.get_world_size()


def gathered_objects(value: Any) -> list[Any]:
    """Return what every process gave, in the order of their ranks; of any size, on the CPU."""
    if not is_distributed():
        return [value]
    values: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(values, value)
    return values


def own_share(values: Sequence[float]) -> float:
    """The value that this process gave to `gathered_objects`, or the mean of the values.

    It is the mean where another number of processes gave them.
    """
    if not is_distributed():
        rank, world = 0, 1
    else:
        rank, world = distributed.get_rank(), distributed.get_world_size()
    return values[rank] if len(values) == world else sum(values) / len(values)


def highest(value: int, device: torch.device) -> int:
    """The highest of the values that the processes gave."""
    if not is_distributed():
        return value
    most = torch.tensor(value, device=device)
    distributed.all_reduce(most, distributed.ReduceOp.MAX)
    return int(most)


class SyncedBatchNorms(LayerSync):
    """Normalise by the whole batch where a device is a process on a CPU.

    torch's own SyncBatchNorm does so on GPUs and refuses a CPU.
    """

    def __init__(self) -> None:
        self._were: list[tuple[_BatchNorm, type[_BatchNorm]]] = []

    def apply(self, model: nn.Module) -> nn.Module:
        """Exchange the class of every batch norm of `model`, and nothing else of it."""
        self._were = [(m, type(m)) for m in model.modules() if isinstance(m, _BatchNorm)]
        for module, _ in self._were:
            module.__class__ = _SyncedBatchNorm
        return model

    def revert(self, model: nn.Module) -> nn.Module:
        """Give the modules the classes again that they had before `apply`."""
        for module, kind in self._were:
            module.__class__ = kind
        return model


class _SyncedBatchNorm(_BatchNorm):
    def forward(self, values: Tensor) -> Tensor:
        """(B, C, …) to the same, by the statistics of all processes' values in training."""
        if not self.training:
            return functional.batch_norm(
                values, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        axes = [0, *range(2, values.ndim)]
        shape = [1, -1, *[1] * (values.ndim - 2)]
        count = values.numel() // values.shape[1] * distributed.get_world_size()
        mean = _total(values.sum(axes)) / count
        apart = values - mean.view(shape)
        spread = _total(apart.square().sum(axes)) / count
        self._remember(mean.detach(), spread.detach() * (count / (count - 1)))
        normal = apart * (spread + self.eps).rsqrt().view(shape)
        return normal * self.weight.view(shape) + self.bias.view(shape)

    @torch.no_grad()
    def _remember(self, mean: Tensor, spread: Tensor) -> None:
        assert self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None and self.momentum is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(spread, self.momentum)


class _Total(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        tensor = tensor.clone()
        distributed.all_reduce(tensor)
        return tensor

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _Total.forward(ctx, *gradients)


def _total(tensor: Tensor) -> Tensor:
    """The sum over all processes."""
    total: Tensor = _Total.apply(tensor)
    return total
