from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from pipeline.learn.network import Architecture, CausalNet, causal_pool
from pipeline.manifest import CLASSES
from tests.learn.toy import toy_clip

SMALL = Architecture(widths=(8, 8, 16), dilations=(1, 2), dropout=0.0, num_classes=4)


def small_net() -> CausalNet:
    """With an opinion, which a network has only after training."""
    torch.manual_seed(0)
    network = CausalNet(SMALL)
    torch.nn.init.normal_(network.head.weight)
    return network


def random_clips(num_clips: int, num_frames: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    shape = (num_clips, num_frames, 32, 32, 3)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("frame", [0, 3, 6])
def test_an_answer_depends_on_no_later_frame(frame: int) -> None:
    network = small_net().eval()
    clips = random_clips(2, 8)
    changed = clips.clone()
    changed[:, frame + 1 :] = 255 - changed[:, frame + 1 :]
    before, after = network(clips), network(changed)
    torch.testing.assert_close(before[:, : frame + 1], after[:, : frame + 1], rtol=0, atol=1e-6)
    assert not torch.allclose(before[:, -1], after[:, -1], atol=1e-3)


def test_a_longer_clip_gives_the_same_answers_at_its_first_frames() -> None:
    network = small_net().eval()
    clips = random_clips(2, 8)
    torch.testing.assert_close(network(clips[:, :5]), network(clips)[:, :5], rtol=0, atol=1e-5)


def test_a_clip_s_answer_does_not_depend_on_its_batch() -> None:
    network = small_net().eval()
    clips = random_clips(3, 8)
    torch.testing.assert_close(network(clips[1:2])[0], network(clips)[1], rtol=0, atol=1e-5)


def test_the_first_frame_changes_from_nothing() -> None:
    clips = random_clips(1, 2)
    channels = small_net().preprocess(clips)
    assert channels.shape == (1, 2, 32, 32, 6)
    assert (channels[:, 0, ..., 3:] == 0).all()
    expected = (clips[0, 1].float() - clips[0, 0].float()) / (255 * 0.225)
    torch.testing.assert_close(channels[0, 1, ..., 3:], expected, rtol=0, atol=1e-5)


def test_pooling_sees_the_frames_so_far() -> None:
    features = torch.tensor([[[1.0], [5.0], [3.0]]])
    expected = torch.tensor([[[1.0, 1.0], [3.0, 5.0], [3.0, 5.0]]])
    torch.testing.assert_close(causal_pool(features), expected)


def test_an_untrained_network_has_no_opinion() -> None:
    assert (CausalNet(SMALL)(random_clips(2, 4)) == 0).all()


def test_one_batch_can_be_learnt_by_heart() -> None:
    network = small_net().train()
    labels = torch.arange(8) % len(CLASSES)
    clips = torch.stack([torch.from_numpy(toy_clip(n, int(k))) for n, k in enumerate(labels)])
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    for _ in range(40):
        optimizer.zero_grad()
        loss = functional.cross_entropy(network(clips)[:, -1], labels)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1


def test_the_default_network_is_small() -> None:
    from pipeline import app
    from pipeline.config import TrainApp
    from pipeline.learn.module import architecture

    cfg = app.compose("train")
    assert isinstance(cfg, TrainApp)
    parameters = CausalNet(architecture(cfg)).parameters()
    assert sum(p.numel() for p in parameters) < 1_000_000
