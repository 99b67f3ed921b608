"""MC5xx: the size of numbers, and what they are made of."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from modelcli.checks.observe.locate import raising_place
from modelcli.checks.record import CannotRun, Finding, Options, Severity
from modelcli.checks.rule import Rule, example
from modelcli.checks.rules.usage import place_of

if TYPE_CHECKING:
    from modelcli.checks.observe.context import Context
    from modelcli.checks.observe.probe import Depth, Seen
    from modelcli.tracing.record import Call

# Calibrated on the sound models of benchmarks/checks.py.
_FEWEST_LAYERS = 8
_DEPTH_RATIO = 1e4
_STEADY = 0.8
_DEAD_SHARE = 0.9


class NotFinite(Rule):
    """NaN or infinity at initialisation."""

    id = "MC501"
    title = "NaN or infinity at initialisation"
    severity = Severity.ERROR
    needs = "values"
    why = "The first loss is NaN, and everything after it."
    fix = "Keep logarithms, roots and divisions off zero: torch.log(x + 1e-6), clamp_min(x, 1e-6)."
    input = "2x4"
    wrong = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(4, 4)

            def forward(self, x):
                hidden = torch.relu(self.fc(x))
                return torch.log(hidden) * hidden  # log(0) * 0
    """)
    right = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(4, 4)

            def forward(self, x):
                hidden = torch.relu(self.fc(x))
                return torch.log(hidden + 1e-6) * hidden
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Look at outputs and gradients; if they are not finite, for the first that is not."""
        ran = context.eval_pass
        finite = all(_is_finite(tensor) for tensor in ran.outputs)
        if finite and ran.gradients_finite:
            return
        seen, repeats = _search(context)
        if not finite:
            yield self._report(seen, repeats)
            return
        bad = next(
            name
            for name, parameter in reversed(list(ran.model.named_parameters()))
            if parameter.grad is not None and not _is_finite(parameter.grad)
        )
        yield self.found(
            bad,
            "outputs are finite, the gradient is not: a root or a norm at zero behind it",
            place=place_of(ran.model, bad),
        )

    def _report(self, seen: Seen, repeats: bool) -> Finding:
        event = seen.nonfinite
        severity = None if repeats else Severity.INFO
        when = "" if repeats else " for inputs below zero"
        if event is None:
            return self.found("", f"the output is not finite{when}", severity=severity)
        where = f"'{event.path}'" if event.path else "forward"
        return self.found(
            event.path,
            f"{event.op} in {where} is the first to make {event.detail}{when}",
            severity=severity,
            place=event.place,
        )


def _is_finite(tensor: Any) -> bool:
    import torch

    return bool(torch.isfinite(tensor).all())


def _search(context: Context) -> tuple[Seen, bool]:
    """Run again, function by function; tell whether inputs from [0, 1) fail, too."""
    import torch

    from modelcli.checks.observe.passes import names_of
    from modelcli.checks.observe.probe import watch_pass
    from modelcli.checks.observe.values import output_tensors

    model = context.fresh().eval()
    batch = context.eval_pass.batch
    for positive in (True, False):
        inputs = context.filled(model, batch, positive=positive)
        with torch.no_grad():
            seen = watch_pass(model, inputs, known=names_of(model), nonfinite=True)
        outputs = output_tensors(seen.output)
        if positive and not all(_is_finite(tensor) for tensor in outputs):
            return seen, True
    return seen, not context.eval_pass.gradients_finite and all(map(_is_finite, outputs))


class DepthScale(Rule):
    """Activations or gradients vanish or explode through depth."""

    id = "MC502"
    title = "signals vanish or explode through depth"
    needs = "values"
    why = "Layers at one end do not learn, or the first steps overflow."
    fix = "Initialise for the activation (kaiming for ReLU), normalise, or add residual branches."
    input = "8x32"
    wrong = example("""
        class Net(nn.Sequential):
            def __init__(self):
                layers = []
                for _ in range(20):
                    layers += [nn.Linear(32, 32), nn.Sigmoid()]
                super().__init__(*layers, nn.Linear(32, 2))
    """)
    right = example("""
        class Net(nn.Sequential):
            def __init__(self):
                layers = []
                for _ in range(20):
                    layers += [nn.Linear(32, 32), nn.LayerNorm(32), nn.ReLU()]
                super().__init__(*layers, nn.Linear(32, 2))
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Fit a line through the logarithms, layer by layer."""
        ran = context.train_pass
        depths = [depth for depth in ran.seen.depths if depth.activation > 0]
        if len(depths) < _FEWEST_LAYERS:
            raise CannotRun(f"fewer than {_FEWEST_LAYERS} layers with weights ran")
        spreads = [depth.activation for depth in depths]
        yield from self._judge(depths, spreads, "the spread of the activations")
        flowing = [depth for depth in depths if depth.gradient]  # zero is MC203's or MC505's
        sizes = [depth.gradient or 0.0 for depth in flowing]
        if len(flowing) >= _FEWEST_LAYERS:
            yield from self._judge(flowing, sizes, "the gradient")

    def _judge(
        self, depths: Sequence[Depth], sizes: Sequence[float], what: str
    ) -> Iterator[Finding]:
        ratio, steadiness = trend(sizes)
        if max(ratio, 1 / ratio) < _DEPTH_RATIO or steadiness < _STEADY:
            return
        ends = [depths[0].path or depths[0].op, depths[-1].path or depths[-1].op]
        if what == "the gradient":  # which goes the other way
            ends.reverse()
            ratio = 1 / ratio
        direction, change = ("falls", 1 / ratio) if ratio < 1 else ("grows", ratio)
        start = _where_it_starts(depths, sizes)
        yield self.found(
            start.path,
            f"{what} {direction} {change:.1g} times from '{ends[0]}' to '{ends[1]}' over "
            f"{len(depths)} layers; '{start.path or start.op}' is the first to differ tenfold",
        )


def trend(sizes: Sequence[float]) -> tuple[float, float]:
    """Return the factor from first to last of a line through the logarithms, and |r|."""
    floor = 1e-30
    logs = [math.log(max(size, floor)) for size in sizes]
    n = len(logs)
    mean_x, mean_y = (n - 1) / 2, sum(logs) / n
    xx = sum((x - mean_x) ** 2 for x in range(n))
    xy = sum((x - mean_x) * (y - mean_y) for x, y in enumerate(logs))
    yy = sum((y - mean_y) ** 2 for y in logs)
    slope = xy / xx if xx else 0.0
    steadiness = abs(xy) / math.sqrt(xx * yy) if xx and yy else 0.0
    return math.exp(max(-300.0, min(300.0, slope * (n - 1)))), steadiness


def _where_it_starts(depths: Sequence[Depth], sizes: Sequence[float]) -> Depth:
    """Return the first layer at which the size is a tenth of, or ten times, the first one's."""
    first = max(sizes[0], 1e-30)
    for depth, size in zip(depths, sizes, strict=True):
        if not 0.1 < size / first < 10:
            return depth
    return depths[-1]


