from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from pipeline.detect.detector import MIXED, Detector
from pipeline.errors import UserError
from pipeline.learn import weights
from pipeline.learn.encoders import build_sound, yamnet
from pipeline.learn.memory import Memory
from pipeline.learn.model_card import CARD, ModelCard
from pipeline.learn.networks.base import Network
from pipeline.learn.networks.members import Member, members_net
from pipeline.learn.networks.own import OwnNet
from pipeline.learn.networks.product import product_of
from pipeline.store.manifest import CLASSES
from pipeline.store.sound import num_samples
from tests.learn.encoders.tiny import checkpoint_origin, write_ear
from tests.learn.networks.nets import (
    FRAMEWISE,
    frame_logits,
    random_clips,
    small_flash,
    small_framewise,
)
from tests.learn.networks.sounds import hearing, random_sounds
from tests.learn.toy import FORMAT, toy_clip


@pytest.fixture
def model(tmp_path: Path) -> Path:
    weights.save(
        tmp_path,
        small_flash(),
        clip=FORMAT,
        temperature=2.0,
        provenance={"data": {"index.parquet": "0"}},
    )
    return tmp_path


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_probabilities_are_the_softmax_of_tempered_logits(model: Path) -> None:
    clips = np.stack([toy_clip(seed, seed) for seed in range(3)])
    detector = Detector.load(model)
    logits = small_flash().eval()(torch.from_numpy(clips)).detach().double()
    probabilities = detector.predict(clips)
    assert probabilities.dtype == np.float64
    np.testing.assert_allclose(probabilities, (logits / 2).softmax(1).numpy(), atol=1e-6)
    np.testing.assert_allclose(probabilities.sum(1), 1.0)
    assert probabilities.std() > 0.05


def test_the_card_says_what_the_weights_are(model: Path) -> None:
    detector = Detector.load(model)
    assert detector.card.everything["classes"] == list(CLASSES)
    assert detector.card.clip == FORMAT
    assert detector.card.everything["data"] == {"index.parquet": "0"}
    assert detector.sha256 == detector.card.weights_sha256


def test_saving_again_gives_the_same_bytes(model: Path, tmp_path: Path) -> None:
    detector = Detector.load(model)
    again = tmp_path / "again"
    again.mkdir()
    weights.save(
        again,
        detector.network,
        clip=FORMAT,
        temperature=2.0,
        provenance={"data": {"index.parquet": "0"}},
    )
    for name in (weights.WEIGHTS, CARD):
        assert (again / name).read_bytes() == (model / name).read_bytes()


def test_clips_of_another_shape_are_refused(model: Path) -> None:
    with pytest.raises(UserError, match=r"\(1, 4, 32, 32, 3\).* take uint8 \(N, 8, 32, 32, 3\)"):
        Detector.load(model).predict(np.zeros((1, 4, 32, 32, 3), np.uint8))


def test_a_folder_may_be_named_by_a_text(model: Path) -> None:
    assert Detector.load(str(model)).sha256 == Detector.load(model).sha256
    with pytest.raises(UserError, match=r"nowhere.*missing; run"):
        Detector.load("nowhere")


@pytest.mark.parametrize("number", [0, -1, 2.0, "8", None])
def test_what_is_no_number_of_streams_is_named(model: Path, number: Any) -> None:
    with pytest.raises(UserError, match=rf"num_streams={number!r}: not a number.* 1 or more"):
        Detector.load(model).stream(number)


def test_what_is_no_array_is_named_with_the_one_that_is_taken(model: Path) -> None:
    detector = Detector.load(model)
    stream = detector.stream(2)
    clips, size = [toy_clip(1, 1)], num_samples(FORMAT.num_frames, FORMAT.fps)
    calls: list[tuple[Callable[..., object], tuple[Any, ...], str]] = [
        (detector.predict, (clips,), r"clips are a list .* array, uint8 \(N, 8, 32, 32, 3\)"),
        (
            detector.predict,
            (np.stack(clips), [[0] * size]),
            rf"sounds are a list .*, int16 \(1, {size}\)",
        ),
        (stream.push, (clips,), r"frames are a list .*, uint8 \(2, 32, 32, 3\)"),
        (stream.last_clips, (clips,), r"clips are a list .*, uint8 \(2, T, 32, 32, 3\)"),
        (stream.restart, ([True, False],), r"streams are a list .*, bool \(2,\)"),
    ]
    for call, given, says in calls:
        with pytest.raises(UserError, match=says + r"; make it one, as numpy\.stack"):
            call(*given)


