from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from pipeline import app
from pipeline.commands import export, onnx_forms
from pipeline.config import ClipFormat
from pipeline.detect import detector as answering
from pipeline.detect.detector import Detector
from pipeline.errors import UserError
from pipeline.learn import weights
from pipeline.learn.encoders import build_sound
from pipeline.learn.memory import Memory
from pipeline.learn.networks.base import Network
from pipeline.learn.networks.hf import HfNet
from pipeline.learn.networks.members import Member, members_net
from pipeline.learn.networks.own import OwnNet
from pipeline.learn.networks.product import product_of
from pipeline.learn.pixels import Pixels
from pipeline.store.manifest import CLASSES
from pipeline.store.output_files import EXPORT
from tests.learn.encoders.tiny import checkpoint_origin, write_ear
from tests.learn.networks.nets import random_clips, small_flash
from tests.learn.networks.sounds import hearing, random_sounds
from tests.learn.toy import FORMAT, write_toy


def save(network: Network, folder: Path, memory: Memory | None = None) -> None:
    folder.mkdir(parents=True)
    weights.save(
        folder,
        network,
        clip=FORMAT,
        temperature=1.5,
        memory=memory,
        provenance={},
    )


def write(network: Network, folder: Path, *overrides: str) -> Path:
    """Export the network within `folder`."""
    if not (folder / "models").exists():
        save(network, folder / "models")
    paths = [f"paths.{name}={folder / name}" for name in ("models", "packed", "reports", "work")]
    cfg: Any = app.compose("export", *paths, *overrides)
    export.run(cfg=cfg)
    return folder / "work" / "onnx" / "models"


MEAN = f"{__name__}:mean"


def write_mean(folder: Path, *overrides: str) -> Path:
    """Export a network of whole clips that is traced in no time."""
    return write(OwnNet(MEAN, FORMAT), folder, f"factory={MEAN}", *overrides)


def session(path: Path) -> Any:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    write_toy(folder / "packed")
    return folder


@pytest.fixture(scope="module")
def told(project: Path) -> list[str]:
    """What the export of a small network that follows streams, beside packed clips, prints."""
    with contextlib.redirect_stdout(io.StringIO()) as output:
        write(small_flash(), project)
    return output.getvalue().splitlines()


@pytest.fixture(scope="module")
def exported(project: Path, told: list[str]) -> Path:
    """The folder that it writes."""
    return project / "work" / "onnx" / "models"


class Spread(nn.Module):
    """A network with constants for the exporter to fold, and something of our own to say."""

    def forward(self, clips: Tensor) -> Tensor:
        logging.getLogger("pipeline.own").warning("ours")
        pixels = clips.float().flatten(1)[:, : torch.arange(4).sum()]
        return (pixels - pixels.mean(1, keepdim=True)).softmax(1)


def test_the_exporter_logs_nothing_of_its_own_and_what_is_ours_is_heard(
    caplog: pytest.LogCaptureFixture,
) -> None:
    levels = {name: logging.getLogger(name).level for name in onnx_forms._LOGGED_FROM}
    with caplog.at_level(logging.INFO):
        onnx_forms._export(
            Spread(),
            (torch.zeros((2, 8, 4), dtype=torch.uint8),),
            dynamic=({0: torch.export.Dim("clips")},),
            inputs=["clips"],
            outputs=["probabilities"],
        )
    assert {record.name for record in caplog.records} == {"pipeline.own"}
    assert {name: logging.getLogger(name).level for name in levels} == levels


@pytest.mark.slow
def test_clips_get_the_answers_of_torch_however_many_they_are(
    exported: Path, project: Path
) -> None:
    model, detector = session(exported / "clip.onnx"), Detector.load(project / "models")
    for number in (1, 2, 5):
        clips = random_clips(number, FORMAT.num_frames).numpy()
        (answers,) = model.run(["probabilities"], {"clips": clips})
        assert answers.shape == (number, len(CLASSES))
        assert answers.std() > 0.05
        np.testing.assert_allclose(answers, detector.predict(clips), atol=1e-6)


