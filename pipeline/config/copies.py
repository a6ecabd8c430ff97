"""Types of what banks, matches and exchanges are told."""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import MISSING

from pipeline.config.data import App, IngestConfig
from pipeline.config.fetching import FetchConfig
from pipeline.config.ranges import between, one_of

_EXCHANGED = ("deltas", "pdq", "vpdq", "md5", "sha256", "threatexchange")


@dataclass
class BankApp(App):
    """`python -m pipeline bank`"""

    ingest: IngestConfig = MISSING
    """What a file may cost."""
    label: str | None = None
    """What the videos are known as; without one, the name of the bank."""
    negative: bool = False
    """Whether a new bank says what is harmless, so that its matches raise no alert."""
    by: str | None = None
    """Who says what is said of an item, or who sends a bank."""
    key: str | None = None
    """File of the key of an exchange: your private one to send, the sender's public one to take."""
    dry_run: bool = False
    """Whether an exchange only prints what it would do."""
    labels: str | None = None
    """File of CSV that says what labels of others, `theirs`, are called here, `ours`."""
    format: str = one_of(*_EXCHANGED, default="deltas")
    """What is exchanged: signed deltas of whole items, or a list of hashes."""


@dataclass
class ExchangeApp(App):
    """`python -m pipeline exchange`"""

    pull: str | None = None
    """Where a peer says what it knows: a folder, a list, or a URL of either."""
    their_key: str | None = None
    """File of the public key that the peer signs with."""
    labels: str | None = None
    """File of CSV that says what labels of the peer, `theirs`, are called here, `ours`."""
    format: str = one_of(*_EXCHANGED, default="deltas")
    """What the peer says: signed deltas of whole items, or a list of hashes."""
    push: str | None = None
    """Where the peer is told what is known here: a folder, or a URL of object storage."""
    by: str | None = None
    """In whose name the peer is told."""
    key: str | None = None
    """File of the private key that this is signed with."""
    dry_run: bool = False
    """Whether to print only what would be taken, or would leave."""
    allow_private: bool = False
    """Whether web servers of this machine and of private networks may be asked, and by HTTP."""
    timeout_s: float = between(0.5, 600, default=15.0)
    """A web server has failed once nothing came of it for so long."""
    limit_s: float = between(1, default=1800.0)
    """All that is fetched of a web server has to come within so long."""
    max_mb: float = between(0.001, default=2000.0)
    """Most megabytes that are fetched of a peer at once."""


@dataclass
class MatchApp(FetchConfig, App):
    """`python -m pipeline match`"""

    ingest: IngestConfig = MISSING
    """What a file may cost."""
    bank: str | None = None
    """Name of the only bank to look in; without one, all are."""
    flood_files: int = between(0, 10_000, default=100)
    """Files that the brake for items which match everything looks back at; with 0 there is none."""
    flood_share: float = between(0, 1, default=0.5)
    """Most of these files, as a share, that an item may match without being suspended."""
    format: str = one_of("lines", "json", default="lines")
    """How answers are printed."""
