from __future__ import annotations

import shutil
import subprocess
import wave
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.copies import chromaprint
from pipeline.copies.chromaprint import RATE_HZ, Chromaprint

# By libchromaprint 1.5.1 of `steps(12)`, 12 seconds at 11,025 Hz.
GOLDEN = (
    "AQAAS1ukKPkEjthxNEcvPGN2XNnRB02UsziPC_lDKE-SlchCoeHxp2iaHIy3NMYVbDpx_MG15EjYVMiRX0XyJ4D7Hc"
    "8T_HjFw08aXKmORZgV4bBd4sKF5_hiwmcy3PixJlEiUFPCHOtx_PCzC5e6DMnjI3_QHH2MX8M38FGM60GfIlnOHTma"
    "IWSYB9qnFWH-4EOu44nSFOKH3HhynHkAwCFQSCAhgRNkGcGIs6ABJhBiRCgDBBIADGMAgY4Q5hAHhHFXFDCEGGAtA8"
    "IAJBRATAggBAMMYQIIAQ"
)
GOLDEN_ITEMS = (172027236, 172026156, 180414760, 180398376)


def steps(seconds: int, seed: int = 1) -> NDArray[np.int16]:
    """int16 (n,): sawtooths of whole numbers whose pitch steps, the same on every machine."""
    at = np.arange(seconds * RATE_HZ)
    pitch = (at // 4000 * (seed * 17 + 3)) % 29 + 7
    return ((at * pitch * 40 % 16001 - 8000) + (at * 613 % 4001 - 2000)).astype(np.int16)


def items_of(samples: NDArray[np.int16], piece: int = 10**9) -> NDArray[np.uint32]:
    printer = Chromaprint()
    for start in range(0, len(samples), piece):
        printer.add(samples[start : start + piece] / 32768)
    return printer.items()


def test_items_and_text_equal_those_of_the_library() -> None:
    items = items_of(steps(12))
    assert tuple(items[:4].tolist()) == GOLDEN_ITEMS
    assert chromaprint.encoded(items) == GOLDEN


@pytest.mark.skipif(shutil.which("fpcalc") is None, reason="fpcalc is not installed")
def test_items_equal_those_of_fpcalc_where_it_is_installed(tmp_path: Path) -> None:
    for seed in range(3):
        samples = steps(40, seed)
        with wave.open(str(tmp_path / "a.wav"), "wb") as file:
            file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
            file.writeframes(samples.tobytes())
        told = [
            subprocess.run(
                ["fpcalc", "-plain", "-length", "0", *raw, tmp_path / "a.wav"],
                check=False,  # with some versions of FFmpeg it takes the end of a file for an error
                capture_output=True,
                text=True,
            ).stdout.strip()
            for raw in (["-raw"], [])
        ]
        expected = np.array(told[0].split(","), np.uint32)
        items = items_of(samples)
        assert items.size == expected.size > 250
        # The library computes in single precision, which may turn a bit near a threshold.
        assert np.bitwise_count(items ^ expected).sum() <= 8
        assert chromaprint.encoded(expected) == told[1]


@pytest.mark.parametrize("piece", [777, 4096, 100_000])
def test_how_the_sound_is_divided_does_not_matter(piece: int) -> None:
    samples = steps(70)
    assert np.array_equal(items_of(samples, piece), items_of(samples))


def test_an_item_is_of_its_own_time() -> None:
    samples = steps(20)
    later = items_of(samples[5 * chromaprint.ITEM_SAMPLES :])
    assert np.array_equal(later, items_of(samples)[5:])
    other = samples.copy()
    other[-RATE_HZ:] = 0
    alike = items_of(other) == items_of(samples)
    assert alike[: -(3 + 27)].all()
    assert not alike.all()


def test_too_short_sound_has_no_items() -> None:
    assert items_of(steps(2)).size == 0
    assert chromaprint.encoded(items_of(steps(2))) == "AQAAAA"


def test_another_level_and_noise_turn_few_bits_and_other_sound_many() -> None:
    samples = steps(30)
    noise = np.random.default_rng(0).normal(0, 60, samples.size)
    near = items_of((samples * 0.3 + noise).astype(np.int16))
    other = items_of(steps(30, seed=4))
    items = items_of(samples)
    assert np.bitwise_count(items ^ near).mean() < 2
    assert np.bitwise_count(items ^ other).mean() > 6


def test_silence_has_the_same_item_throughout() -> None:
    assert set(items_of(np.zeros(10 * RATE_HZ, np.int16)).tolist()) == {627964279}


def test_narrow_items_know_nothing_of_notes_beyond_their_band() -> None:
    samples = steps(30) / 32768
    seconds = np.arange(samples.size) / RATE_HZ
    low, high = (np.sin(2 * np.pi * hz * seconds) for hz in (110.0, 4000.0))
    found = []
    for sound in (samples, samples + 0.5 * low + 0.3 * high):
        printer = Chromaprint()
        printer.add(sound)
        found.append((printer.items(), printer.narrow_items()))
    (whole, narrow), (other_whole, other_narrow) = found
    assert whole.size == narrow.size
    assert np.bitwise_count(whole ^ other_whole).mean() > 4
    assert np.bitwise_count(narrow ^ other_narrow).mean() < 0.5
