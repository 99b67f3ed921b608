"""Work in threads of the model's own is part of the pass; another process is named."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import process
from multiprocessing.pool import Pool, ThreadPool
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from modelcli.loading.source import Source
from modelcli.loading.types import InputRequest, InputSpec
from modelcli.observe import observe
from modelcli.tracing.record import Trace

RUNGS = ["meta", "fake", "real"]


class Branches(nn.Module):
    """Two branches of 64 and 128 MACs for a batch of 4, put together outside of any layer."""

    def __init__(self, run: Callable[..., Any]) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 8)
        self.mix = nn.Parameter(torch.ones(8, 8))
        self.run = run

    def forward(self, x: Tensor) -> Tensor:
        one, two = self.run((self.a, self.b), x)
        return torch.cat([one, two @ self.mix[:, :4]], dim=1)


def with_executor(layers: Any, x: Tensor) -> Any:
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda layer: layer(x), layers))


def with_submit(layers: Any, x: Tensor) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return [future.result() for future in [pool.submit(layer, x) for layer in layers]]


def with_threads(layers: Any, x: Tensor) -> Any:
    made: dict[int, Tensor] = {}

    def work(number: int, layer: nn.Module) -> None:
        made[number] = layer(x)

    threads = [threading.Thread(target=work, args=item) for item in enumerate(layers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return made[0], made[1]


class Worker(threading.Thread):
    """A thread with a ``run`` of its own."""

    def __init__(self, layer: nn.Module, x: Tensor) -> None:
        super().__init__()
        self.layer, self.x, self.made = layer, x, x

    def run(self) -> None:
        self.made = self.x @ self.layer.weight.t() + self.layer.bias


def with_subclass(layers: Any, x: Tensor) -> Any:
    workers = [Worker(layer, x) for layer in layers]
    for worker in workers:
        worker.start()
        worker.join()
    return [worker.made for worker in workers]


def with_thread_pool(layers: Any, x: Tensor) -> Any:
    with ThreadPool(2) as pool:
        return pool.map(lambda layer: layer(x), layers)


def with_threads_in_threads(layers: Any, x: Tensor) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(with_threads, layers, x).result()


def with_threads_that_wait_for_each_other(layers: Any, x: Tensor) -> Any:
    together = threading.Barrier(2, timeout=30)

    def work(layer: nn.Module) -> Tensor:
        together.wait()
        made = layer(x)
        together.wait()
        return made

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(work, layers))


WAYS = [
    with_executor, with_submit, with_threads, with_subclass, with_thread_pool,
    with_threads_in_threads, with_threads_that_wait_for_each_other,
]  # fmt: skip


def look(run: Callable[..., Any], **options: Any) -> Trace:
    source = Source(label="branches", construct=lambda: Branches(run))
    request = InputRequest(specs=(InputSpec(shape=(4, 4)),))
    trace = observe(source, request, **options)
    assert trace.failure is None, trace.failure
    return trace


@pytest.mark.parametrize("execution", RUNGS)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_branches_in_threads_are_counted(way: Callable[..., Any], execution: str) -> None:
    trace = look(way, execution=execution)
    assert (trace.totals.macs, trace.coverage.complete) == (4 * 16 + 4 * 32 + 4 * 32, True)
    assert trace.totals.executed_params == trace.totals.params == 20 + 40 + 64
    assert trace.output_shapes == ((4, 8),)


@pytest.mark.parametrize("way", WAYS[:3], ids=lambda way: way.__name__)
def test_rows_have_the_order_in_which_the_work_was_given(way: Callable[..., Any]) -> None:
    rows = [
        (node.path, node.macs) for node in look(way).nodes if node.kind == "module" and node.path
    ]
    assert rows == [("a", 64), ("b", 128)]


def test_a_pool_that_was_there_before_the_pass() -> None:
    with ThreadPoolExecutor(2) as pool, ThreadPool(2) as other:
        pool.submit(int).result()

        def run(layers: Any, x: Tensor) -> Any:
            return pool.submit(layers[0], x).result(), other.apply(layers[1], (x,))

        assert look(run).totals.macs == 4 * 16 + 4 * 32 + 4 * 32


def test_a_layer_on_a_thread_that_nobody_saw_start() -> None:
    todo: queue.Queue[Any] = queue.Queue()
    done: queue.Queue[Any] = queue.Queue()

    def serve() -> None:
        while (work := todo.get()) is not None:
            done.put(work[0](work[1]))

    server = threading.Thread(target=serve)
    server.start()

    def run(layers: Any, x: Tensor) -> Any:
        for layer in layers:
            todo.put((layer, x))
        return done.get(timeout=30), done.get(timeout=30)

    trace = look(run)
    todo.put(None)
    server.join()
    assert (trace.totals.macs, trace.totals.executed_params) == (320, 124)


def test_the_backward_of_work_in_threads_is_counted() -> None:
    alone = look(lambda layers, x: [layer(x) for layer in layers], backward=True)
    threaded = look(with_executor, backward=True)
    assert alone.totals.backward_flops is not None
    assert threaded.totals.backward_flops == alone.totals.backward_flops == 2 * 2 * 320


def test_an_exception_in_a_thread_is_that_of_the_layer() -> None:
    source = Source(label="branches", construct=lambda: Branches(with_executor))
    trace = observe(source, InputRequest(specs=(InputSpec(shape=(4, 5)),)))
    assert trace.failure is not None
    assert (trace.failure.path, trace.failure.type) == ("a", "RuntimeError")


def test_nothing_is_left_changed() -> None:
    before = (
        threading.Thread.start, ThreadPoolExecutor.submit, process.BaseProcess.start,
        Pool.apply_async, Pool._map_async, Pool.imap, nn.Module.__call__,
    )  # fmt: skip
    kept: list[threading.Thread] = []
    go = threading.Event()
    made: list[Tensor] = []

    def run(layers: Any, x: Tensor) -> Any:
        def later() -> None:
            go.wait(30)
            made.append(torch.zeros(1000))

        kept.append(threading.Thread(target=later))
        kept[0].start()
        return [layer(x) for layer in layers]

    look(run, execution="meta")
    after = (
        threading.Thread.start, ThreadPoolExecutor.submit, process.BaseProcess.start,
        Pool.apply_async, Pool._map_async, Pool.imap, nn.Module.__call__,
    )  # fmt: skip
    assert before == after
    go.set()
    kept[0].join()
    assert made[0].device.type == "cpu"  # a thread that outlives the pass is the model's own again


def test_another_process_is_named() -> None:
    class Nothing(process.BaseProcess):
        def start(self) -> None:  # what a platform's own class calls
            process.BaseProcess.start(self)

        @staticmethod
        def _Popen(_process: Any) -> Any:
            class Ended:
                sentinel = None

                def poll(self) -> int:
                    return 0

                def wait(self, _timeout: float | None = None) -> int:
                    return 0

            return Ended()

    def run(layers: Any, x: Tensor) -> Any:
        child = Nothing(name="child")
        child.start()
        child.join()
        return [layer(x) for layer in layers]

    trace = look(run)
    assert dict(trace.coverage.uncounted) == {"another process": 1}
    assert dict(trace.coverage.reasons) == {
        "another process": "what runs in another process is not seen"
    }
    assert not trace.coverage.complete
