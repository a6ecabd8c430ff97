"""What training makes small: four classes, two questions beside them, and gaps between sources."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.config import LossConfig
from pipeline.errors import UserError
from pipeline.manifest import CLASSES

GENERALISE = ("none", "group_dro", "coral")
IS_REAL = tuple(name.startswith("real") for name in CLASSES)
IS_DISCHARGE = tuple(name.endswith("shooting") for name in CLASSES)


class Objective(nn.Module):
    """The loss of a batch; what group DRO learns of the groups is part of the state.

    Args:
        num_sources: of the train split, whose samples have sources from 0 to below it.

    Raises:
        UserError: `loss.generalise` is none of `GENERALISE`.
    """

    group_weights: Tensor

    def __init__(self, cfg: LossConfig, num_sources: int) -> None:
        super().__init__()
        if cfg.generalise not in GENERALISE:
            raise UserError(
                f"conf/train.yaml: loss.generalise: '{cfg.generalise}' is none of "
                f"{', '.join(GENERALISE)}"
            )
        self.cfg = cfg
        if cfg.generalise == "group_dro":
            num_groups = num_sources * len(CLASSES)
            self.register_buffer("group_weights", torch.full((num_groups,), 1 / num_groups))

    def forward(self, logits: Tensor, features: Tensor, labels: Tensor, sources: Tensor) -> Tensor:
        """The loss, a scalar, in float32 whatever the precision of its arguments.

        Args:
            logits: floating point (B, 4), in the order of `CLASSES`.
            features: floating point (B, D), what the logits were made of.
            labels: int64 (B,) positions in `CLASSES`.
            sources: int64 (B,).
        """
        with torch.autocast(logits.device.type, enabled=False):
            losses = joint_losses(logits.float(), labels, self.cfg)
            if self.cfg.generalise == "group_dro":
                return self._hardest(losses, sources * len(CLASSES) + labels)
            loss = losses.mean()
            if self.cfg.generalise == "coral":
                loss = loss + self.cfg.generalise_weight * coral(features.float(), labels, sources)
            return loss

    def _hardest(self, losses: Tensor, groups: Tensor) -> Tensor:
        """Group DRO (Sagawa et al., 2020): the mean over groups, the hard ones weighing most.

        A group is one class of one source. The weights of the groups in a batch are made to sum
        to 1, because a batch never holds all groups and the size of a step must not depend on
        which.
        """
        is_in = functional.one_hot(groups, len(self.group_weights)).float()
        counts = is_in.sum(0)
        means = (is_in * losses[:, None]).sum(0) / counts.clamp(min=1)
        if self.training:
            grown = self.group_weights * (self.cfg.generalise_weight * means.detach()).exp()
            self.group_weights.copy_(grown / grown.sum())
        weights = self.group_weights * (counts > 0)
        return (weights / weights.sum() * means).sum()


def joint_losses(logits: Tensor, labels: Tensor, cfg: LossConfig) -> Tensor:
    """Smoothed cross entropy of each sample, (B,): of the class, the origin and the discharge.

    Origin and discharge are marginals of the four classes, so that one answer serves all three.
    """
    losses = functional.cross_entropy(
        logits, labels, label_smoothing=cfg.label_smoothing, reduction="none"
    )
    for weight, is_so in ((cfg.origin, IS_REAL), (cfg.discharge, IS_DISCHARGE)):
        if weight:
            truth = torch.tensor(is_so, device=logits.device)
            marginals = torch.stack(
                [logits[:, ~truth].logsumexp(1), logits[:, truth].logsumexp(1)], dim=1
            )
            losses = losses + weight * functional.cross_entropy(
                marginals,
                truth[labels].long(),
                label_smoothing=cfg.label_smoothing,
                reduction="none",
            )
    return losses


def coral(features: Tensor, labels: Tensor, sources: Tensor) -> Tensor:
    """How far apart the features of the sources of one origin lie; 0 without two such sources.

    CORAL (Sun & Saenko, 2016) with the means beside the covariances, as in DomainBed (Gulrajani
    & Lopez-Paz, 2021). Sources of different origins are never drawn together, since that is what
    is to be told apart, and a source with one sample in the batch has no covariance.
    """
    moments = defaultdict(list)
    real = torch.tensor(IS_REAL, device=labels.device)[labels]
    for is_real in (False, True):
        for source in sources[real == is_real].unique().tolist():
            group = features[(sources == source) & (real == is_real)]
            if len(group) > 1:
                moments[is_real].append((group.mean(0), group.T.cov()))
    gaps = [
        (mean - other_mean).square().mean() + (spread - other_spread).square().mean()
        for of_origin in moments.values()
        for (mean, spread), (other_mean, other_spread) in combinations(of_origin, 2)
    ]
    return torch.stack(gaps).mean() if gaps else features.new_zeros(())
