"""What ``shapes --prove`` shows: computed and measured receptive fields, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelcli.feature_maps.proof import Claim, Proof, verdict
from modelcli.views.table import Column, Table, json_rows, table_of
from modelcli.views.text import show_axes, show_dims

if TYPE_CHECKING:
    from modelcli.feature_maps.measure import Spans


def _columns(proof: Proof) -> tuple[Column, ...]:
    """Return one column per fact about a claim."""

    def measured(claim: Claim) -> Spans | None:
        return proof.measured.get(claim.key)

    return (
        Column(key="path", title="layer", get=lambda claim: claim.row.path),
        Column(key="output", title="output", show=show_dims,
               get=lambda claim: list(claim.row.result.output_shape)),
        Column(key="cell", title="cell", show=show_dims, get=lambda claim: list(claim.cell)),
        Column(key="receptive_field", title="", only="json",
               get=lambda claim: list(claim.row.receptive_field)),
        Column(key="computed", title="field", align="right", style="green", only="text",
               get=lambda claim: show_axes(claim.row.receptive_field)),
        Column(key="computed", title="", only="json", get=lambda claim: _lists(claim.spans)),
        Column(key="computed_span", title="sees, computed", only="text",
               get=lambda claim: show_spans(claim.spans)),
        Column(key="measured", title="", only="json", get=lambda claim: _lists(measured(claim))),
        Column(key="measured_span", title="sees, measured", only="text",
               get=lambda claim: show_spans(measured(claim))),
        Column(key="verdict", title="verdict", get=lambda claim: verdict(claim, proof.measured)),
    )  # fmt: skip


def proof_table(proof: Proof) -> Table:
    """Return one row per layer: computed, measured, and whether they agree."""
    notes = [
        f"measured on an input of {show_dims(proof.input_shape)}: the gradient of the cell in the "
        "middle, absolute weights, average instead of max"
    ]
    if any(claim.cut for claim in proof.claims):
        notes.append("within the border: the field is larger than the input leaves room for")
    return table_of(
        _columns(proof), proof.claims, notes=tuple(notes), title="receptive fields, proved"
    )


def show_spans(spans: Spans | None) -> str:
    """Write the cells seen along each axis: ``43-469``, ``43-469 x 10-20``."""
    if spans is None:
        return "not reached"
    texts = ["nothing" if span is None else f"{span[0]}-{span[1]}" for span in spans]
    return texts[0] if len(set(texts)) == 1 else " x ".join(texts)


def proof_body(proof: Proof) -> dict[str, Any]:
    """Return the comparison as JSON."""
    rows = json_rows(_columns(proof), proof.claims)
    return {"proof": {"input": list(proof.input_shape), "rows": rows}}


def _lists(spans: Spans | None) -> list[list[int] | None] | None:
    return None if spans is None else [None if span is None else list(span) for span in spans]
