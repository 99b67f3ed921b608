"""``modelcli shapes``: the sizes of feature maps, shown, explained, solved and proved."""

from __future__ import annotations

from modelcli import registry
from modelcli.cli._format import Format, FormatOption
from modelcli.cli._options import (
    AllowRealOption,
    BatchSizeOption,
    ExecutionOption,
    ForceOption,
    InputFromOption,
    KwargOption,
    QuietOption,
    SetOption,
    VerboseOption,
)
from modelcli.cli._output import Output
from modelcli.cli._shapes_common import Picture, check_picture, split_sizes
from modelcli.cli._shapes_options import (
    ExplainOption,
    LayersOption,
    OutputSizeOption,
    PictureOption,
    PlotOption,
    ProveOption,
    ShapeInputOption,
    SolveOption,
    WordsArgument,
)
from modelcli.errors import UsageError

EXAMPLES = (
    "modelcli shapes lenet",
    "modelcli shapes conv-rect --explain",
    "modelcli shapes alexnet --input 1x3x224x224,1x3x256x256",
    "modelcli shapes alexnet --plot -o maps.svg",
    "modelcli shapes --input 3x224x224 conv:64,k7,s2,p3 bn relu maxpool:k3,s2,p1",
    "modelcli shapes --solve --input 224 --output 112 conv:k7",
    "modelcli shapes --layers",
)


def command(
    words: WordsArgument = None,
    input: ShapeInputOption = None,
    explain: ExplainOption = False,
    plot: PlotOption = False,
    picture: PictureOption = None,
    force: ForceOption = False,
    prove: ProveOption = False,
    layers: LayersOption = False,
    solve: SolveOption = False,
    output: OutputSizeOption = None,
    input_from: InputFromOption = None,
    batch_size: BatchSizeOption = None,
    kwarg: KwargOption = None,
    set_: SetOption = None,
    execution: ExecutionOption = None,
    allow_real: AllowRealOption = False,
    format: FormatOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Show each feature map: its size, how it arises, what it sees."""
    target = " ".join(words or []) or None
    out = Output("shapes", target=target, format=format, quiet=quiet, verbose=verbose)
    if layers:
        _describe_layers(out)
        return
    _check(words, solve=solve, output=output)
    check_picture(picture, force=force)
    show = Picture(explain=explain, plot=plot, path=picture)
    if solve:
        from modelcli.cli._shapes_stack import solve_stack

        solve_stack(out, words or [], inputs=input or [], output=output or "")
        return
    if _is_stack(words or []):
        from modelcli.cli._shapes_stack import show_stack

        if prove:
            raise UsageError("--prove needs a model", "a stack of words has no weights to run")
        show_stack(out, words or [], inputs=input or [], show=show)
        return
    from modelcli.cli._shapes_model import show_model
    from modelcli.cli._target import read_arguments

    model = (words or [""])[0]
    arguments = [
        read_arguments(
            model,
            inputs=chosen,
            batch_size=batch_size,
            kwargs=kwarg,
            settings=set_,
            factory=input_from,
        )
        for chosen in split_sizes(input or [])
    ]
    show_model(
        out, model, arguments, execution=execution, allow_real=allow_real, show=show, prove=prove
    )


def _describe_layers(out: Output) -> None:
    from modelcli.views.shapes_words import describe_language, language_body

    if out.format is Format.JSON:
        out.result(language_body())
    else:
        out.text(describe_language())


def _check(words: list[str] | None, *, solve: bool, output: str | None) -> None:
    if not words:
        raise UsageError(
            "shapes needs a model or a stack of layers",
            "try 'modelcli shapes lenet', or 'modelcli shapes --layers' for stacks",
        )
    if solve and output is None:
        raise UsageError("--solve needs --output", "as --output 112, or --output same")
    if output is not None and not solve:
        hint = (
            f"-o {output} draws a picture" if output.endswith((".svg", ".png")) else "add --solve"
        )
        raise UsageError(f"--output {output} is the size that --solve looks for", hint)


def _is_stack(words: list[str]) -> bool:
    """Tell a stack of layers from a model: several words, or one that names a layer."""
    if len(words) != 1:
        return True
    head, colon, rest = words[0].partition(":")
    if "." in head or "/" in head or (not colon and registry.find(head) is not None):
        return False
    from modelcli.feature_maps.words import is_layer_name
    from modelcli.loading.providers import provider_names
    from modelcli.meanings import meanings

    if is_layer_name(head) or head.lower() in meanings("layer"):
        return True
    return head not in provider_names() and (rest[:1].isdigit() or "," in rest)
