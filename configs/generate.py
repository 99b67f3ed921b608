"""Write the table of keys of this folder's README from the keys themselves.

python configs/generate.py
"""

from __future__ import annotations

import re
from pathlib import Path

from modelcli.config import keys_table

README = Path(__file__).parent / "README.md"


def main() -> None:
    """Replace the table that is there."""
    text = README.read_text(encoding="utf-8")
    table = "\n".join(keys_table()) + "\n"
    README.write_text(
        re.sub(r"\| key \| default .*", lambda _: table, text, flags=re.DOTALL), encoding="utf-8"
    )


if __name__ == "__main__":
    main()
