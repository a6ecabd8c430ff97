"""A network that keeps a GPU busy, and what the GPU could do."""

from __future__ import annotations

import json
import time
from pathlib import Path

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from pipeline.config import ClipFormat
from pipeline.learn.networks.base import Network
from pipeline.store.manifest import CLASSES


def write_videomae(folder: Path, clip: ClipFormat) -> Path:
    """A VideoMAE-B (Tong et al., 2022; 16 x 224 x 224) of random weights, as transformers keeps it.

    Its preprocessing scales the clips up to 224.
    """
    # An extra, and slow to import.
    from transformers import VideoMAEConfig, VideoMAEForVideoClassification

    torch.manual_seed(0)
    config = VideoMAEConfig(num_frames=clip.num_frames)
    config.num_labels = len(CLASSES)
    VideoMAEForVideoClassification(config).save_pretrained(folder)
    side = {"height": config.image_size, "width": config.image_size}
    preprocessing = {
        "image_processor_type": "VideoMAEImageProcessor",
        "do_resize": True,
        "size": {"shortest_edge": config.image_size},
        "resample": 2,
        "do_center_crop": True,
        "crop_size": side,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessing, indent=2) + "\n")
    return folder


def flops_a_sample(network: Network, clip: ClipFormat, device: torch.device) -> float:
    """Floating-point operations of products and convolutions to learn from one clip."""
    clips = torch.zeros(2, clip.num_frames, clip.size, clip.size, 3, dtype=torch.uint8)
    network, clips = network.to(device).train(), clips.to(device)
    # The counter knows the products that attention is made of, but not every fused kernel of it.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        network(clips).sum().backward()
    return counter.get_total_flops() / len(clips)


def matrix_rate(device: torch.device, size: int = 8192) -> float:
    """Floating-point operations a second of products of square bf16 matrices, the best of ten."""
    one, other = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    product = one @ other
    best_s = float("inf")
    for _ in range(10):
        torch.cuda.synchronize()
        start_s = time.perf_counter()
        for _ in range(10):
            torch.matmul(one, other, out=product)
        torch.cuda.synchronize()
        best_s = min(best_s, (time.perf_counter() - start_s) / 10)
    return 2 * size**3 / best_s
