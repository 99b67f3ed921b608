"""The first loss, and a loss that applies softmax again (MC503, MC504)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from modelcli.checks.record import CannotRun, Finding, Options, Severity
from modelcli.checks.rule import Rule, example

if TYPE_CHECKING:
    from modelcli.checks.observe.context import Context
    from modelcli.tracing.record import Call


_CE = ("cross_entropy", "nll")


def _ending_in(answer: str) -> str:
    """Return the code of an example, a linear layer whose forward returns some expression."""
    return example(f"""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(8, 3)

            def forward(self, x):
                return {answer}
    """)


def _with_head(deviation: str) -> str:
    """Return the code of an example, a head initialised with a standard deviation."""
    return example(f"""
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.head = nn.Linear(16, 10)
                nn.init.normal_(self.head.weight{deviation}

            def forward(self, x):
                return self.head(x)
    """)


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
    wrong = _with_head(")  # a standard deviation of 1")
    right = _with_head(", std=0.01)")

    def find(self, context: Context) -> Iterator[Finding]:
        """Compute the cross-entropy's mean over all labels in train mode."""
        if context.loss not in _CE:
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
    wrong = _ending_in("torch.softmax(self.fc(x), dim=1)")
    right = _ending_in("self.fc(x)")

    def find(self, context: Context) -> Iterator[Finding]:
        """Go back from the output to the function that made it."""
        shapes = context.ran.output_shapes
        if not shapes:
            return
        loss = context.loss
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


class NoLogProbabilities(Rule):
    """Raw scores or probabilities into NLLLoss."""

    id = "MC508"
    title = "NLLLoss of something else than log-probabilities"
    severity = Severity.ERROR
    needs = "labels"
    why = (
        "NLLLoss only picks the output of the right class. Of raw scores it has no lower end: "
        "training makes the numbers larger and larger, and the loss falls without bound."
    )
    fix = "End forward in log_softmax(dim=1), or train with CrossEntropyLoss."
    input = "2x8"
    options = Options(loss="nll")
    wrong = _ending_in("self.fc(x)")
    right = _ending_in("torch.log_softmax(self.fc(x), dim=1)")

    def find(self, context: Context) -> Iterator[Finding]:
        """Add up the exponentials of the output: those of log-probabilities sum to 1."""
        from modelcli.training.objective import probability_sum

        if context.options.loss != "nll":
            raise CannotRun("is about --loss nll")
        outputs = context.train_pass.outputs
        if not outputs or outputs[0].dim() < 2:
            raise CannotRun("the output has no classes in dimension 1")
        total = probability_sum("nll", outputs[0])
        if total is not None:
            yield self.found(
                "",
                f"nll takes log-probabilities (the output of log_softmax), and the exponentials "
                f"of this output sum to {total:.3g}, not 1",
            )
