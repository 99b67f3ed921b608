"""``modelcli memory``: will it fit, and what holds the memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelcli.cli._format import Format, FormatOption
from modelcli.cli._memory_options import (
    AccumulateOption,
    AmpOption,
    AttentionOption,
    BatchOption,
    By,
    ByOption,
    CheckpointOption,
    DepthOption,
    DeviceMemoryOption,
    DtypeOption,
    ForOption,
    LossOption,
    ModesOption,
    OptimizerOption,
    OverheadOption,
    ZeroGradOption,
    parse_batch_size,
    refuse_amp,
)
from modelcli.cli._options import (
    AllowRealOption,
    ExecutionOption,
    InputFromOption,
    InputOption,
    KwargOption,
    QuietOption,
    SetOption,
    TargetArgument,
    VerboseOption,
)
from modelcli.cli._output import Output
from modelcli.cli._target import note_remarks, read_arguments
from modelcli.errors import RunFailedError, UsageError
from modelcli.planning.options import make_memory_options

if TYPE_CHECKING:
    from modelcli.ledger.record import MemoryRecord

EXAMPLES = (
    "modelcli memory lenet",
    "modelcli memory torchvision:resnet50 --batch-size 32 --device-memory 24GB",
    "modelcli memory torchvision:resnet50 --batch-size max --device-memory rtx-4090",
    "modelcli memory timm:vit_base_patch16_224 --by layer --checkpoint 'blocks.*'",
    "modelcli memory hf:gpt2 --dtype bfloat16 --optimizer sgd --format json",
)


def command(
    target: TargetArgument,
    input: InputOption = None,
    input_from: InputFromOption = None,
    batch_size: BatchOption = None,
    kwarg: KwargOption = None,
    set_: SetOption = None,
    mode: ModesOption = None,
    optimizer: OptimizerOption = None,
    loss: LossOption = None,
    dtype: DtypeOption = None,
    device: ForOption = None,
    attention: AttentionOption = None,
    zero_grad: ZeroGradOption = None,
    checkpoint: CheckpointOption = None,
    accumulate: AccumulateOption = None,
    device_memory: DeviceMemoryOption = None,
    overhead: OverheadOption = None,
    by: ByOption = None,
    depth: DepthOption = None,
    amp: AmpOption = None,
    execution: ExecutionOption = None,
    allow_real: AllowRealOption = False,
    format: FormatOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Tell what training and inference take, what holds it, and whether it fits."""
    out = Output("memory", target=target, format=format, quiet=quiet, verbose=verbose)
    refuse_amp(amp)
    if depth is not None and depth < 0:
        raise UsageError(f"--depth {depth} is not possible", "give 0 for all levels, or 1 and more")
    arguments = read_arguments(
        target, inputs=input, kwargs=kwarg, settings=set_, factory=input_from
    )
    options = make_memory_options(
        mode=mode, batch_size=parse_batch_size(batch_size), optimizer=optimizer, loss=loss,
        settings=set_ or (), dtype=dtype, device=device, attention=attention, zero_grad=zero_grad,
        checkpoint=tuple(checkpoint or ()), accumulate=accumulate, budget_bytes=device_memory,
        overhead_bytes=overhead, execution=execution, allow_real=allow_real,
    )  # fmt: skip

    from modelcli.loading.find import find_source
    from modelcli.planning.memory import plan_memory

    source = find_source(arguments.target, arguments.model_kwargs)
    note_remarks(out, source.remarks)
    record = plan_memory(source, arguments.request, options)
    for attempt in record.attempts:
        out.detail(f"{attempt.execution}: {attempt.stage} failed: {attempt.reason}")
    _write(out, record, by or By.KIND, depth)
    _judge(record, target)


def _write(out: Output, record: MemoryRecord, by: By, depth: int | None) -> None:
    from modelcli.views.memory import (
        DEFAULT_DEPTH,
        kind_table,
        layer_table,
        memory_body,
        time_table,
    )

    if out.format is Format.JSON:
        out.result(memory_body(record))
    elif by is By.LAYER:
        out.result({}, layer_table(record, depth=DEFAULT_DEPTH if depth is None else depth or None))
    else:
        out.result({}, time_table(record) if by is By.TIME else kind_table(record))


def _judge(record: MemoryRecord, target: str) -> None:
    """Raise where the forward failed, or where the model does not fit."""
    from modelcli.views.memory import verdict_error

    failure = record.failure
    if failure is not None:
        where = f" in '{failure.path}'" if failure.path else ""
        raise RunFailedError(
            f"the pass failed{where}: {failure.type}: {failure.message}",
            f"the numbers are those up to there; 'modelcli summary {target}' shows the layers",
        )
    if record.fit is not None and record.fit.verdict == "does not fit":
        raise RunFailedError(*verdict_error(record))
