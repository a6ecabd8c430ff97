"""The command `discern`, which is also `python -m pipeline`."""

from __future__ import annotations

import signal
import sys


def main() -> None:
    """Run what the command line names first."""
    # Until the handler is there, which takes imports, a signal ends the process without a word.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from pipeline.system import entry

    entry.begin(" ".join(sys.argv[1:2]) or "discern")
    # These imports take seconds, in which a signal must already find its handler.
    from pipeline.commands import line

    line.main(sys.argv[1:])


if __name__ == "__main__":
    main()
