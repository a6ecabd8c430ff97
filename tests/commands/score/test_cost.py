from __future__ import annotations

import threading

from pipeline.commands.score import cost
from pipeline.commands.score.cost import Costs


def test_costs_are_told_for_an_hour_of_video_and_for_a_million_clips() -> None:
    assert cost.in_words({"decoding": 3.0, "detector": 7.0}, 20.0, 50, 0.5) == [
        "processor time: 10.0 s (decoding 3.0 s, detector 7.0 s)",
        "an hour of video took 1,800 s of a processor (0.01 h of video)",
        "a million clips, with all other rows of such a listing, would take 55.6 h of a "
        "processor, at price=0.5 an hour 27.78",
    ]
    assert cost.in_words({}, 0.0, 0, 0.5) == ["processor time: 0.0 s (none)"]


def test_what_threads_spend_is_added_up() -> None:
    costs = Costs()

    def spend() -> None:
        with costs.timed(cost.DETECTOR):
            sum(range(100_000))

    threads = [threading.Thread(target=spend) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    costs.merge({cost.DETECTOR: 1.0, cost.HASHES: 2.0})
    assert costs.cpu_s[cost.DETECTOR] > 1.0
    assert costs.cpu_s[cost.HASHES] == 2.0