_CE = ("cross_entropy", "nll")


def assumed_loss(context: Context) -> str | None:
    """Return the loss that was given, or that goes with the task."""
    if context.options.loss is not None:
        return context.options.loss
    return "cross_entropy" if context.is_classifier else None


class FirstLoss(Rule):
    """The first loss is far from ln C."""

    id = "MC503"
    title = "the first loss is far from ln C"
    needs = "labels"
    why = (
        "A model that knows nothing gives every class the same chance, and has the loss ln C. Here "
        "the first steps only unlearn confident nonsense."
    )
    fix = "Make the last layer's weights smaller: nn.init.normal_(head.weight, std=0.01)."
    input = "8x16"
    options = Options(loss="cross_entropy")
    wrong = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.head = nn.Linear(16, 10)
                nn.init.normal_(self.head.weight)  # a standard deviation of 1

            def forward(self, x):
                return self.head(x)
    """)
    right = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.head = nn.Linear(16, 10)
                nn.init.normal_(self.head.weight, std=0.01)

            def forward(self, x):
                return self.head(x)
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Compute the cross-entropy's mean over all labels in train mode."""
        if assumed_loss(context) not in _CE:
            raise CannotRun("needs classes; --loss cross_entropy says so")
        outputs = context.train_pass.outputs
        if not outputs or outputs[0].dim() < 2 or outputs[0].shape[1] < 2:
            raise CannotRun("the output has no classes in dimension 1")
        scores = outputs[0].float()
        classes = scores.shape[1]
        loss = float((scores.logsumexp(1) - scores.mean(1)).mean())
        expected = math.log(classes)
        if math.isfinite(loss) and loss - expected > max(1.0, 0.25 * expected):
            yield self.found(
                "",
                f"the first loss is {loss:.3g}; for {classes} classes it should be near "
                f"ln {classes} = {expected:.3g} (the scores' spread is {float(scores.std()):.2g})",
            )


_SOFT = {"softmax": "softmax", "Softmax": "softmax", "log_softmax": "log_softmax",
         "LogSoftmax": "log_softmax", "Softmax2d": "softmax"}  # fmt: skip
_SIGMOID = ("sigmoid", "Sigmoid")