@pytest.mark.parametrize("of_transformers", [False, True])
def test_a_detector_that_hears_is_saved_loaded_and_followed_with_sound(
    tmp_path: Path, of_transformers: bool
) -> None:
    ear = build_sound(write_ear(tmp_path / "ear") if of_transformers else yamnet.NAME)
    heard_net = hearing(encoder=ear)
    network = product_of(small_flash(), checkpoint_origin(tmp_path / "dino"), heard_net).eval()
    weights.save(tmp_path, network, clip=FORMAT, temperature=1.0, provenance={})
    detector = Detector.load(tmp_path)
    assert detector.hears
    clips, sounds = random_clips(2, 8).numpy(), random_sounds(2, 8).numpy()
    with torch.no_grad():
        logits = network(torch.from_numpy(clips), torch.from_numpy(sounds))
    expected = logits.double().softmax(1).numpy()
    # Encoders are kept in half precision.
    np.testing.assert_allclose(detector.predict(clips, sounds), expected, atol=1e-3)
    stream = detector.stream(2)
    for frames, heard in zip(clips.swapaxes(0, 1), np.split(sounds, 8, axis=1), strict=True):
        answers = stream.push(frames, heard)
    np.testing.assert_allclose(answers, detector.predict(clips, sounds), atol=1e-5)
    silent = np.zeros_like(sounds)
    assert np.array_equal(detector.predict(clips, silent), detector.predict(clips))
    assert not np.allclose(detector.predict(clips), expected, atol=1e-3)
    with pytest.raises(UserError, match=r"sounds are int16 \(2, 5\).* take int16 \(2, 12800\)"):
        detector.predict(clips, sounds[:, :5])
    with pytest.raises(UserError, match=r"take int16 \(2, 1600\)"):
        stream.push(clips[:, 0], sounds)


def test_a_detector_that_does_not_hear_leaves_sounds_aside(model: Path) -> None:
    detector = Detector.load(model)
    clips, sounds = random_clips(2, 8).numpy(), random_sounds(2, 8).numpy()
    assert not detector.hears
    assert np.array_equal(detector.predict(clips, sounds), detector.predict(clips))


@pytest.mark.parametrize("name", [weights.WEIGHTS, CARD])
def test_a_missing_file_is_named(model: Path, name: str) -> None:
    (model / name).unlink()
    with pytest.raises(UserError, match=f"{name}: missing; run dvc repro train or"):
        Detector.load(model)


@pytest.mark.parametrize("classes", [CLASSES[::-1], ("shooting", "other")])
def test_another_class_set_or_order_is_refused(model: Path, classes: tuple[str, ...]) -> None:
    edit(model / CARD, classes=classes)
    with pytest.raises(UserError, match=f"weights of the classes {', '.join(classes)} instead"):
        Detector.load(model)


def test_tensors_that_do_not_fit_are_refused(model: Path) -> None:
    card = json.loads((model / CARD).read_text())
    edit(model / CARD, architecture={**card["architecture"], "width": 12})
    with pytest.raises(UserError, match=r"is of shape \(.*\) instead of \(") as raised:
        Detector.load(model)
    assert "Error" not in str(raised.value)


def test_another_architecture_is_refused(model: Path) -> None:
    edit(model / CARD, architecture={"name": "causal", "widths": [8, 8]})
    with pytest.raises(
        UserError, match=r"model\.json: this version .* has no network 'causal'; .*train again"
    ):
        Detector.load(model)


def test_weights_of_another_card_are_refused(model: Path) -> None:
    data = bytearray((model / weights.WEIGHTS).read_bytes())
    data[-1] ^= 1
    (model / weights.WEIGHTS).write_bytes(data)
    with pytest.raises(UserError, match="not the weights that model"):
        Detector.load(model)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"architecture": 3}'])
