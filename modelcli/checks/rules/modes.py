"""MC3xx: what eval() does not switch off, and what an eval pass leaves behind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from modelcli.checks.observe.locate import assignment
from modelcli.checks.record import CannotRun, Finding, Severity
from modelcli.checks.rule import Rule, example
from modelcli.checks.rules.usage import place_of

if TYPE_CHECKING:
    from modelcli.checks.observe.context import Context
    from modelcli.checks.observe.passes import EvalPass, State
    from modelcli.checks.observe.probe import Event


class RandomInEval(Rule):
    """Two eval passes on the same input differ."""

    id = "MC301"
    title = "the output is random in eval mode"
    severity = Severity.ERROR
    needs = "values"
    why = "Measurements and served answers change from call to call."
    fix = "F.dropout(x, p, training=self.training), or an nn.Dropout made in __init__."
    justified = (
        "Sampling that is meant (a variational encoder, random masking) is a warning, not an error."
    )
    input = "2x8"
    wrong = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc1 = nn.Linear(8, 8)
                self.fc2 = nn.Linear(8, 2)

            def forward(self, x):
                return self.fc2(F.dropout(torch.relu(self.fc1(x)), 0.5))
    """)
    right = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc1 = nn.Linear(8, 8)
                self.fc2 = nn.Linear(8, 2)

            def forward(self, x):
                hidden = torch.relu(self.fc1(x))
                return self.fc2(F.dropout(hidden, 0.5, training=self.training))
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Compare two passes, and name the functions that drew random numbers."""
        ran = context.eval_pass
        if not _repeats_differ(ran):
            return
        ours = [e for e in ran.seen.draws if e.detail != "module" and not _is_fresh_weight(e, ran)]
        told: set[tuple[str, str]] = set()
        for event in ours:
            if (event.path, event.op) in told:
                continue
            told.add((event.path, event.op))
            yield self._report(event)
        if told or ran.seen.draws or ran.seen.fresh_weights:
            return  # or other rules have said it
        if ran.seen.foreign_draw:
            yield self.found(
                "", f"two eval passes differ: {ran.seen.foreign_draw} was asked during the pass"
            )
        elif not list(changes(ran)):
            yield self.found(
                "",
                "two eval passes on the same input differ, and no function drew random numbers",
                fix="Look for memory that is never filled: torch.empty() without an init.",
            )

    def _report(self, event: Event) -> Finding:
        is_dropout = "dropout" in event.op or event.op in ("rrelu", "scaled_dot_product_attention")
        where = f"'{event.path}'" if event.path else "forward"
        return self.found(
            event.path,
            f"two eval passes on the same input differ: {event.op} in {where} draws random numbers",
            severity=Severity.ERROR if is_dropout else Severity.WARNING,
            fix=None if is_dropout else f"Leave {event.op} out unless self.training.",
            place=event.place,
        )


def _repeats_differ(ran: EvalPass) -> bool:
    from modelcli.checks.observe.passes import differ

    return differ(ran.outputs, ran.repeated, tolerance=1e-4)


def _is_fresh_weight(event: Event, ran: EvalPass) -> bool:
    """Tell whether the random numbers became a weight, which MC205 reports."""
    return any(weight.path == event.path for weight in ran.seen.fresh_weights)


class IgnoresEval(Rule):
    """Dropout or batch norm that ignores eval()."""

    id = "MC302"
    title = "ignores eval()"
    severity = Severity.ERROR
    needs = "values"
    why = (
        "Dropout keeps dropping and batch norm keeps using (and updating) the statistics of the "
        "batch: answers depend on what else is in the batch."
    )
    fix = "Let train() and eval() reach it: register it, and call super().train(mode) in train()."
    input = "4x8"
    wrong = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(8, 8)
                self.norm = nn.BatchNorm1d(8)

            def forward(self, x):
                self.norm.train()
                return self.norm(self.fc(x))
    """)
    right = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(8, 8)
                self.norm = nn.BatchNorm1d(8)

            def forward(self, x):
                return self.norm(self.fc(x))
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Look for dropout that draws and batch norm that trains, in an eval pass."""
        ran = context.eval_pass
        told: set[str] = set()
        dropped = [event for event in ran.seen.draws if event.detail == "module"]
        for event in (*dropped, *ran.seen.training_norms):
            if event.path in told:
                continue
            told.add(event.path)
            yield self._report(ran, event)

    def _report(self, ran: EvalPass, event: Event) -> Finding:
        from torch import nn

        modules = {name: m for m, name in ((m, ran.names.get(id(m))) for m in _all(ran)) if name}
        module = modules.get(event.path)
        place = event.place
        if not isinstance(module, (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)):
            return self.found(
                event.path,
                f"{event.op} runs as in training although the model is in eval mode",
                fix="F.batch_norm(..., training=self.training).",
                place=place,
            )
        kind = type(module).__name__
        if getattr(module, "track_running_stats", True) is False:
            return self.found(
                event.path,
                f"{kind} without running statistics uses those of the batch in eval mode, too",
                severity=Severity.WARNING,
                fix="track_running_stats=True, or a norm that looks at one sample (GroupNorm).",
                place=place_of(ran.model, event.path),
            )
        return self.found(
            event.path,
            f"{kind} is still in training mode during an eval pass",
            place=place_of(ran.model, event.path) or place,
        )


def _all(ran: EvalPass) -> Iterator[Any]:
    from modelcli.checks.observe.attributes import find_hidden

    yield from ran.model.modules()
    for hidden in find_hidden(ran.model):
        if hasattr(hidden.value, "modules"):
            yield from hidden.value.modules()


class OneValuePerChannel(Rule):
    """A norm that sees one value."""

    id = "MC303"
    title = "a norm that sees one value per channel"
    needs = "values"
    why = (
        "The mean of one value is the value: what comes out is the bias, whatever went in. Batch "
        "norm raises in training."
    )
    fix = "Put the norm before the pooling, or normalise over channels (GroupNorm(1, C))."
    justified = (
        "Batch norm behind a global pooling sees one value a sample: an info, since it only needs "
        "batches of two and more in training."
    )
    input = "2x3x8x8"
    wrong = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv = nn.Conv2d(3, 8, 3)
                self.norm = nn.GroupNorm(8, 8)  # a group for every channel

            def forward(self, x):
                pooled = F.adaptive_avg_pool2d(self.conv(x), 1)
                return self.norm(pooled).flatten(1)
    """)
    right = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv = nn.Conv2d(3, 8, 3)
                self.norm = nn.GroupNorm(8, 8)

            def forward(self, x):
                normed = self.norm(self.conv(x))
                return F.adaptive_avg_pool2d(normed, 1).flatten(1)
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Look at the shapes that went into norms, a batch of several samples given."""
        failure = context.failure
        if failure is not None and "more than 1 " in failure.message:
            shape = "x".join(map(str, failure.input_shapes[0])) if failure.input_shapes else "it"
            yield self.found(
                failure.path,
                f"{failure.node_type} on {shape}: {failure.message}",
                severity=Severity.ERROR,
            )
            return
        try:
            ran: Any = context.eval_pass
        except CannotRun:
            ran = context.train_pass  # which notes a norm that raises
        raised = ran.seen.error is not None
        yield from self._report(ran, ran.seen.lone_values, raised=raised)
        yield from self._report_places(ran, ran.seen.lone_places)

    def _report(self, ran: Any, events: list[Event], *, raised: bool) -> Iterator[Finding]:
        for kind in dict.fromkeys(event.op for event in events if ran.batch > 1):
            alike = list({event.path: event for event in events if event.op == kind}.values())
            more = f"; {len(alike) - 1} others are alike" if len(alike) > 1 else ""
            yield self.found(
                alike[0].path,
                f"{kind} on {alike[0].detail} sees one value at a time{more}",
                severity=Severity.ERROR if raised else None,
                place=place_of(ran.model, alike[0].path),
            )

    def _report_places(self, ran: Any, events: list[Event]) -> Iterator[Finding]:
        alike = list({event.path: event for event in events}.values())
        if alike:
            more = f"; {len(alike) - 1} others are alike" if len(alike) > 1 else ""
            yield self.found(
                alike[0].path,
                f"{alike[0].op} on a map of one place ({alike[0].detail}) needs two samples in "
                f"training{more}",
                severity=Severity.INFO,
                fix="Train with batches of two and more; drop a last batch of one.",
                place=place_of(ran.model, alike[0].path),
            )


class ChangesState(Rule):
    """An eval pass that changes state."""

    id = "MC304"
    title = "an eval pass changes the model"
    needs = "values"
    why = "What the model answers depends on what it was asked before; its checkpoint drifts, too."
    fix = "Update only if self.training; return a hidden state instead of keeping it."
    input = "2x4"
    wrong = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(4, 4)
                self.register_buffer("mean", torch.zeros(4))

            def forward(self, x):
                self.mean.mul_(0.9).add_(0.1 * x.detach().mean(0))
                return self.fc(x - self.mean)
    """)
    right = example("""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(4, 4)
                self.register_buffer("mean", torch.zeros(4))

            def forward(self, x):
                if self.training:
                    self.mean.mul_(0.9).add_(0.1 * x.detach().mean(0))
                return self.fc(x - self.mean)
    """)

    def find(self, context: Context) -> Iterator[Finding]:
        """Compare the state before, between and after two passes."""
        ran = context.eval_pass
        norms = {event.path for event in ran.seen.training_norms}
        for name, what in changes(ran):
            owner, _, attribute = name.rpartition(".")
            if owner in norms:
                continue  # MC302 says why
            try:
                module = ran.model.get_submodule(owner)
            except AttributeError:
                module = ran.model
            yield self.found(name, what, place=assignment(module, attribute))
        caches = settled(ran)
        if caches:
            more = f", like {len(caches) - 1} more" if len(caches) > 1 else ""
            yield self.found(
                caches[0],
                f"this buffer is filled by the first eval pass{more}, and then stays",
                severity=Severity.INFO,
                fix="If it can be computed in __init__, the state_dict has it from the start.",
            )


