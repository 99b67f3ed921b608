"""What ``shapes --prove`` shows: computed and measured receptive fields, side by side."""

from __future__ import annotations

from typing import Any

from modelcli.feature_maps.proof import Proof, Spans, verdict
from modelcli.views.shapes_table import show_axes
from modelcli.views.table import Column, Table
from modelcli.views.text import show_dims


def proof_table(proof: Proof) -> Table:
    """Return one row per layer: computed, measured, and whether they agree."""
    rows = tuple(
        (
            claim.path,
            list(claim.output),
            "x".join(map(str, claim.cell)),
            show_axes(claim.extents),
            show_spans(claim.spans),
            show_spans(proof.measured.get(claim.key)),
            verdict(claim, proof.measured),
        )
        for claim in proof.claims
    )
    shape = show_dims(proof.input_shape)
    notes = [
        f"measured on an input of {shape}: the gradient of the cell in the middle, absolute "
        "weights, average instead of max"
    ]
    if any(claim.cut for claim in proof.claims):
        notes.append("within the border: the field is larger than the input leaves room for")
    return Table(
        columns=(
            Column(key="path", title="layer"),
            Column(key="output", title="output", show=show_dims),
            Column(key="cell", title="cell"),
            Column(key="computed", title="field", align="right", style="green"),
            Column(key="computed_span", title="sees, computed"),
            Column(key="measured_span", title="sees, measured"),
            Column(key="verdict", title="verdict"),
        ),
        rows=rows,
        notes=tuple(notes),
        title="receptive fields, proved",
    )


def show_spans(spans: Spans | None) -> str:
    """Write the cells seen along each axis: ``43-469``, ``43-469 x 10-20``."""
    if spans is None:
        return "not reached"
    texts = ["nothing" if span is None else f"{span[0]}-{span[1]}" for span in spans]
    return texts[0] if len(set(texts)) == 1 else " x ".join(texts)


def proof_body(proof: Proof) -> dict[str, Any]:
    """Return the comparison as JSON."""
    return {
        "proof": {
            "input": list(proof.input_shape),
            "rows": [
                {
                    "path": claim.path,
                    "output": list(claim.output),
                    "cell": list(claim.cell),
                    "receptive_field": list(claim.extents),
                    "computed": _lists(claim.spans),
                    "measured": _lists(proof.measured.get(claim.key)),
                    "verdict": verdict(claim, proof.measured),
                }
                for claim in proof.claims
            ],
        }
    }


def _lists(spans: Spans | None) -> list[list[int] | None] | None:
    return None if spans is None else [None if span is None else list(span) for span in spans]
