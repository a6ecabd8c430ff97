"""The suites of an evaluation: each answers one question that a score alone leaves open."""