@pytest.mark.slow
def test_streams_get_the_answers_of_torch_and_those_of_a_whole_clip(
    exported: Path, project: Path
) -> None:
    model, detector = session(exported / "stream.onnx"), Detector.load(project / "models")
    clips = random_clips(3, 2 * FORMAT.num_frames).numpy()
    state = onnx_forms.first_state(model, len(clips))
    stream = detector.stream(len(clips))
    answers = []
    for frames in clips.swapaxes(0, 1):
        found, *after = model.run(None, {"frames": frames, **state})
        state = dict(zip(state, after, strict=True))
        np.testing.assert_allclose(found, stream.push(frames), atol=1e-6)
        answers.append(found)
    first = clips[:, : FORMAT.num_frames]
    np.testing.assert_allclose(answers[FORMAT.num_frames - 1], detector.predict(first), atol=1e-6)
    assert np.abs(answers[-1] - answers[0]).max() > 0.01


@pytest.mark.slow
def test_the_record_says_what_the_graphs_take_and_hold(exported: Path, project: Path) -> None:
    record = json.loads((exported / "export.json").read_text())
    detector = Detector.load(project / "models")
    assert record["classes"] == list(CLASSES)
    assert record["temperature"] == 1.5
    assert record["weights_sha256"] == detector.sha256
    assert record["preprocessing"].items() >= detector.card.preprocessing.items()
    assert record["forms"]["clip"]["inputs"] == {
        "clips": {"type": "uint8", "shape": ["clips", 8, 32, 32, 3]}
    }
    stream = record["forms"]["stream"]
    assert stream["inputs"]["state_begun"] == {"type": "float32", "shape": ["streams"]}
    state = {name.removeprefix("state_"): value for name, value in stream["inputs"].items()}
    after = {name.removeprefix("next_"): value for name, value in stream["outputs"].items()}
    del state["frames"], after["probabilities"]
    assert state == after
    for form in record["forms"].values():
        data = (exported / form["file"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == form["sha256"]


@pytest.mark.slow
def test_a_graph_says_itself_what_it_is(exported: Path, project: Path) -> None:
    for form in ("clip", "stream"):
        model = onnx.load(exported / f"{form}.onnx")
        onnx.checker.check_model(model, full_check=True)
        told = {entry.key: entry.value for entry in model.metadata_props}
        assert told["form"] == form
        assert json.loads(told["classes"]) == list(CLASSES)
        assert json.loads(told["preprocessing"])["fps"] == FORMAT.fps
        assert told["weights_sha256"] == Detector.load(project / "models").sha256
        assert [entry.version for entry in model.opset_import] == [onnx_forms.OPSET]


@pytest.mark.slow
def test_nothing_in_a_graph_tells_where_it_was_made(exported: Path, project: Path) -> None:
    for file in exported.iterdir():
        data = file.read_bytes()
        for place in (str(app.PROJECT), str(project), ".py"):
            assert place.encode() not in data, (file, place)


@pytest.mark.slow
def test_random_and_packed_clips_were_compared(told: list[str], exported: Path) -> None:
    assert [line.split(":")[0] for line in told[:4]] == ["clip", "clip", "stream", "stream"]
    assert [line.partition(" on ")[2] for line in told[:2]] == ["4 random clips", "4 packed clips"]
    assert told[4:] == [str(exported / n) for n in ("clip.onnx", "stream.onnx", "export.json")]


@pytest.mark.slow
def test_exporting_again_elsewhere_gives_the_same_bytes(exported: Path, tmp_path: Path) -> None:
    again = write(small_flash(), tmp_path)
    assert {file.name: file.read_bytes() for file in again.iterdir()} == {
        file.name: file.read_bytes() for file in exported.iterdir()
    }


@pytest.fixture(scope="module", params=[1, 2])
def with_encoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose network has a frozen encoder, or two, beside it, exported."""
    folder = tmp_path_factory.mktemp("origin")
    origin = checkpoint_origin(folder / "dino", num_encoders=request.param)
    network = product_of(small_flash(), origin).eval()
    write(network, folder)
    return folder


@pytest.mark.slow
def test_clips_get_both_answers_of_torch_however_many_they_are(with_encoder: Path) -> None:
    detector = Detector.load(with_encoder / "models")
    model = session(with_encoder / "work" / "onnx" / "models" / "clip.onnx")
    for number in (1, 3):
        clips = random_clips(number, FORMAT.num_frames).numpy()
        (answers,) = model.run(["probabilities"], {"clips": clips})
        np.testing.assert_allclose(answers, detector.predict(clips), atol=1e-5)
    assert answers.std(0).max() > 1e-3


@pytest.mark.slow
def test_a_stream_s_memory_is_part_of_its_graph(tmp_path: Path) -> None:
    memory = Memory(answer_s=0.5, origin_s=2.0, lasting=0.5, discharge_s=0.2)
    save(small_flash(), tmp_path / "models", memory)
    with contextlib.redirect_stdout(io.StringIO()):
        folder = write(small_flash(), tmp_path)
    detector, model = Detector.load(tmp_path / "models"), session(folder / "stream.onnx")
    clips = random_clips(3, 5 * FORMAT.num_frames).numpy()
    state, stream = onnx_forms.first_state(model, 3), detector.stream(3)
    names = ("origin", "origin_weight", "discharge", "discharge_weight")
    assert {f"state_memory_{name}" for name in names} < set(state)
    for frames in clips.swapaxes(0, 1):
        answers, *after = model.run(None, {"frames": frames, **state})
        state = dict(zip(state, after, strict=True))
        np.testing.assert_allclose(answers, stream.push(frames), atol=1e-5)
    assert np.abs(answers - detector.predict(clips[:, -FORMAT.num_frames :])).max() > 0.01
    record = json.loads((folder / "export.json").read_text())
    assert record["memory"] == memory.architecture()


@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 3])
def test_streams_with_an_encoder_get_the_answers_of_torch(with_encoder: Path, number: int) -> None:
    detector = Detector.load(with_encoder / "models")
    model = session(with_encoder / "work" / "onnx" / "models" / "stream.onnx")
    clips = random_clips(number, 20).numpy()
    state, stream = onnx_forms.first_state(model, number), detector.stream(number)
    answers = []
    for frames in clips.swapaxes(0, 1):
        found, *after = model.run(None, {"frames": frames, **state})
        state = dict(zip(state, after, strict=True))
        np.testing.assert_allclose(found, stream.push(frames), atol=1e-5)
        answers.append(found)
    assert np.std(answers, axis=0).max() > 0.01


@pytest.mark.slow
def test_streams_that_join_later_are_seen_at_their_own_times(with_encoder: Path) -> None:
    detector = Detector.load(with_encoder / "models")
    model = session(with_encoder / "work" / "onnx" / "models" / "stream.onnx")
    clips = random_clips(2, 12).numpy()
    state = onnx_forms.first_state(model, 1)
    for frames in clips[:1, :4].swapaxes(0, 1):
        _, *after = model.run(None, {"frames": frames, **state})
        state = dict(zip(state, after, strict=True))
    fresh = onnx_forms.first_state(model, 1)
    state = {name: np.concatenate([state[name], fresh[name]]) for name in state}
    for number in range(4, 12):
        frames = np.stack([clips[0, number], clips[1, number - 4]])
        answers, *after = model.run(None, {"frames": frames, **state})
        state = dict(zip(state, after, strict=True))
    np.testing.assert_allclose(answers[1:], detector.predict(clips[1:, :8]), atol=1e-5)
    stream = detector.stream(1)
    for frames in clips[:1].swapaxes(0, 1):
        expected = stream.push(frames)
    np.testing.assert_allclose(answers[:1], expected, atol=1e-5)


@pytest.mark.slow
def test_graphs_of_a_network_that_hears_take_sounds_and_answer_as_torch_does(
    tmp_path: Path,
) -> None:
    network = product_of(small_flash(), checkpoint_origin(tmp_path / "dino"), hearing()).eval()
    with contextlib.redirect_stdout(io.StringIO()) as output:
        write(network, tmp_path)
    assert output.getvalue().count("from torch at most") >= 2
    detector, folder = Detector.load(tmp_path / "models"), tmp_path / "work" / "onnx" / "models"
    clips = random_clips(2, FORMAT.num_frames).numpy()
    sounds = random_sounds(2, FORMAT.num_frames).numpy()
    expected = detector.predict(clips, sounds)
    assert np.abs(expected - detector.predict(clips)).max() > 1e-3
    model = session(folder / "clip.onnx")
    (answers,) = model.run(["probabilities"], {"clips": clips, "sounds": sounds})
    np.testing.assert_allclose(answers, expected, atol=1e-5)
    model = session(folder / "stream.onnx")
    state = onnx_forms.first_state(model, 2)
    heard = np.split(sounds, FORMAT.num_frames, axis=1)
    for frames, own in zip(clips.swapaxes(0, 1), heard, strict=True):
        answers, *after = model.run(None, {"frames": frames, "sounds": own, **state})
        state = dict(zip(state, after, strict=True))
    np.testing.assert_allclose(answers, expected, atol=1e-5)


@pytest.mark.slow
def test_an_ear_of_transformers_is_told_to_fit_no_graph(tmp_path: Path) -> None:
    ear = build_sound(write_ear(tmp_path / "ear"))
    network = product_of(
        small_flash(), checkpoint_origin(tmp_path / "dino"), hearing(encoder=ear)
    ).eval()
    with pytest.raises(UserError, match=r"cannot become ONNX: .* ASTFeatureExtractor .* yamnet"):
        write(network, tmp_path)


@pytest.mark.slow
def test_frames_between_views_pass_by_the_encoder(with_encoder: Path) -> None:
    graphs = {
        form: onnx.load(with_encoder / "work" / "onnx" / "models" / f"{form}.onnx").graph
        for form in ("clip", "stream")
    }
    (choice,) = [node for node in graphs["stream"].node if node.op_type == "If"]
    branches = [[node.op_type for node in branch.g.node] for branch in choice.attribute]
    assert sorted(map(len, branches))[0] < 10 < sorted(map(len, branches))[1]
    # The layer norms of the encoder, none of which is outside.
    assert sorted("LayerNormalization" in branch for branch in branches) == [False, True]
    assert not [node for node in graphs["clip"].node if node.op_type == "If"]


@pytest.mark.slow
def test_nothing_inside_a_branch_tells_where_it_was_made(with_encoder: Path) -> None:
    for file in (with_encoder / "work" / "onnx" / "models").iterdir():
        data = file.read_bytes()
        for place in (str(app.PROJECT), str(with_encoder), ".py"):
            assert place.encode() not in data, (file, place)


def test_each_model_is_exported_to_a_folder_of_its_own(tmp_path: Path) -> None:
    first = write_mean(tmp_path)
    before = {file.name: file.read_bytes() for file in first.iterdir()}
    save(OwnNet(MEAN, FORMAT), tmp_path / "adapted" / "mine")
    write_mean(tmp_path, f"paths.models={tmp_path / 'adapted' / 'mine'}")
    assert (tmp_path / "work" / "onnx" / "mine" / "clip.onnx").is_file()
    assert {file.name: file.read_bytes() for file in first.iterdir()} == before


def test_the_operating_point_goes_along_with_the_weights_that_it_was_chosen_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save(OwnNet(MEAN, FORMAT), tmp_path / "models")
    digest = Detector.load(tmp_path / "models", trusted_factory=MEAN).sha256
    (tmp_path / "reports").mkdir()
    for sha256, expected in ((digest, 0.7), ("0" * 64, None)):
        point = {"threshold": 0.7, "smoothing": "none", "refractory_s": 60.0}
        point |= {"weights_sha256": sha256}
        (tmp_path / "reports" / "operating_point.json").write_text(json.dumps(point))
        folder = write_mean(tmp_path)
        told = json.loads((folder / EXPORT).read_text())["operating_point"]
        assert (told and told["threshold"]) == expected
        assert ("no threshold goes along: " in caplog.text) == (expected is None)
    assert "python evaluate.py, without a collection and with these weights" in caplog.text


def test_a_network_of_whole_clips_has_no_stream(tmp_path: Path) -> None:
    folder = write_mean(tmp_path)
    assert sorted(file.name for file in folder.iterdir()) == ["clip.onnx", "export.json"]
    clips = random_clips(3, FORMAT.num_frames).numpy()
    (answers,) = session(folder / "clip.onnx").run(None, {"clips": clips})
    expected = Detector.load(tmp_path / "models", trusted_factory=MEAN).predict(clips)
    np.testing.assert_allclose(answers, expected, atol=1e-6)


@pytest.mark.slow
def test_a_backbone_of_transformers_exports_with_its_own_preprocessing(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.VideoMAEConfig(
        image_size=48,
        num_frames=4,
        tubelet_size=2,
        patch_size=16,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        initializer_range=0.3,
    )
    pixels = Pixels(4, 48, True, 1 / 255, 0.0, (0.5, 0.4, 0.3), (0.2, 0.2, 0.4))
    torch.manual_seed(0)
    backbone = transformers.AutoModelForVideoClassification.from_config(config)
    network = HfNet(
        backbone,
        model_type="videomae",
        config=config.to_dict(),
        pixels=pixels,
        dropout=0.0,
        lora_rank=0,
    )
    nn.init.normal_(network.head.weight)
    folder = write(network.eval(), tmp_path)
    clips = random_clips(3, FORMAT.num_frames).numpy()
    (answers,) = session(folder / "clip.onnx").run(None, {"clips": clips})
    expected = Detector.load(tmp_path / "models").predict(clips)
    # Else the graph could do anything to the pixels.
    assert expected.std(0).max() > 0.01
    np.testing.assert_allclose(answers, expected, atol=1e-5)


class Mean(nn.Module):
    """Logits of the mean colour."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, len(CLASSES))

    def forward(self, clips: Tensor) -> Tensor:
        return self.head(clips.float().mean((1, 2, 3)) / 255)


class FixedMean(Mean):
    def forward(self, clips: Tensor) -> Tensor:
        return super().forward(clips).reshape(len(clips), -1)


class LoudMean(Mean):
    def forward(self, clips: Tensor) -> Tensor:
        return super().forward(clips) * (2 if clips.float().mean() > 9 else 1)


def mean(clip: ClipFormat) -> nn.Module:
    torch.manual_seed(0)
    return Mean()


def fixed(clip: ClipFormat) -> nn.Module:
    return FixedMean()


def loud(clip: ClipFormat) -> nn.Module:
    return LoudMean()


def test_a_network_of_own_code_exports_only_if_that_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="whose code runs only when you name it"):
        write(OwnNet(MEAN, FORMAT), tmp_path)
    assert (write_mean(tmp_path) / "clip.onnx").is_file()


@pytest.mark.parametrize(
    ("factory", "told"),
    [("fixed", "fixed number of clips only"), ("loud", "cannot become ONNX: ")],
)
def test_a_network_that_cannot_be_exported_is_a_sentence(
    tmp_path: Path, factory: str, told: str
) -> None:
    name = f"{__name__}:{factory}"
    with pytest.raises(UserError, match=told) as caught:
        write(OwnNet(name, FORMAT), tmp_path, f"factory={name}")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "work" / "onnx" / "models").exists()


