"""The console script: a process of our own, so it may prepare torch before anyone imports it."""

from __future__ import annotations

import sys


def run() -> None:
    """Run the command line of this process and exit with its code."""
    from modelcli.cli import main
    from modelcli.cli._startup import defer_dynamo, pause_collection

    pause_collection()
    defer_dynamo()
    sys.exit(main())


if __name__ == "__main__":
    run()
