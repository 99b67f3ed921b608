"""Several processes on CUDA devices: nccl, one GPU each."""

from __future__ import annotations

import json
from typing import Any

import pytest

from modelcli.cli import main

pytestmark = pytest.mark.cuda

WORDS = "train lenet --device cuda --steps 5 --log-every 1 --format json -q".split()


@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_one_process_speaks_nccl(parallel: str, capfd: Any) -> None:
    assert main([*WORDS, "--nproc", "1", "--parallel", parallel]) == 0
    record = json.loads(capfd.readouterr().out)
    assert record["device"].startswith("cuda:0")
    assert record["engine"] == parallel
    assert record["loss"]["last"] < record["loss"]["first"]


def test_a_graph_is_for_one_process(capfd: Any) -> None:
    assert main([*WORDS, "--nproc", "1", "--engine", "graph"]) == 2
    assert "--engine graph runs in one process" in capfd.readouterr().err
