"""Types of the keys of commands that fetch files of web servers."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipeline.config.ranges import between


@dataclass
class HostsConfig:
    """Tells which servers may be connected to."""

    allow_private: bool = False
    """Whether loopback, link-local and private addresses may be connected to."""
    hosts: list[str] = field(default_factory=list)
    """The only hosts that are connected to; all where empty. `.example.org` names all below it."""


@dataclass
class FetchConfig(HostsConfig):
    """Tells which servers may be asked for a file, and what one of theirs may cost."""

    timeout_s: float = between(0.5, 600, default=30.0)
    """A file that is fetched is given up once nothing came of it for so long."""
    max_fetch_mb: float = between(0.1, default=4096.0)
    """Most megabytes of a file that is fetched by HTTP."""
