"""Writes a row beside the report for everything that the section on the deployment shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from pipeline.assess.deployment_report import Deployed, Deployment, Estimate
from pipeline.assess.evidence import Csv

_ESTIMATES = ("precision", "recall", "shootings")


def rows(known: Deployed) -> Mapping[str, pa.Table]:
    """Tables of everything that is known, by file name."""
    drift, people = known.drift, known.agreement
    of = {"weights_sha256": pa.string(), "kind": pa.string()}
    ends = {f"{name}{end}": pa.float64() for name in _ESTIMATES for end in ("", "_low", "_high")}
    kinds: dict[str, dict[str, pa.DataType]] = {
        "deployments": {
            **of,
            "videos": pa.int64(),
            "hours": pa.float64(),
            "days": pa.int64(),
            "alerts": pa.int64(),
            "alerts_with_copies": pa.int64(),
            **ends,
        },
        "audit": {
            **of,
            "stratum": pa.string(),
            **dict.fromkeys(("size", "drawn", "decided"), pa.int64()),
        },
        "reviewers": {"decisions": pa.int64()},
        "agreement": {
            **dict.fromkeys(("num_pairs", "num_different", "num_disputed"), pa.int64()),
            **dict.fromkeys(("kappa", "error"), pa.float64()),
        },
        "drift": {
            "name": pa.string(),
            **dict.fromkeys(("before", "after", "index", "distance"), pa.float64()),
        },
        "sources": {
            "name": pa.string(),
            **dict.fromkeys(("before", "after"), pa.float64()),
        },
    }
    values: dict[str, Sequence[Mapping[str, Any]]] = {
        "deployments": [_numbers(one) for one in known.deployments],
        "audit": [
            {"weights_sha256": one.weights_sha256, "kind": one.kind, "stratum": name}
            | vars(stratum)
            for one in known.deployments
            for name, stratum in one.strata.items()
        ],
        "reviewers": [{"decisions": number} for number in people.decisions],
        "agreement": [{name: getattr(people, name) for name in kinds["agreement"]}],
        "drift": [] if drift is None else [vars(one) for one in drift.shifts],
        "sources": [] if drift is None else [vars(one) for one in drift.sources],
    }
    return {
        f"{name}.parquet": pa.Table.from_pylist([*values[name]], pa.schema([*columns.items()]))
        for name, columns in kinds.items()
    }


def shifts(known: Deployed | None) -> Csv:
    """Return what `dvc plots` shows; no row where nothing is known."""
    drift = None if known is None else known.drift
    found = () if drift is None else drift.shifts
    return ("name", "before", "after", "index", "distance"), [
        (one.name, one.before, one.after, one.index, one.distance) for one in found
    ]


def _numbers(one: Deployment) -> dict[str, Any]:
    names = ("weights_sha256", "kind", "videos", "hours", "days", "alerts", "alerts_with_copies")
    found = {name: getattr(one, name) for name in names}
    for name in _ESTIMATES:
        estimate: Estimate | None = getattr(one, name)
        if estimate is not None:
            found[name] = estimate.value
            found |= {f"{name}_low": estimate.interval.low, f"{name}_high": estimate.interval.high}
    return found
