"""What a plan for many devices shows: the ranks, the traffic, and what could be done instead."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from modelcli.ledger.devices import STEP_FLOPS, Choice, DevicePlan, Movement, RankPlan
from modelcli.views.table import Column, Table, json_rows, table_of
from modelcli.views.text import plural, show_bytes, show_dims, show_si

_MOST_UNITS = 3


def rank_columns(plan: DevicePlan) -> tuple[Column, ...]:
    """Return the columns of the ranks."""

    def sizes(key: str, title: str, *, shown: bool = True) -> Column:
        return Column(key=key, title=title, show=show_bytes, align="right", style="green",
                      only=None if shown else "data")  # fmt: skip

    rows = plan.rows
    return (
        Column(key="rank", title="rank", only="json"),
        Column(key="samples", title="samples", align="right"),
        sizes("param_bytes", "parameters"),
        sizes("grad_bytes", "gradients"),
        sizes("state_bytes", "optimizer state"),
        sizes("buffer_bytes", "buffers", shown=any(row.buffer_bytes for row in rows)),
        sizes("gathered_bytes", "gathered", shown=any(row.gathered_bytes for row in rows)),
        sizes("activation_bytes", "activations"),
        Column(key="peak_bytes", title="peak", show=show_bytes, align="right", style="bold"),
    )


def rank_table(plan: DevicePlan) -> Table:
    """Return the ranks, those that hold the same in one row."""
    columns = (
        Column(key="ranks", title="ranks", get=lambda group: _span([row.rank for row in group])),
        *(_of_first(column) for column in rank_columns(plan) if column.only != "json"),
    )
    groups: dict[tuple[int, ...], list[RankPlan]] = {}
    for row in plan.rows:
        groups.setdefault(_holding(row), []).append(row)
    return table_of(
        columns, groups.values(), notes=tuple(_notes(plan)),
        spare=("buffer_bytes", "samples", "gathered_bytes"),
    )  # fmt: skip


def _of_first(column: Column) -> Column:
    return Column(
        key=column.key, title=column.title, show=column.show, align=column.align,
        style=column.style, only=column.only, get=lambda group: column.value(group[0]),
    )  # fmt: skip


def _holding(row: RankPlan) -> tuple[int, ...]:
    return tuple(value for key, value in asdict(row).items() if key != "rank")


def _span(ranks: Sequence[int]) -> str:
    """Write ranks: ``3``, ``0-7``, ``0, 2``, ``0, 2, ... 62``."""
    if len(ranks) > 2 and ranks[-1] - ranks[0] == len(ranks) - 1:
        return f"{ranks[0]}-{ranks[-1]}"
    if len(ranks) > 3:
        return f"{ranks[0]}, {ranks[1]}, ... {ranks[-1]}"
    return ", ".join(map(str, ranks))


def _notes(plan: DevicePlan) -> Iterator[str]:
    layout = plan.layout
    copies = f", {layout.replicas} copies" if layout.parallel == "hsdp" else ""
    yield (
        f"plan      {layout.parallel} on {plural(layout.world, 'rank')}{copies}, a global batch of "
        f"{plan.batch_size:,}, {plan.optimizer}, loss {plan.loss}"
    )
    for given in plan.inputs:
        yield f"input     {given.name}: {show_dims(given.shape)} {given.dtype} ({given.origin})"
    if layout.parallel != "ddp":
        yield f"blocks    {_blocks(plan.units)}"
    for remark in plan.remarks:
        yield f"note      {remark}"
    yield (
        "not known what the allocator keeps beside the tensors, buffers of the network's library, "
        "workspaces"
    )
    if plan.fit is not None:
        fit = plan.fit
        yield (
            f"verdict   {fit.verdict}: {show_bytes(plan.largest.peak_bytes)} and "
            f"{show_bytes(fit.overhead_bytes)} set aside, of {show_bytes(fit.budget_bytes)}"
        )


def _blocks(units: Sequence[str]) -> str:
    if not units:
        return "none beside the model itself: all weights are gathered at once"
    shown = ", ".join(units[:_MOST_UNITS])
    more = f", ... {units[-1]}" if len(units) > _MOST_UNITS else ""
    return f"{len(units)} are gathered one by one: {shown}{more}"


_TRAFFIC = (
    Column(key="collective", title="collective", get=lambda each: each.collective.name),
    Column(key="group", title="ranks", align="right", get=lambda each: each.collective.group),
    Column(key="calls", title="calls", align="right", get=lambda each: each.collective.calls),
    Column(key="bytes", title="bytes", align="right", show=show_bytes,
           get=lambda each: each.collective.nbytes),
    Column(key="sent_bytes", title="sent by a rank", align="right", style="green", show=show_bytes,
           get=lambda each: each.collective.sent_bytes),
    Column(key="time_s", title="time", align="right", style="bold", show=lambda s: _seconds(s)),
)  # fmt: skip


def traffic_table(plan: DevicePlan) -> Table:
    """Return what the collectives of a step move."""
    timed = any(each.time_s is not None for each in plan.traffic)
    columns = _TRAFFIC if timed else _TRAFFIC[:-1]
    return table_of(columns, plan.traffic, title="traffic of a step", notes=tuple(_times(plan)))


def _times(plan: DevicePlan) -> Iterator[str]:
    yield (
        "bytes: what a rank puts in, of a reduce-scatter what it gets; sent: where the ranks "
        "stand in a ring"
    )
    cluster = plan.cluster
    unknown = [each.collective.name for each in plan.traffic if each.time_s is None]
    if unknown and cluster.bandwidth_bits_per_s is not None:
        yield f"time of {', '.join(unknown)}: within a machine; --local-bandwidth tells it"
    if plan.computing_s is not None and cluster.flops_per_s is not None:
        yield (
            f"computing {_seconds(plan.computing_s)} a step at {cluster.mfu:.0%} of "
            f"{show_si(cluster.flops_per_s, 'FLOP/s')}, {STEP_FLOPS} times the forward pass; what "
            "of the traffic is hidden behind it is not told"
        )


def _seconds(seconds: float) -> str:
    return f"{show_si(seconds * 1000)} ms" if seconds < 1 else f"{seconds:.3g} s"


_CHOICES = (
    Column(key="parallel", title="parallel"),
    Column(key="world", title="ranks", align="right"),
    Column(key="replicas", title="copies", align="right"),
    Column(key="samples", title="samples a rank", align="right"),
    Column(key="peak_bytes", title="peak", align="right", style="bold", show=show_bytes),
    Column(key="sent_bytes", title="sent by a rank", align="right", style="green",
           show=show_bytes),
    Column(key="verdict", title="verdict"),
)  # fmt: skip


def choices_table(plan: DevicePlan) -> Table:
    """Return other strategies and worlds, with the smallest world that fits."""
    columns = _CHOICES if plan.fit is not None else _CHOICES[:-1]
    notes = []
    if plan.fit is not None:
        found = plan.smallest
        notes = [
            f"smallest  {parallel}: {plural(choice.world, 'rank')}"
            for parallel, choice in found.items()
        ] or ["smallest  none of these fits"]
    return table_of(columns, plan.choices, title="what if", notes=tuple(notes))


def plan_tables(plan: DevicePlan) -> tuple[Table, ...]:
    """Return all tables of a plan."""
    tables = (rank_table(plan), traffic_table(plan))
    return (*tables, choices_table(plan)) if plan.choices else tables


def plan_body(plan: DevicePlan) -> dict[str, Any]:
    """Return the JSON document, without its envelope."""
    layout = plan.layout
    return {
        "world": layout.world,
        "parallel": layout.parallel,
        "replicas": layout.replicas,
        "reshard": layout.reshard,
        "accumulate": layout.accumulate,
        "nodes": plan.cluster.nodes,
        "batch_size": plan.batch_size,
        "optimizer": plan.optimizer,
        "loss": plan.loss,
        "dtype": plan.dtype,
        "inputs": [asdict(given) for given in plan.inputs],
        "units": list(plan.units),
        "rows": json_rows(rank_columns(plan), plan.rows),
        "traffic": {each.collective.name: each.collective.nbytes for each in plan.traffic},
        "collectives": json_rows(_TRAFFIC, plan.traffic),
        "computing_s": plan.computing_s,
        "fit": None if plan.fit is None else asdict(plan.fit),
        "what_if": json_rows(_CHOICES, plan.choices),
        "smallest": {name: choice.world for name, choice in plan.smallest.items()},
        "remarks": list(plan.remarks),
    }


def verdict_error(plan: DevicePlan) -> tuple[str, str]:
    """Return the two lines of a plan that does not fit."""
    assert plan.fit is not None  # or there is no verdict
    peak, budget = show_bytes(plan.largest.peak_bytes), show_bytes(plan.fit.budget_bytes)
    hint = "--what-if lists other strategies and worlds"
    if plan.choices:
        fitting = next(iter(plan.smallest.values()), None)
        hint = "a smaller --batch-size, --checkpoint or --dtype bfloat16 takes less"
        if fitting is not None:
            hint = f"{fitting.parallel} on {plural(fitting.world, 'rank')} fits"
    return f"a rank takes {peak}, and a device has {budget}", hint


__all__ = ["Choice", "Movement", "plan_body", "plan_tables", "verdict_error"]