def test_a_damaged_card_is_refused(model: Path, text: str) -> None:
    (model / CARD).write_text(text)
    with pytest.raises(UserError, match="not a model card"):
        Detector.load(model)


@pytest.mark.parametrize(
    "values", [{"preprocessing": [1, 2]}, {"preprocessing": None}, {"temperature": "warm"}]
)
def test_a_card_whose_values_are_of_another_kind_is_refused(
    model: Path, values: dict[str, object]
) -> None:
    edit(model / CARD, **values)
    with pytest.raises(UserError, match=r"model\.json: not a model card"):
        Detector.load(model)


def test_a_card_without_a_field_names_it(model: Path) -> None:
    card = json.loads((model / CARD).read_text())
    del card["temperature"]
    (model / CARD).write_text(json.dumps(card))
    with pytest.raises(UserError, match="lacks temperature"):
        Detector.load(model)


@pytest.mark.parametrize("architecture", [{"name": "flash"}, {"name": "flash", "x": 1}])
def test_an_architecture_that_makes_no_sense_is_refused(model: Path, architecture: object) -> None:
    edit(model / CARD, architecture=architecture)
    with pytest.raises(UserError, match=r"model\.json: its architecture makes no network; where"):
        Detector.load(model)


def test_a_pickle_is_refused(model: Path) -> None:
    path = model / weights.WEIGHTS
    torch.save(small_flash().state_dict(), path)
    edit(model / CARD, weights_sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(UserError, match=r"does not fit the architecture .*no file of safetensors"):
        Detector.load(model)


def test_the_code_of_a_network_runs_only_when_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_weights_net.py").write_text(
        "from tests.learn.networks.nets import Framewise\ndef make(clip): return Framewise()"
    )
    network = OwnNet("own_weights_net:make", FORMAT).eval()
    weights.save(
        tmp_path,
        network,
        clip=FORMAT,
        temperature=1.0,
        provenance={},
    )
    with pytest.raises(UserError, match=r"model\.json: .*own_weights_net:make, whose code runs"):
        Detector.load(tmp_path)
    clips = random_clips(2, FORMAT.num_frames)
    loaded = Detector.load(tmp_path, trusted_factory="own_weights_net:make")
    expected = network(clips).detach().double().softmax(1).numpy()
    np.testing.assert_allclose(loaded.predict(clips.numpy()), expected, atol=1e-6)


def test_a_stream_ends_where_the_clip_does(model: Path) -> None:
    detector = Detector.load(model)
    clips = random_clips(3, FORMAT.num_frames).numpy()
    stream = detector.stream(3)
    for frames in clips.swapaxes(0, 1):
        probabilities = stream.push(frames)
    assert probabilities.dtype == np.float64
    np.testing.assert_allclose(probabilities, detector.predict(clips), atol=1e-5)
    with pytest.raises(UserError, match=r"frames are uint8 \(2, 32, 32, 3\) but .*\(3, 32"):
        stream.push(clips[:2, 0])


MEMORY = Memory(answer_s=0.5, origin_s=2.0, lasting=0.5, discharge_s=0.2)


def remembering(model: Path) -> Detector:
    """The same weights with a memory of some clips of half a second."""
    edit(model / CARD, memory=MEMORY.architecture())
    return Detector.load(model)


def test_a_stream_with_a_memory_says_what_its_memory_makes_of_all_answers(model: Path) -> None:
    plain = Detector.load(model)
    detector = remembering(model)
    clips = random_clips(3, 5 * FORMAT.num_frames).numpy()
    with torch.no_grad():
        whole = frame_logits(detector.network, torch.from_numpy(clips)).double() / 2
    state, stream, alone = MEMORY.start(3), detector.stream(3), plain.stream(3)
    sizes, apart = set(), 0.0
    for number, frames in enumerate(clips.swapaxes(0, 1)):
        logits = whole[:, number]
        if number + 1 >= FORMAT.num_frames:
            # The first answer is of a whole clip, and what came before it is not remembered.
            new = FORMAT.num_frames if number + 1 == FORMAT.num_frames else 1
            logits, state = MEMORY.advance(logits, new / FORMAT.fps, state)
        found = stream.push(frames)
        np.testing.assert_allclose(found, logits.softmax(1).numpy(), atol=1e-5)
        sizes.add(sum(value.numel() for value in [*stream._state.values(), *stream._past.values()]))
        apart = max(apart, float(np.abs(found - alone.push(frames)).max()))
    assert len(sizes) == 1
    assert apart > 0.05
    first = clips[:, : FORMAT.num_frames]
    assert np.array_equal(detector.predict(first), plain.predict(first))