@pytest.mark.parametrize("form", ["clip", "stream"])
@pytest.mark.slow
def test_answers_that_differ_are_an_error(
    exported: Path, project: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    data, detector = (exported / f"{form}.onnx").read_bytes(), Detector.load(project / "models")
    frames, sounds = random_clips(2, FORMAT.num_frames), random_sounds(2, FORMAT.num_frames)
    clips = export.ComparisonClips(frames.numpy(), sounds.numpy())
    export.check(data, form, detector, clips, "clips")
    honest = answering._probabilities
    for wrong, named in ((2e-4, r"2\.0e-04"), (np.nan, "nan")):
        monkeypatch.setattr(
            answering, "_probabilities", lambda logits, wrong=wrong: honest(logits) + wrong
        )
        with pytest.raises(UserError, match=rf"\({form}\) differs from torch by {named} on clips"):
            export.check(data, form, detector, clips, "clips")


def test_weights_that_no_onnx_file_holds_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_forms, "MAX_BYTES", 1000)
    with pytest.raises(UserError, match="do not fit into an ONNX file"):
        write(small_flash(), tmp_path)


def test_a_folder_of_something_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match=r"mine: .* no output of export .*another out=…"):
        write_mean(tmp_path, f"out={tmp_path / 'mine'}")
    assert (tmp_path / "mine" / "thesis.tex").is_file()


def test_packages_that_are_missing_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "find_spec", lambda name: None if name == "onnx" else name)
    with pytest.raises(UserError, match=r"^onnx not installed; pip install .*\[export\]"):
        write_mean(tmp_path)


def test_weights_that_are_missing_are_named(tmp_path: Path) -> None:
    cfg: Any = app.compose("export", f"paths.models={tmp_path}", f"paths.work={tmp_path}/work")
    with pytest.raises(UserError, match=r"model\.json: missing; run dvc repro train"):
        export.run(cfg=cfg)


def test_members_export_as_one_clip_and_one_stream(project: Path) -> None:
    members = [Member(small_flash().eval(), temperature) for temperature in (0.5, 2.0)]
    torch.nn.init.normal_(members[1].network.head.weight, std=2.0)  # type: ignore[union-attr, arg-type]
    folder = write(members_net(members).eval(), project / "members")
    assert sorted(path.name for path in folder.iterdir()) == [
        "clip.onnx",
        "export.json",
        "stream.onnx",
    ]
    states = [value.name for value in session(folder / "stream.onnx").get_inputs()[1:]]
    assert {name.split("_")[1] for name in states} == {"0", "1"}
