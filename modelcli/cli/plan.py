"""``modelcli plan``: what a run on many devices takes on each, and what it moves."""

from __future__ import annotations

from modelcli.cli._format import FormatOption
from modelcli.cli._memory_options import (
    AccumulateOption,
    AmpOption,
    AttentionOption,
    CheckpointOption,
    DeviceMemoryOption,
    DtypeOption,
    ForOption,
    LossOption,
    OptimizerOption,
    OverheadOption,
    refuse_amp,
)
from modelcli.cli._options import (
    AllowRealOption,
    InputFromOption,
    InputOption,
    KwargOption,
    QuietOption,
    SetOption,
    TargetArgument,
    VerboseOption,
)
from modelcli.cli._output import Output
from modelcli.cli._plan_options import (
    BandwidthOption,
    FlopsOption,
    GlobalBatchOption,
    LocalBandwidthOption,
    MfuOption,
    NodesOption,
    ParallelOption,
    ReplicasOption,
    ReshardOption,
    WhatIfOption,
    WorldOption,
    check_mfu,
)
from modelcli.cli._target import find_model, read_arguments
from modelcli.errors import RunFailedError
from modelcli.ledger.devices import Cluster
from modelcli.planning.device_options import DeviceOptions, make_layout
from modelcli.planning.options import make_memory_options

EXAMPLES = (
    "modelcli plan lenet --world 4 --batch-size 256",
    "modelcli plan hf:gpt2 --parallel fsdp --world 8 --dtype bfloat16 --device-memory 24GB",
    "modelcli plan hf:gpt2 --world 64 --nodes 8 --bandwidth 400Gb --what-if",
)


def command(
    target: TargetArgument,
    parallel: ParallelOption = None,
    world: WorldOption = None,
    batch_size: GlobalBatchOption = None,
    replicas: ReplicasOption = None,
    reshard: ReshardOption = None,
    nodes: NodesOption = None,
    bandwidth: BandwidthOption = None,
    local_bandwidth: LocalBandwidthOption = None,
    peak_flops: FlopsOption = None,
    mfu: MfuOption = None,
    device_memory: DeviceMemoryOption = None,
    overhead: OverheadOption = None,
    what_if: WhatIfOption = False,
    input: InputOption = None,
    input_from: InputFromOption = None,
    kwarg: KwargOption = None,
    set_: SetOption = None,
    optimizer: OptimizerOption = None,
    loss: LossOption = None,
    dtype: DtypeOption = None,
    device: ForOption = None,
    attention: AttentionOption = None,
    checkpoint: CheckpointOption = None,
    accumulate: AccumulateOption = None,
    amp: AmpOption = None,
    allow_real: AllowRealOption = False,
    format: FormatOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Tell what a run on many devices takes on each, and its traffic."""
    out = Output("plan", target=target, format=format, quiet=quiet, verbose=verbose)
    refuse_amp(amp)
    share = check_mfu(mfu, peak_flops)
    arguments = read_arguments(
        target, inputs=input, kwargs=kwarg, settings=set_, factory=input_from
    )
    step = make_memory_options(
        mode="train", optimizer=optimizer, loss=loss, settings=set_ or (), dtype=dtype,
        device=device, attention=attention, checkpoint=tuple(checkpoint or ()),
        budget_bytes=device_memory, overhead_bytes=overhead, allow_real=allow_real,
    )  # fmt: skip
    layout = make_layout(
        parallel=parallel, world=world, replicas=replicas, reshard=reshard,
        accumulate=accumulate, nodes=nodes or 1,
    )  # fmt: skip
    options = DeviceOptions(
        layout=layout,
        cluster=Cluster(
            nodes=nodes or 1, bandwidth_bits_per_s=bandwidth,
            local_bandwidth_bits_per_s=local_bandwidth, flops_per_s=peak_flops, mfu=share,
            budget_bytes=device_memory, overhead_bytes=step.overhead_bytes,
        ),
        batch_size=batch_size or layout.world,
        step=step,
        compare=what_if,
    )  # fmt: skip

    from modelcli.planning.devices import plan_devices
    from modelcli.views.plan import plan_body, plan_tables, verdict_error

    source = find_model(out, arguments)
    plan = plan_devices(source, arguments.request, options)
    out.result(plan_body(plan), *plan_tables(plan))
    if plan.fit is not None and plan.fit.verdict == "does not fit":
        raise RunFailedError(*verdict_error(plan))