def test_streams_that_restart_forget_and_leave_the_others_as_they_were(model: Path) -> None:
    detector = remembering(model)
    clips = random_clips(2, 20).numpy()
    stream, whole, late = detector.stream(2), detector.stream(2), detector.stream(1)
    for number, frames in enumerate(clips.swapaxes(0, 1)):
        if number == 12:
            stream.restart(np.array([False, True]))
        found, unbroken = stream.push(frames), whole.push(frames)
        np.testing.assert_allclose(found[0], unbroken[0], atol=1e-12)
        if number >= 12:
            np.testing.assert_allclose(found[1:], late.push(frames[1:]), atol=1e-6)
            assert np.abs(found[1] - unbroken[1]).max() > 1e-3


def test_a_memory_that_makes_no_sense_is_refused(model: Path) -> None:
    edit(model / CARD, memory={**MEMORY.architecture(), "origin_s": -1})
    with pytest.raises(UserError, match=r"model\.json: not a model card .*origin_s is -1"):
        Detector.load(model)


def test_a_network_of_whole_clips_answers_for_no_stream(tmp_path: Path) -> None:
    weights.save(tmp_path, small_framewise(), clip=FORMAT, temperature=1.0, provenance={})
    with pytest.raises(UserError, match="network 'own' answer for whole clips only"):
        Detector.load(tmp_path, trusted_factory=FRAMEWISE).stream(1)


def test_in_bfloat16_answers_differ_a_little_and_streams_still_equal_clips(tmp_path: Path) -> None:
    network = product_of(small_flash(), checkpoint_origin(tmp_path / "dino"), hearing()).eval()
    weights.save(tmp_path, network, clip=FORMAT, temperature=1.0, provenance={})
    full, mixed = Detector.load(tmp_path), Detector.load(tmp_path, precision=MIXED)
    clips, sounds = random_clips(3, 8).numpy(), random_sounds(3, 8).numpy()
    exact, answers = full.predict(clips, sounds), mixed.predict(clips, sounds)
    assert 0.01 < np.abs(np.log(answers) - np.log(exact)).max() < 0.5
    # Neither a stream nor its neighbours have a say in how a picture is rounded.
    stream = mixed.stream(3)
    for frames, heard in zip(clips.swapaxes(0, 1), np.split(sounds, 8, axis=1), strict=True):
        last = stream.push(frames, heard)
    np.testing.assert_allclose(np.log(last), np.log(answers), atol=1e-5)
    alone = mixed.predict(clips[1:2], sounds[1:2])
    np.testing.assert_allclose(np.log(alone), np.log(answers[1:2]), atol=1e-5)
    assert mixed.made_by() != full.made_by()
    assert np.array_equal(full.predict(clips, sounds), exact)


@pytest.mark.parametrize("num_members", [0, 2])
def test_detectors_of_one_network_compute_each_at_its_own_precision(
    tmp_path: Path, num_members: int
) -> None:
    network: Network = product_of(small_flash(), checkpoint_origin(tmp_path / "dino"), hearing())
    if num_members:
        network = members_net([Member(network, 1.0)] * num_members)
    weights.save(tmp_path, network, clip=FORMAT, temperature=1.0, provenance={})
    card = ModelCard.read(tmp_path / CARD)
    clips, sounds = random_clips(3, 8).numpy(), random_sounds(3, 8).numpy()
    full = Detector(network, card, "cpu")
    exact = full.predict(clips, sounds)
    mixed = Detector(network, card, "cpu", precision=MIXED)
    answers = mixed.predict(clips, sounds)
    assert not np.array_equal(answers, exact)
    assert np.array_equal(full.predict(clips, sounds), exact)
    assert np.array_equal(mixed.predict(clips, sounds), answers)
    assert weights.values_sha256(mixed.network) == weights.values_sha256(full.network)
    assert type(mixed.network) is type(network)


