"""What the commands do, in code: one function per command, each returns a record."""

from __future__ import annotations

from modelcli.api.comparing import Compared, compare
from modelcli.api.devices import Plan, plan
from modelcli.api.graphs import Graph, graph
from modelcli.api.judging import Checked, check
from modelcli.api.maps import FeatureMaps, shapes
from modelcli.api.memory_use import Memory, memory
from modelcli.api.pages import ModelReport, report
from modelcli.api.runs import Curves, plot, train
from modelcli.api.structure import Summary, summary
from modelcli.api.tensors import Comparison, Parameters, diff, params
from modelcli.api.timing import Times, time
from modelcli.api.values import Run, run

__all__ = [
    "Checked",
    "Compared",
    "Comparison",
    "Curves",
    "FeatureMaps",
    "Graph",
    "Memory",
    "ModelReport",
    "Parameters",
    "Plan",
    "Run",
    "Summary",
    "Times",
    "check",
    "compare",
    "diff",
    "graph",
    "memory",
    "params",
    "plan",
    "plot",
    "report",
    "run",
    "shapes",
    "summary",
    "time",
    "train",
]
