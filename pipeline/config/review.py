"""Types of what reviews are told."""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import MISSING

from pipeline.config.data import App, IngestConfig
from pipeline.config.ranges import between, one_of


@dataclass
class QueueConfig:
    """Tells how a queue is made."""

    num: int = between(1, default=200)
    """Tasks of a queue, at most."""
    audit: float = between(0, 1, default=0.2)
    """Share of a queue that is drawn at random, and tells what the detector is worth."""
    uncertain: float = between(0, 1, default=0.1)
    """Share of a queue that is there since it teaches most."""
    second: float = between(0, 1, default=0.1)
    """Share of a queue that two people are asked about."""
    seed: int = between(0, default=0)
    """Seed of what is drawn."""
    missed_cost: float = between(0, default=10.0)
    """Cost of a real shooting that nobody looks at, where an alert that is wrong and stands costs
    `false_cost`."""
    false_cost: float = between(0, default=1.0)
    """Cost of an alert that is wrong and stands."""
    copy_cost: float = between(0, 1, default=0.05)
    """What each copy but one costs besides, as a share of that: with 0 most different shootings are
    found, with 1 most files of them."""
    setup_s: float = between(0, default=20.0)
    """What a reviewer takes for a task besides the seconds that matter."""


@dataclass
class ReviewApp(QueueConfig, App):
    """`python -m pipeline review`"""

    ingest: IngestConfig = MISSING
    """What showing a file may cost, and the frames a second that times are told in."""
    out: str | None = None
    """File, or folder, that a queue is exported to once it is made, or file that a report or
    an index with times is written to."""
    root: str = "."
    """Folder that relative paths of a listing begin in: that of the listing."""
    format: str = one_of("csv", "label_studio", "fiftyone", "coop", default="csv")
    """What is exported or imported."""
    reviewer_error: float = between(0.001, 0.4, default=0.05)
    """Share of decisions that are wrong, until enough tasks were decided twice to tell it."""
    confidence: float = between(0.01, 0.9999, default=0.95)
    """Confidence of intervals."""
    by: str | None = None
    """Who decided what an import holds, where it does not say so itself; of an export, for whom it
    is: it holds what this person is asked about, and nothing that others decided."""
    media: str | None = None
    """What stands before the path of a file in an export, such as `/data/local-files/?d=`."""
    key: str | None = None
    """File of the public key, in PEM, that the decisions of ROOST Coop are signed with."""
    licence: str | None = None
    """Licence of the files of a collection that is exported."""
    source: str | None = None
    """Where the files of a collection that is exported come from."""
    authority: str = ""
    """Who released them, and on what basis."""
    bank: str | None = None
    """Name of a negative bank that false alarms are put into with an export of a collection."""
    against: str | None = None
    """A folder of scores that those of a report are compared with; without one, the files that the
    project trains on."""
    serve_host: str = "127.0.0.1"
    """Address of the page; another one than loopback needs DISCERN_SERVE_TOKEN in the
    environment."""
    serve_port: int = between(0, 65535, default=8766)
    """Port of the page; any that is free where 0."""
