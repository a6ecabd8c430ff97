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


def test_features_are_the_largest_logits_and_the_mean_patch(encoder: Yamnet) -> None:
    wave = torch.from_numpy(np.concatenate(sounds()[:2])[None, :30000])
    found = encoder(wave)
    assert found.shape == (1, encoder.num_features) == (1, 1545)
    patches = encoder.embed(wave)
    # 186 frames: patches begin at 0, 48 and, the last, where it ends with the sound.
    assert patches.shape == (1, 3, 1024)
    torch.testing.assert_close(torch.sigmoid(found[:, :521]), encoder.scores(wave).amax(1))
    torch.testing.assert_close(found[:, 521:], patches.mean(1))
    last = encoder.embed(wave[:, 90 * 160 : 90 * 160 + 15600])
    torch.testing.assert_close(patches[:, 2:], last, rtol=1e-4, atol=1e-4)


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
