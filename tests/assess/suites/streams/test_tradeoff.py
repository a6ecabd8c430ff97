from __future__ import annotations

import numpy as np
import pytest

from pipeline.assess.statistics.bootstrap import Bootstrap
from pipeline.assess.suites.streams import threshold_choice, tradeoff
from pipeline.assess.suites.streams.assembly import assemble
from pipeline.assess.suites.streams.played_clips import PlayedClips
from pipeline.detect.alarm import SMOOTHINGS, Choice
from tests.assess.files import CLIP_S, File, table

BOOTSTRAP = Bootstrap(100, 0.9, 0)
RNG = np.random.default_rng(0)
FOOTAGE = PlayedClips.of(
    table(
        *(File(f"game/{i}", "game", RNG.beta(1, 4, 60)) for i in range(20)),
        *(File(f"real/{i}", "real", RNG.beta(2, 2, 6), [1] * 6) for i in range(12)),
    ),
    CLIP_S,
    0,
)


@pytest.mark.parametrize("smoothing", list(SMOOTHINGS))
def test_each_point_of_a_curve_is_what_its_threshold_does(smoothing: str) -> None:
    streams = assemble(FOOTAGE, 0)
    curve = tradeoff.trace(FOOTAGE, streams, smoothing, 10.0, BOOTSTRAP)
    for i in range(0, curve.threshold.size, 4):
        choice = Choice(float(curve.threshold[i]), smoothing, 10.0)
        measured = threshold_choice.apply(choice, FOOTAGE, BOOTSTRAP).outcome
        assert measured.false_alerts.num_events == curve.num_events[i]
        assert measured.false_alerts.measured.high == curve.rate_high[i]
        assert measured.missed.value == pytest.approx(curve.missed[i], abs=1e-6)
        found = [curve.median_s[i], curve.median_low_s[i], curve.median_high_s[i]]
        expected = measured.median_s.row
        assert tuple(x if np.isfinite(x) else None for x in found) == expected


def test_lower_thresholds_buy_fewer_misses_for_more_false_alerts() -> None:
    curve = tradeoff.trace(FOOTAGE, assemble(FOOTAGE, 0), "mean_3", 10.0, BOOTSTRAP)
    assert (np.diff(curve.threshold) < 0).all()
    assert curve.num_events[0] == 0
    assert curve.num_events[1] == 1
    assert (np.diff(curve.num_events) >= 0).all()
    assert (np.diff(curve.missed) <= 0).all()
    assert (np.diff(curve.median_s[np.isfinite(curve.median_s)]) <= 0).all()
    assert curve.missed[-1] == 0.0
    assert ((curve.missed_low <= curve.missed) & (curve.missed <= curve.missed_high)).all()
    assert ((curve.rate_low <= curve.rate) & (curve.rate <= curve.rate_high)).all()


def test_a_curve_without_shootings_is_of_false_alerts_alone() -> None:
    quiet = PlayedClips.of(table(File("game/a", "game", [0.1, 0.7, 0.2])), CLIP_S, 0)
    curve = tradeoff.trace(quiet, assemble(quiet, 0), "none", 10.0, BOOTSTRAP)
    assert np.isnan(curve.missed).all()
    rows = curve.rows()
    assert rows[1]["threshold"] == 0.7
    assert rows[0]["num_events"] == 0
    assert rows[1]["num_events"] == 1
    assert rows[0]["missed"] is None
    assert rows[0]["p90_s"] is None
