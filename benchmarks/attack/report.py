"""What a campaign has counted, and the faults by their kind."""

from __future__ import annotations

import collections
import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path

from attack.child import Ended, kind_of
from attack.words import shown


class Report:
    """The figures of one campaign.

    Args:
        name: of the campaign.
        kept: the folder in which files that made a fault are kept; None keeps none.
    """

    def __init__(self, name: str, kept: Path | None = None) -> None:
        self.name, self.kept = name, kept
        self.calls = self.faulty = 0
        self.codes: collections.Counter[int] = collections.Counter()
        self.kinds: dict[str, list[str]] = collections.defaultdict(list)
        self.seconds, self.slowest, self.most_bytes = time.monotonic(), (0.0, ""), (0, "")

    def count(self, ended: Ended, found: Sequence[str], what: str = "") -> None:
        """Count one call and what was wrong with it."""
        self.calls += 1
        self.codes[ended.code] += 1
        self.faulty += bool(found)
        line = f"{shown(ended.words)} {what}".rstrip()
        self.slowest = max(self.slowest, (ended.seconds, line))
        self.most_bytes = max(self.most_bytes, (ended.rss, line))
        for fault in found:
            self.kinds[kind_of(fault, ended)].append(line)

    def add(self, fault: str, what: str) -> None:
        """Count a fault that belongs to no call."""
        self.faulty += 1
        self.kinds[fault].append(what)

    def keep(self, content: bytes, found: Sequence[str]) -> None:
        """Keep a file that made a fault."""
        if found and self.kept is not None:
            self.kept.mkdir(exist_ok=True)
            (self.kept / hashlib.sha256(content).hexdigest()[:12]).write_bytes(content)

    def print(self) -> int:
        """Print the figures; return the number of calls with a fault."""
        seconds = time.monotonic() - self.seconds
        codes = dict(sorted(self.codes.items()))
        print(f"{self.name}: {self.calls:,} calls in {seconds:.0f} s, exit codes {codes}, ", end="")
        print(f"{self.faulty} with a fault, of {len(self.kinds)} kinds")
        for kind, lines in sorted(self.kinds.items(), key=lambda item: -len(item[1])):
            print(f"{len(lines):5}  {json.dumps(kind)[1:-1]}")
            for line in sorted(lines, key=len)[:2]:
                print(f"         {line[:300]}")
        print(f"  slowest {self.slowest[0]:.1f} s: {self.slowest[1][:150]}")
        print(f"  most memory {self.most_bytes[0] / 1e6:,.0f} MB: {self.most_bytes[1][:150]}")
        return self.faulty