def with_encoder(folder: Path, num_encoders: int) -> Network:
    network = product_of(small_flash(), checkpoint_origin(folder, num_encoders=num_encoders)).eval()
    network.discharge_scale.fill_(0.7)
    return network


@pytest.fixture(params=[1, 2])
def product(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Network]:
    """The folder of a model with one encoder or two, and what was saved there."""
    network, folder = with_encoder(tmp_path / "dino", request.param), tmp_path / "models"
    folder.mkdir()
    weights.save(
        folder,
        network,
        clip=FORMAT,
        temperature=1.0,
        provenance={},
    )
    return folder, network


def test_the_encoder_lies_apart_at_half_precision_and_the_answers_stay(
    product: tuple[Path, Network],
) -> None:
    folder, network = product
    own = safetensors.torch.load_file(folder / weights.WEIGHTS)
    frozen = safetensors.torch.load_file(folder / weights.ENCODER_WEIGHTS)
    assert {name.split(".")[0] for name in own} == {"discharge", "origin", "discharge_scale"}
    assert {name for name in own if name.startswith("origin")} == {
        "origin.layer.weight",
        "origin.layer.bias",
    }
    assert frozen.keys() == network.origin.encoder.state_dict().keys()  # type: ignore[union-attr]
    assert {value.dtype for value in frozen.values()} == {torch.float16}
    clips = random_clips(3, FORMAT.num_frames)
    with torch.no_grad():
        expected = network(clips).double().softmax(1).numpy()
    found = Detector.load(folder).predict(clips.numpy())
    np.testing.assert_allclose(found, expected, atol=1e-7)
    assert found.std(0).max() > 0.01


def test_the_card_holds_the_hash_of_the_encoder(product: tuple[Path, Network]) -> None:
    folder, _ = product
    card = json.loads((folder / CARD).read_text())
    data = (folder / weights.ENCODER_WEIGHTS).read_bytes()
    assert card["encoder_sha256"] == hashlib.sha256(data).hexdigest()
    assert card["encoder_sha256"] != card["weights_sha256"]


def test_a_network_without_eyes_leaves_no_encoder(model: Path) -> None:
    assert not (model / weights.ENCODER_WEIGHTS).exists()
    assert "encoder_sha256" not in json.loads((model / CARD).read_text())


def test_a_missing_or_damaged_encoder_is_named(product: tuple[Path, Network]) -> None:
    path = product[0] / weights.ENCODER_WEIGHTS
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(UserError, match=r"encoder\.safetensors: not the weights that model\.json"):
        Detector.load(product[0])
    path.unlink()
    with pytest.raises(UserError, match=r"encoder\.safetensors: missing; run dvc repro train"):
        Detector.load(product[0])


def test_an_encoder_that_is_no_safetensors_or_another_s_is_refused(
    product: tuple[Path, Network],
) -> None:
    folder, network = product
    path = folder / weights.ENCODER_WEIGHTS
    state = network.origin.encoder.state_dict()  # type: ignore[union-attr]
    some = {name: state[name].half() for name in list(state)[1:]}
    for data in (b"pickle", safetensors.torch.save(some)):
        path.write_bytes(data)
        edit(folder / CARD, encoder_sha256=hashlib.sha256(data).hexdigest())
        with pytest.raises(UserError, match=r"encoder\.safetensors: does not fit the architecture"):
            Detector.load(folder)


def test_a_card_that_keeps_silent_on_the_encoder_is_refused(product: tuple[Path, Network]) -> None:
    card = json.loads((product[0] / CARD).read_text())
    del card["encoder_sha256"]
    (product[0] / CARD).write_text(json.dumps(card))
    with pytest.raises(UserError, match=r"model\.safetensors: does not fit the architecture"):
        Detector.load(product[0])


def test_a_stream_with_an_encoder_ends_where_the_clip_does(product: tuple[Path, Network]) -> None:
    detector = Detector.load(product[0])
    clips = random_clips(3, FORMAT.num_frames).numpy()
    stream = detector.stream(3)
    for frames in clips.swapaxes(0, 1):
        probabilities = stream.push(frames)
    np.testing.assert_allclose(probabilities, detector.predict(clips), atol=1e-5)
