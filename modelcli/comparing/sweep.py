"""Many models, one after another or in several processes; each row as soon as it is there."""

from __future__ import annotations

import concurrent.futures
import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool

from modelcli.comparing.measure import measure
from modelcli.comparing.options import MeasureOptions
from modelcli.comparing.row import ModelRow

Pool = concurrent.futures.ProcessPoolExecutor


def sweep(targets: Sequence[str], options: MeasureOptions, *, jobs: int = 1) -> Iterator[ModelRow]:
    """Measure models and yield their rows, in the order in which they are finished.

    Args:
        targets: what to measure.
        options: how.
        jobs: processes; with one, this process does it, and nothing is started.
    """
    if jobs == 1 or len(targets) < 2:
        for target in targets:
            yield measure(target, options)
        return
    waiting = list(targets)
    while waiting:
        lost: list[str] = []
        for target, row in _in_processes(waiting, options, min(jobs, len(waiting))):
            if row is None:
                lost.append(target)
            else:
                waiting.remove(target)
                yield row
        for target in lost:  # one of these ended its process: which, is seen one by one
            waiting.remove(target)
            yield _alone(target, options)


def _in_processes(
    targets: Sequence[str], options: MeasureOptions, jobs: int
) -> Iterator[tuple[str, ModelRow | None]]:
    """Yield each target with its row, until a process dies: then those in work, without one."""
    rest = iter(targets)
    with _pool(jobs) as pool:
        work = {pool.submit(measure, t, options): t for t in itertools.islice(rest, 2 * jobs)}
        try:
            while work:
                done, _ = concurrent.futures.wait(
                    work, return_when=concurrent.futures.FIRST_COMPLETED
                )
                for future in done:
                    row = future.result()
                    yield work.pop(future), row
                for target in itertools.islice(rest, len(done)):
                    work[pool.submit(measure, target, options)] = target
        except BrokenProcessPool:
            for target in work.values():
                yield target, None
        finally:
            pool.shutdown(cancel_futures=True)


def _alone(target: str, options: MeasureOptions) -> ModelRow:
    with _pool(1) as pool:
        try:
            return pool.submit(measure, target, options).result()
        except BrokenProcessPool:
            return ModelRow(target=target, error="the process that measured it died")


def _pool(jobs: int) -> Pool:
    context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
    return Pool(max_workers=jobs, mp_context=context, initializer=_prepare_worker)


def _prepare_worker() -> None:
    """Leave Ctrl-C to the parent, end with it, and keep to one core."""
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
