from __future__ import annotations

import math
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.footage import pictures
from pipeline.footage.foreign.picture import reduced
from pipeline.footage.foreign.tone_mapping import HLG, PQ, tone_mapped
from tests.made import write_video


def codes(*signals: float) -> np.ndarray:
    return np.round(np.array(signals) * 65535).astype(np.uint16)


def light(signal: float, transfer: int) -> float:
    """Light of a code, 1 being 1,000 cd/m² for PQ and the brightest scene for HLG."""
    if transfer == PQ:
        root = signal ** (32 / 2523)
        over = max(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)
        return min(10 * over ** (8192 / 1305), 1.0)
    if signal <= 0.5:
        return signal**2 / 3
    return (math.exp((signal - 0.55991073) / 0.17883277) + 0.28466892) / 12


def by_the_report(signals: tuple[float, float, float], transfer: int) -> list[float]:
    """R'G'B' of BT.709 by BT.2446-1, 4.2, in its own steps, by colour differences."""
    red, green, blue = (light(one, transfer) for one in signals)
    if transfer == HLG:
        scene = 0.2627 * red + 0.6780 * green + 0.0593 * blue
        red, green, blue = (one * scene**0.2 for one in (red, green, blue))
    red, green, blue = (one ** (1 / 2.4) for one in (red, green, blue))
    y = 0.2627 * red + 0.6780 * green + 0.0593 * blue
    p_hdr, p_sdr = 1 + 32 * 0.1 ** (1 / 2.4), 1 + 32 * 0.01 ** (1 / 2.4)
    y_p = math.log(1 + (p_hdr - 1) * y) / math.log(p_hdr)
    if y_p <= 0.7399:
        y_c = 1.0770 * y_p
    elif y_p < 0.9909:
        y_c = -1.1510 * y_p**2 + 2.7811 * y_p - 0.6302
    else:
        y_c = 0.5 * y_p + 0.5
    y_sdr = (p_sdr**y_c - 1) / (p_sdr - 1)
    cb = y_sdr / (1.1 * y) * (blue - y) / 1.8814
    cr = y_sdr / (1.1 * y) * (red - y) / 1.4746
    y_tmo = y_sdr - max(0.1 * cr, 0)
    wide = [y_tmo + 1.4746 * cr, y_tmo - 0.16455 * cb - 0.57135 * cr, y_tmo + 1.8814 * cb]
    linear = [min(max(one, 0), 1) ** 2.4 for one in wide]
    rows = ((1.6605, -0.5876, -0.0728), (-0.1246, 1.1329, -0.0083), (-0.0182, -0.1006, 1.1187))
    narrow = [sum(a * b for a, b in zip(row, linear, strict=True)) for row in rows]
    return [255 * min(max(one, 0), 1) ** (1 / 2.4) for one in narrow]


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_colours_are_those_of_the_report(transfer: int) -> None:
    signals = np.random.default_rng(0).uniform(0.01, 1, (200, 3))
    found = tone_mapped(codes(*signals), transfer)
    expected = [by_the_report(tuple(one), transfer) for one in signals]
    np.testing.assert_allclose(found, expected, atol=0.6)


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_grey_stays_grey_and_black_and_white_stay_what_they_are(transfer: int) -> None:
    grey = tone_mapped(np.repeat(np.arange(0, 65536, 257, np.uint16)[:, None], 3, 1), transfer)
    assert np.ptp(grey.astype(int), axis=1).max() <= 1
    assert (np.diff(grey[:, 1].astype(int)) >= 0).all()
    assert (grey[0].tolist(), grey[-1].tolist()) == ([0] * 3, [255] * 3)


def test_white_paper_is_as_bright_in_both() -> None:
    # 203 cd/m² by BT.2408.
    values = [
        tone_mapped(codes((one,) * 3), transfer)[0, 1]
        for one, transfer in ((0.581, PQ), (0.75, HLG))
    ]
    assert values == pytest.approx([175, 175], abs=1)


def write(path: Path, level: int, tags: dict[str, int]) -> Path:
    image = np.full((64, 64, 3), level, np.uint8)
    options = {"x264-params": "colormatrix=bt2020nc", "crf": "0"}
    kind = {"pix_fmt": "yuv420p10le", "options": options}
    return write_video(path, [image] * 4, tags={"colorspace": 9, **tags}, **kind)  # type: ignore[arg-type]


def shown(path: Path) -> np.ndarray:
    with av.open(str(path)) as file:
        frame = next(file.decode(video=0))
    box = pictures.centre_square((0, 0, 64, 64), 1.0)
    return pictures.Squares(16).convert([frame], box)[0]


def test_only_files_of_high_dynamic_range_are_mapped(tmp_path: Path) -> None:
    found = {
        trc: shown(write(tmp_path / f"{trc}.mkv", 191, {"color_trc": trc})).mean()
        for trc in (1, PQ, HLG)
    }
    assert found[1] == pytest.approx(191, abs=2)
    for trc in (PQ, HLG):
        assert found[trc] == pytest.approx(tone_mapped(codes((191 / 255,) * 3), trc)[0, 1], abs=3)


def test_pictures_that_were_reduced_are_mapped_too(tmp_path: Path) -> None:
    frame = av.VideoFrame(8192, 4320, "yuv420p10le")
    frame.color_trc = HLG
    small, factor = reduced(frame)
    assert (factor, small.color_trc) == (2, HLG)