class SoftmaxTwice(Rule):
    """Softmax before cross-entropy, sigmoid before BCE-with-logits."""

    id = "MC504"
    title = "the loss applies softmax or sigmoid again"
    needs = "pass"
    why = (
        "CrossEntropyLoss and BCEWithLogitsLoss take raw scores. Applied twice, the gradient is "
        "flat, and the loss cannot come near zero."
    )
    fix = "Return the scores as they are; apply softmax where probabilities are shown."
    input = "2x8"
    options = Options(loss="cross_entropy")
    wrong = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(8, 3)

            def forward(self, x):
                return torch.softmax(self.fc(x), dim=1)
    """)
    right = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(8, 3)

            def forward(self, x):
                return self.fc(x)
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Go back from the output to the function that made it."""
        shapes = context.ran.output_shapes
        if not shapes:
            return
        loss = assumed_loss(context)
        if loss is None:
            raise CannotRun("needs a loss; --loss names it")
        for call in context.chain.last(shapes[0]):
            maker = context.chain.back_through(call)
            finding = self._judge(context, maker, loss)
            if finding is not None:
                yield finding
                return

    def _judge(self, context: Context, maker: Call, loss: str) -> Finding | None:
        given = context.options.loss is not None
        soft = _SOFT.get(maker.base)
        if loss == "cross_entropy" and soft is not None:
            severity = Severity.ERROR if given and soft == "softmax" else Severity.WARNING
            condition = "" if given else " (assumed: say --loss nll if not)"
            return self._of_softmax(maker, soft, severity, condition)
        if loss == "bce_with_logits" and maker.base in _SIGMOID:
            return self.found(
                maker.path,
                f"{maker.type} makes the output, and bce_with_logits applies sigmoid again",
                severity=Severity.ERROR,
                fix="Return the scores as they are, or train with BCELoss.",
            )
        return None

    def _of_softmax(self, maker: Call, soft: str, severity: Severity, condition: str) -> Finding:
        fix = "Return the scores as they are, or train with NLLLoss." if "log" in soft else None
        return self.found(
            maker.path,
            f"{maker.type} makes the output, and cross_entropy applies log-softmax "
            f"again{condition}",
            severity=severity,
            fix=fix,
        )


class DeadUnits(Rule):
    """Dead ReLU units at initialisation."""

    id = "MC505"
    title = "dead ReLU units at initialisation"
    needs = "values"
    why = "A unit that is zero for every sample gets no gradient and never comes back."
    fix = "Start biases at zero and weights around zero; normalise the input; or use LeakyReLU."
    input = "32x16"
    wrong = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc1 = nn.Linear(16, 32)
                self.fc2 = nn.Linear(32, 2)
                nn.init.constant_(self.fc1.bias, -10)

            def forward(self, x):
                return self.fc2(torch.relu(self.fc1(x)))
    """)
    right = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc1 = nn.Linear(16, 32)
                self.fc2 = nn.Linear(32, 2)
                nn.init.zeros_(self.fc1.bias)

            def forward(self, x):
                return self.fc2(torch.relu(self.fc1(x)))
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Count the units of every ReLU that are zero for all samples and places."""
        ran = context.train_pass
        told: set[str] = set()
        for seen in ran.seen.rectified:
            few = seen.units < 4 or seen.values < (64 if seen.units < 8 else 8)
            if few or seen.dead < _DEAD_SHARE * seen.units or seen.path in told:
                continue
            told.add(seen.path)
            where = f"'{seen.path}'" if seen.path else "forward"
            yield self.found(
                seen.path,
                f"{seen.dead} of {seen.units} units of {seen.op} in {where} are zero for all of "
                f"{seen.values} values",
                place=seen.place,
            )


class HardDtype(Rule):
    """float64 or a hard-coded dtype inside."""

    id = "MC506"
    title = "a hard-coded dtype inside"
    needs = "values"
    why = (
        "float64 is many times slower on a GPU, and model.half() or bfloat16() stops with an error."
    )
    fix = "Make tensors like their neighbours: torch.zeros_like(x), dtype=x.dtype."
    input = "2x4"
    wrong = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(4, 2)

            def forward(self, x):
                scale = torch.full((4,), 0.5, dtype=torch.float64, device=x.device)
                return self.fc((x * scale).float())
    """)
    right = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(4, 2)

            def forward(self, x):
                scale = torch.full((4,), 0.5, dtype=x.dtype, device=x.device)
                return self.fc(x * scale)
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Look for float64 made of float32, then run in bfloat16 on meta."""
        import torch

        told = False
        for event in _doubles(context):
            told = True
            where = f" in '{event.path}'" if event.path else ""
            yield self.found(event.path, f"{event.op}{where} {event.detail}", place=event.place)
        if told:
            return
        if any(t.dtype not in _ORDINARY for t in context.ran.tensors if t.kind == "parameter"):
            raise CannotRun("the parameters are not float32")
        error = run_on_meta(context, dtype=torch.bfloat16)
        if error is not None and _is_about_dtype(error):
            yield self.found(
                _raising_path(error),
                f"in bfloat16 it stops: {str(error).strip().splitlines()[0]}",
                place=raising_place(error),
            )


