"""The command `discern`, which is also `python -m pipeline`."""

from __future__ import annotations

import sys

from pipeline.system import entry


def main() -> None:
    """Run what the command line names first."""
    entry.begin(" ".join(sys.argv[1:2]) or "discern")
    # These imports take seconds, in which a signal must already find its handler.
    from pipeline.commands import line

    line.main(sys.argv[1:])


if __name__ == "__main__":
    main()
