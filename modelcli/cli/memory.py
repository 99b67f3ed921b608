"""``modelcli memory``: will it fit, and what holds the memory."""

from __future__ import annotations

from pathlib import Path

from modelcli.cli._format import FormatOption
from modelcli.cli._memory_options import (
    AccumulateOption,
    AmpOption,
    AttentionOption,
    BatchOption,
    By,
    ByOption,
    CheckpointOption,
    ContextOption,
    DepthOption,
    DeviceMemoryOption,
    DtypeOption,
    ForOption,
    LossOption,
    ModesOption,
    OptimizerOption,
    OverheadOption,
    PictureOption,
    WhatIfOption,
    ZeroGradOption,
    parse_batch_size,
    refuse_amp,
)
from modelcli.cli._memory_show import (
    check_picture,
    judge,
    write_picture,
    write_record,
    write_what_if,
)
from modelcli.cli._options import (
    AllowRealOption,
    ExecutionOption,
    ForceOption,
    InputFromOption,
    InputOption,
    KwargOption,
    QuietOption,
    SetOption,
    TargetArgument,
    VerboseOption,
)
from modelcli.cli._output import Output
from modelcli.cli._target import find_model, read_arguments
from modelcli.errors import UsageError
from modelcli.planning.options import make_memory_options

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
    what_if: WhatIfOption = False,
    context: ContextOption = None,
    out_file: PictureOption = None,
    force: ForceOption = False,
    amp: AmpOption = None,
    execution: ExecutionOption = None,
    allow_real: AllowRealOption = False,
    format: FormatOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Tell what memory training and inference take, and whether it fits."""
    out = Output("memory", target=target, format=format, quiet=quiet, verbose=verbose)
    refuse_amp(amp)
    picture = None if out_file is None else Path(out_file)
    if picture is not None:
        check_picture(picture, force=force)
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

    from modelcli.planning.memory import plan_memory

    source = find_model(out, arguments)
    if what_if:
        write_what_if(out, source, arguments.request, options)
        return
    record = plan_memory(source, arguments.request, options)
    llm = None
    if context is not None:
        from modelcli.planning.language import plan_language

        llm = plan_language(source, arguments.request, options, context=context)
    for attempt in record.attempts:
        out.detail(attempt.told)
    write_record(out, record, by or By.KIND, depth, llm)
    if picture is not None:
        write_picture(out, record, picture)
    judge(record, target)
