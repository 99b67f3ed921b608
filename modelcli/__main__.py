"""The console script: a process of our own, so it may prepare torch before anyone imports it."""

from __future__ import annotations

import io
import sys


def run() -> None:
    """Run the command line of this process and exit with its code."""
    try:
        from modelcli.cli import main
        from modelcli.cli._startup import defer_dynamo, pause_collection, spin_briefly_if_busy

        pause_collection()
        defer_dynamo()
        spin_briefly_if_busy()
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):  # None where the shell has closed it
                stream.reconfigure(errors="replace")  # curves and sparklines in an ASCII locale
        code = main()
    except KeyboardInterrupt:  # while Python was still reading us
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    run()
