from __future__ import annotations

import pytest

from pipeline.learn import throughput
from pipeline.learn.throughput import ThroughputProfiler

FETCH = "[_TrainingEpochLoop].train_dataloader_next"
STEP = "run_training_batch"


def test_the_wait_is_the_time_in_which_a_batch_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr(throughput.time, "perf_counter", lambda: now)
    clock = ThroughputProfiler()
    for action, length in [(FETCH, 3.0), (STEP, 1.0), ("save", 2.0), (FETCH, 1.0), (STEP, 1.0)]:
        clock.start(action)
        now += length
        clock.stop(action)
    # Validation comes after the last batch.
    now += 50.0
    assert clock.num_batches == 2
    assert clock.total_s == pytest.approx(8.0)
    assert clock.data_wait == pytest.approx(4 / 8)
    clock.reset()
    assert clock.num_batches == clock.wait_s == 0