_ORDINARY = ("float32",)


def _doubles(context: Context) -> list[Any]:
    try:
        ran = context.eval_pass
    except CannotRun:
        return []
    if any(t.dtype == "float64" for t in context.ran.tensors if t.kind == "parameter"):
        return []
    return ran.seen.doubles[:1]


def _is_about_dtype(error: Exception) -> bool:
    text = str(error).lower()
    about = ("dtype", "scalar type", "same type", "input type", "bfloat16")
    return any(word in text for word in about) and "not implemented" not in text


def _raising_path(error: Exception) -> str:
    return str(getattr(error, "_modelcli_path", ""))


def run_on_meta(context: Context, *, dtype: Any = None) -> Exception | None:
    """Run a private copy on meta, as another dtype or as it is; return what it raised.

    Without a dtype, tensors that are made on the CPU are left there, so that they collide.
    With one, they are moved, so that only dtypes do.

    Raises:
        CannotRun: the plain model does not run on meta.
    """
    import copy

    import torch

    from modelcli.checks.observe.attributes import find_hidden
    from modelcli.checks.observe.values import map_tensors

    model, inputs = context.meta_twin
    model = copy.deepcopy(model)
    if dtype is None:
        return _raised(model, inputs)
    plain = _raised(model, inputs, bridged=True)
    if plain is not None:
        raise CannotRun("it does not run without values")
    cast = map_tensors(inputs, lambda t: t.to(dtype) if t.dtype is torch.float32 else t)
    for hidden in find_hidden(model):  # MC101 and MC102 speak of those
        if isinstance(hidden.value, torch.nn.Module):
            hidden.value.to(dtype)
        elif hidden.value.is_floating_point():
            hidden.value.data = hidden.value.data.to(dtype)
    return _raised(model.to(dtype), cast, bridged=True)


def _raised(model: Any, inputs: Any, *, bridged: bool = False) -> Exception | None:
    import torch

    from modelcli.checks.observe.strict_meta import Collisions

    stack: list[str] = []
    names = {id(module): name for name, module in model.named_modules()}

    def enter(module: Any, _inputs: Any) -> None:
        stack.append(names.get(id(module), ""))

    def leave(_module: Any, _inputs: Any, _output: Any) -> None:
        stack.pop()

    handles = [module.register_forward_pre_hook(enter) for module in model.modules()]
    handles += [module.register_forward_hook(leave) for module in model.modules()]
    try:
        with torch.no_grad(), Collisions(devices=not bridged):
            model(*inputs.args, **inputs.kwargs)
    except Exception as error:  # whatever the user's forward raises
        error._modelcli_path = stack[-1] if stack else ""  # type: ignore[attr-defined]
        return error
    finally:
        for handle in handles:
            handle.remove()
    return None


class HardDevice(Rule):
    """A hard-coded device inside."""

    id = "MC507"
    title = "a hard-coded device inside"
    severity = Severity.ERROR
    needs = "pass"
    why = "It only runs on that device: on another, two tensors that meet are on different ones."
    fix = "Make tensors where their neighbours are: device=x.device, or register a buffer."
    input = "2x4"
    wrong = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(4, 4)

            def forward(self, x):
                return self.fc(x) + torch.ones(4)  # on the CPU, wherever x is
    """)
    right = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(4, 4)

            def forward(self, x):
                return self.fc(x) + torch.ones(4, device=x.device, dtype=x.dtype)
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Run on meta, with nothing that keeps devices from colliding."""
        failure = context.failure
        if failure is not None and "CUDA enabled" in failure.message:
            yield self.found(failure.path, f"it asks for CUDA itself: {failure.message}")
            return
        error = run_on_meta(context)
        if error is None:
            return
        text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if is_device_collision(error):
            yield self.found(
                _raising_path(error),
                f"on another device it stops: {text[:160]}",
                place=raising_place(error),
            )
            return
        raise CannotRun(f"it does not run on another device without values: {text[:120]}")


def is_device_collision(error: Exception) -> bool:
    """Tell whether an exception is about tensors on two devices."""
    text = str(error).lower()
    return "device" in text and "meta" in text and "cpu" in text


RULES = (NotFinite, DepthScale, FirstLoss, SoftmaxTwice, DeadUnits, HardDtype, HardDevice)