def changes(ran: EvalPass) -> Iterator[tuple[str, str]]:
    """Yield (name, what happened) for everything that the second eval pass changed, too."""
    import torch

    for name, copy in ran.after.copies.items():
        again = ran.again.copies.get(name)
        if again is None or again.shape != copy.shape or not torch.equal(again, copy):
            yield name, "this buffer has other values after every eval pass"
    for name, version in ran.after.versions.items():
        if ran.again.versions.get(name) != version:
            yield name, "this tensor is written to, or replaced, by every eval pass"
    yield from _attribute_changes(ran.after, ran.again)


def settled(ran: EvalPass) -> list[str]:
    """Return the buffers that the first eval pass changed and the second did not: caches."""
    import torch

    found = []
    changing = {name for name, _ in changes(ran)}
    for name, copy in ran.before.copies.items():
        after = ran.after.copies.get(name)
        same = after is not None and after.shape == copy.shape and torch.equal(after, copy)
        if not same and name not in changing:
            found.append(name)
    return found


def _attribute_changes(one: State, other: State) -> Iterator[tuple[str, str]]:
    import torch

    for name, (kind, value) in one.attributes.items():
        now = other.attributes.get(name)
        if now is None or now[0] != kind:
            continue
        if isinstance(value, torch.Tensor) and isinstance(now[1], torch.Tensor):
            same = value.shape == now[1].shape and torch.equal(value, now[1])
            if not same:
                yield name, "this attribute carries values from one eval pass into the next"
        elif kind == "size" and now[1] > value:
            yield name, f"this container grows with every pass: {value} items, then {now[1]}"
        elif kind == "number" and now[1] != value:
            yield name, f"this number changes with every pass: {value:g}, then {now[1]:g}"


RULES = (RandomInEval, IgnoresEval, OneValuePerChannel, ChangesState)
