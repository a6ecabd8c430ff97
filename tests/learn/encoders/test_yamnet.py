from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pipeline.config import EncoderConfig, PicturesConfig
from pipeline.errors import UserError
from pipeline.learn import encoders
from pipeline.learn.encoders import yamnet
from pipeline.learn.encoders.yamnet import LABELS, Yamnet, network

REFERENCE = Path(__file__).parent / "yamnet_reference_scores.json"
"""What LiteRT says to `sounds`, by benchmarks/yamnet_weights.py: [class, score] above 0.02."""


def sounds() -> list[NDArray[np.float32]]:
    """Noises, tones, bursts and blasts of one patch, 15,600 samples at 16 kHz."""
    rng = np.random.default_rng(0)
    time_s = np.arange(15600) / 16000
    found = []
    for number in range(12):
        noise = rng.standard_normal(15600) * 10 ** rng.uniform(-3, -0.3)
        wave = noise * np.exp(-rng.uniform(0, 20) * time_s)
        if number % 3 == 0:
            wave += 0.3 * np.sin(2 * np.pi * rng.uniform(80, 4000) * time_s)
        if number % 3 == 1:
            since = np.maximum(time_s - 0.3, 0)
            wave = 0.002 * noise + (time_s > 0.3) * rng.standard_normal(15600) * np.exp(-12 * since)
        found.append(wave.clip(-1, 1).astype(np.float32))
    return found


@pytest.fixture(scope="module")
def encoder() -> Yamnet:
    return Yamnet.published()


def test_scores_are_those_of_the_published_model(encoder: Yamnet) -> None:
    reference = json.loads(REFERENCE.read_text())
    found = encoder.scores(torch.from_numpy(np.stack(sounds())))[:, 0].numpy()
    assert found.shape == (len(reference), 521)
    for row, published in zip(found, reference, strict=True):
        expected = np.zeros(521)
        for number, score in published:
            expected[number] = score
        assert np.abs(row - expected).max() < 0.06
    assert sum(score > 0.5 for published in reference for _, score in published) >= 6


def test_the_file_of_weights_is_the_recorded_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data = yamnet.WEIGHTS.read_bytes()
    assert hashlib.sha256(data).hexdigest() == yamnet.SHA256
    assert yamnet.SHA256 in (yamnet.WEIGHTS.parent / "README.md").read_text()
    other = tmp_path / "yamnet.safetensors"
    other.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    monkeypatch.setattr(network, "WEIGHTS", other)
    with pytest.raises(UserError, match="not the weights"):
        Yamnet.published()
    other.unlink()
    with pytest.raises(UserError, match="not readable"):
        Yamnet.published()


def test_classes_have_the_names_of_audioset() -> None:
    assert len(LABELS) == 521
    assert LABELS[yamnet.FIREARMS][0] == "Gunshot, gunfire"
    assert LABELS[yamnet.FIREARMS][-1] == "Cap gun"
    assert LABELS[494] == "Silence"


def test_features_are_mean_logits_of_a_sound_as_it_is_and_as_loud_as_it_goes(
    encoder: Yamnet,
) -> None:
    wave = 0.2 * torch.from_numpy(np.concatenate(sounds()[:2])[None, :30000])
    found = encoder(wave)
    assert found.shape == (1, encoder.num_features) == (1, 1545)
    # 186 frames: patches begin at 0 and 48, or, amplified, at 42 and 90, where one ends with it.
    louder = wave * (0.9 / wave.abs().max())
    as_is, loud = (
        torch.cat([encoder.embed(one[:, at * 160 : at * 160 + 15600]) for at in starts], 1)
        for one, starts in ((wave, (0, 48)), (louder, (42, 90)))
    )
    logits = (encoder.head(as_is).amax(1) + encoder.head(loud).amax(1)) / 2
    torch.testing.assert_close(found[:, :521], logits, rtol=1e-3, atol=1e-3)
    mean = torch.cat([as_is, loud], 1).mean(1)
    torch.testing.assert_close(found[:, 521:], mean, rtol=1e-3, atol=1e-3)


def test_a_sound_is_amplified_thirty_times_at_most(encoder: Yamnet) -> None:
    hiss = 1e-3 * torch.from_numpy(sounds()[2][None])
    hiss = hiss / hiss.abs().max() * 1e-3
    logits = [encoder.head(encoder.embed(gain * hiss))[:, 0] for gain in (1, 30)]
    torch.testing.assert_close(encoder(hiss)[:, :521], sum(logits) / 2, rtol=1e-3, atol=1e-3)
    silence = torch.zeros(1, 15600)
    assert LABELS[encoder(silence)[0, :521].argmax()] == "Silence"


def test_scores_are_of_patches_that_end_with_the_sound(encoder: Yamnet) -> None:
    wave = torch.from_numpy(np.concatenate(sounds()[:2])[None, :30000])
    scores = encoder.scores(wave)
    assert scores.shape == (1, 3, 521)
    last = encoder.scores(wave[:, 90 * 160 : 90 * 160 + 15600])
    torch.testing.assert_close(scores[:, 2:], last, rtol=1e-4, atol=1e-4)


def test_short_sound_is_followed_by_silence(encoder: Yamnet) -> None:
    wave = torch.from_numpy(sounds()[1][None, 4000:9000])
    padded = torch.nn.functional.pad(wave, (0, 10600))
    torch.testing.assert_close(encoder(wave), encoder(padded))
    assert LABELS[encoder.scores(torch.zeros(1, 100))[0, 0].argmax()] == "Silence"


def test_an_answer_does_not_depend_on_its_neighbours(encoder: Yamnet) -> None:
    waves = torch.from_numpy(np.stack(sounds()[:3]))
    torch.testing.assert_close(encoder(waves)[2:], encoder(waves[2:]), rtol=1e-4, atol=1e-4)


def test_the_configuration_names_it_and_detectors_rebuild_it(encoder: Yamnet) -> None:
    asked = PicturesConfig(name="yamnet", size=14, more=list[EncoderConfig]())
    built = encoders.build(asked)
    assert built.modality == "sound"
    assert built.rate_hz == 16000
    rebuilt = encoders.rebuild(encoder.architecture())
    rebuilt.load_state_dict({k: v.half().float() for k, v in encoder.state_dict().items()})
    wave = torch.from_numpy(sounds()[3][None])
    assert torch.equal(rebuilt(wave), encoder(wave))
    assert torch.equal(built(wave), encoder(wave))
    (told,) = encoder.provenance()
    assert told["sha256"] == yamnet.SHA256
    assert not any(p.requires_grad for p in encoder.parameters())


def test_one_that_was_asked_once_is_not_rebuilt_as_one_that_is_asked_twice() -> None:
    with pytest.raises(TypeError, match="peak"):
        encoders.rebuild({"name": "yamnet"})


def test_a_product_is_the_pointwise_convolution(encoder: Yamnet) -> None:
    taken = 6 * torch.rand(3, 1024, 3, 2, generator=torch.Generator().manual_seed(0))
    layer = encoder.pointwise[-1]
    expected = layer(taken).clamp(0, 6)
    assert 0 < expected.mean() < 6
    torch.testing.assert_close(network._pointwise(layer, taken), expected, rtol=1e-4, atol=1e-4)
