from __future__ import annotations

from dataclasses import replace

from pipeline.assess import model_comparison
from pipeline.assess.statistics.bootstrap import Bootstrap
from pipeline.assess.statistics.paired_differences import compare
from tests.assess import toy

BOOTSTRAP = Bootstrap(num_resamples=200, confidence=0.95, seed=0)


def test_two_models_that_rank_alike_show_no_difference() -> None:
    first = toy.examples()
    # As layers with a constant added answer.
    second = replace(first, p_real=first.p_real**2)
    said = model_comparison._verdict("home", "origin", compare(first, second, BOOTSTRAP), "older")
    assert (said.name, said.state) == ("home_origin", "amber")
    assert said.says.startswith("AUROC of the origin on home: no difference is shown; both have 0.")


def test_a_model_that_guesses_the_origin_is_worse_in_its_own_verdict() -> None:
    first = toy.examples()
    second = replace(first, p_real=1 - first.p_real)
    found = compare(first, second, BOOTSTRAP)
    assert model_comparison._verdict("home", "origin", found, "older").state == "green"
    assert model_comparison._verdict("home", "shooting", found, "older").state == "amber"
