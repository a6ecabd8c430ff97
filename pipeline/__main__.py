"""`python -m pipeline <stage> key=value …` runs one data stage by hand."""

from __future__ import annotations

import sys
from importlib import import_module

from pipeline import app

STAGES = ("synthesize", "ingest", "split", "augment", "pack")


def main() -> None:
    """Run the stage that the command line names first."""
    if len(sys.argv) < 2 or sys.argv[1] not in STAGES:
        sys.exit(f"usage: python -m pipeline {{{','.join(STAGES)}}} [key=value …]")
    name = sys.argv.pop(1)
    app.stage(name)(import_module(f"pipeline.stages.{name}").run)()


if __name__ == "__main__":
    main()
