"""What a language model takes while it generates."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from modelcli.ledger.language import LanguageMemory
from modelcli.views.table import Column, Table
from modelcli.views.text import show_bytes, show_si


def language_body(found: LanguageMemory) -> dict[str, Any]:
    """Return the part ``llm`` of the JSON document."""
    body = asdict(found)
    weights = body.pop("weights")
    return {**body, "weights": {f"{name}_bytes": nbytes for name, nbytes in weights.items()}}


def language_table(found: LanguageMemory) -> Table:
    """Return what it takes, a line each."""
    tokens = f"{found.decode.context:,} tokens"
    rows = [
        ("cache a token", show_bytes(found.kv_bytes_per_token), ", ".join(found.cache_types)),
        ("cache of a sequence", show_bytes(found.cache_bytes), tokens),
        *(
            (f"weights in {name}", show_bytes(nbytes), _scales(name))
            for name, nbytes in found.weights.items()
        ),
        ("prefill, peak", show_bytes(found.prefill.peak_bytes), tokens),
        ("prefill", show_si(found.prefill.flops, "FLOPs"), tokens),
        ("a token more", show_si(found.decode.flops, "FLOPs"), f"{tokens} before it"),
        ("a token more, read", show_bytes(found.decode.bytes_read), "weights and cache"),
    ]
    if found.sequences is not None:
        rows.append(("sequences that fit", f"{found.sequences:,}", f"of {tokens}"))
    columns = (
        Column(key="what", title="generation"),
        Column(key="value", title="takes", align="right", style="green"),
        Column(key="of", title="of"),
    )
    return Table(columns=columns, rows=tuple(rows), title="Generation")


def _scales(name: str) -> str:
    if name == "bf16":
        return "all"
    grouped = "128 elements" if name == "int4" else "row"
    return f"the blocks' matrices, a scale a {grouped}; the rest in bf16"
