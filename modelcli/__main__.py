"""The console script: a process of our own, so it may prepare torch before anyone imports it."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys


def run() -> None:
    """Run the command line of this process and exit with its code."""
    try:
        from modelcli.cli import main
        from modelcli.cli._startup import defer_dynamo, pause_collection, spin_briefly_if_busy
        from modelcli.cli._streams import prepare_streams
        from modelcli.cli._writing import refuse_closed_stdout

        pause_collection()
        defer_dynamo()
        spin_briefly_if_busy()
        code = main() if prepare_streams() else refuse_closed_stdout()
    except KeyboardInterrupt:  # while Python was still reading us
        code = 130
    if code == 130 or "RANK" in os.environ:
        _leave_at_once(code)
    sys.exit(code)


def _leave_at_once(code: int) -> None:
    """End the process without taking apart what it holds: Ctrl-C is answered at once.

    A hundred thousand layers and the modules of torch take Python a second or more to free. One of
    several processes has threads of gloo: one that asks for Python while it is taken apart aborts
    the process, and a run that ended well would be started again.
    """
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # closed, or its reader is gone
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    run()
