from __future__ import annotations

import numpy as np

from pipeline.assess.page.mistakes import hardest
from pipeline.store.manifest import REAL_SHOOTING
from tests.assess import toy

EXAMPLES = toy.examples(skill=0.5)


def test_mistakes_are_of_their_kind_and_no_recording_shows_twice() -> None:
    missed, alarms, others = hardest(EXAMPLES, num_mistakes=50)
    said = EXAMPLES.predicted == REAL_SHOOTING
    assert missed.num_mistakes == (EXAMPLES.is_shooting & ~said).sum() > 0
    assert alarms.num_mistakes == (~EXAMPLES.is_shooting & said).sum() > 0
    assert all(EXAMPLES.is_shooting[row] and not said[row] for row in missed.rows)
    assert all(said[row] and not EXAMPLES.is_shooting[row] for row in alarms.rows)
    for group in (missed, alarms, others):
        assert (EXAMPLES.predicted[list(group.rows)] != EXAMPLES.actual[list(group.rows)]).all()
        clusters = EXAMPLES.clusters[list(group.rows)]
        assert np.unique(clusters).size == clusters.size


def test_the_hardest_come_first_and_no_more_than_asked() -> None:
    missed, alarms, _ = hardest(EXAMPLES, num_mistakes=3)
    assert len(alarms.rows) == 3
    assert (np.diff(EXAMPLES.score[list(missed.rows)]) >= 0).all()
    assert (np.diff(EXAMPLES.score[list(alarms.rows)]) <= 0).all()
    wrong = ~EXAMPLES.is_shooting & (EXAMPLES.predicted == REAL_SHOOTING)
    assert EXAMPLES.score[alarms.rows[0]] == EXAMPLES.score[wrong].max()
