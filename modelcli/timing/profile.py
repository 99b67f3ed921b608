"""A profile of some passes for other tools: torch's profiler, in Chrome's format."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from modelcli.loading.device import synchronize
from modelcli.timing.subject import Subject

PASSES = 3


def profile_passes(subject: Subject, device: torch.device) -> bytes:
    """Return what the profiler sees of some passes, as JSON.

    ``chrome://tracing``, https://ui.perfetto.dev and TensorBoard read it. Its times contain the
    profiler's own cost, and are not those that ``time`` prints.
    """
    activities = [ProfilerActivity.CPU]
    if device.type == "cuda":
        activities.append(ProfilerActivity.CUDA)
    with subject.context(), profile(activities=activities, acc_events=True) as profiler:
        for _ in range(PASSES):
            subject.run()
        synchronize(device)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, "trace.json")
        profiler.export_chrome_trace(str(made))
        return made.read_bytes()
