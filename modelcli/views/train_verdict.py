"""The verdict on a run in words: what came of it, why, and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelcli.views.text import plural, show_count

if TYPE_CHECKING:
    from modelcli.training.run.result import Record
    from modelcli.training.run.verdict import Evidence


def verdict_text(record: Record) -> str:
    """Return the verdict, its reason, and what to do next."""
    evidence = record.evidence
    if evidence is None or record.verdict is None:
        return ""
    if record.verdict == "diverged":
        return "diverged: a smaller --lr, or --clip 1"
    words = {
        "learned": _learned, "learning": _learning, "nothing": _nothing, "overfitted": _overfitted,
    }  # fmt: skip
    told = words[record.verdict](record, evidence) + _symptoms(record)
    return told + _cut_off(record, evidence)


def verdict_body(record: Record) -> dict[str, Any]:
    """Return the verdict and its evidence for a document."""
    evidence = record.evidence
    if evidence is None:
        return {"verdict": record.verdict, "evidence": None}
    slope, t = evidence.trend
    return {
        "verdict": record.verdict,
        "evidence": {
            "trivial_loss": evidence.trivial,
            "gain": evidence.gain,
            "trained_gain": evidence.trained_gain,
            "gain_error": evidence.error / evidence.span,
            "slope": slope,
            "slope_t": t,
            "shape": list(evidence.shape) if evidence.shape is not None else None,
            "without_gradient": list(evidence.without_gradient),
            "trained_tensors": evidence.tensors,
        },
    }


def _learned(record: Record, evidence: Evidence) -> str:
    if record.fitted:
        return "learned: one batch is known by heart"
    if evidence.gain < 0 and evidence.shape is not None:
        return f"learned {100 * evidence.shape[1]:.0f} % of how targets vary, but not their level"
    return f"learned {_share(evidence.gain)} of what there is to learn"


def _learning(record: Record, evidence: Evidence) -> str:
    from modelcli.training.run.verdict import is_falling, is_flat

    gain = evidence.gain if record.fitted is None else evidence.trained_gain
    so_far = f"learning: {_share(gain)} of what there is to learn"
    stopped = _stopped_at_its_window(record, evidence)
    if stopped:
        return f"{so_far}{stopped}"
    if gain < 0.005:
        so_far = f"learning: not yet better than {_guess(record)}"
    if is_falling(evidence):
        return f"{so_far}, and the loss still falls: --steps {_more_steps(record)}"
    if is_flat(evidence):
        return f"{so_far}, and the loss falls no further: another --lr, or a larger model"
    return f"{so_far}: --steps {_more_steps(record)}"


def _nothing(record: Record, evidence: Evidence) -> str:
    where = "held out it" if record.held_out is not None else "it"
    return (
        f"learned nothing: {where} is no better than {_guess(record)} "
        f"({evidence.held_out:.4g} against {evidence.trivial:.4g})"
    )


def _stopped_at_its_window(record: Record, evidence: Evidence) -> str:
    """Return the end of the sentence for a model that sees too few tokens, and has learned those.

    It has where nine tenths of what it could learn are learned.
    """
    language = record.language
    if language is None or language.bound is None:
        return ""
    could = language.trivial - language.bound
    if could > 0 and language.trivial - evidence.held_out < 0.9 * could:
        return ""
    window = language.window or 1
    sees = "one token" if window == 1 else f"{window} tokens"
    return f", and a model that sees {sees} can do no better than {language.bound:.4g}"


def _guess(record: Record) -> str:
    if record.language is not None:
        return "token frequencies"
    return "guessing" if record.classes else "answering with the mean"


def _overfitted(record: Record, evidence: Evidence) -> str:
    trained = evidence.trained if evidence.trained is not None else float("nan")
    return (
        f"overfitted: the loss is {trained:.4g} on what it learned from and "
        f"{evidence.held_out:.4g} held out; more samples, or fewer epochs"
    )


def _symptoms(record: Record) -> str:
    """Return what was seen in a model that learned nothing, and what is known of it."""
    if record.verdict != "nothing":
        return ""
    about_learning = any(word in (record.pitfall or "") for word in ("train", "gradient"))
    known = f" ({record.pitfall})" if about_learning and record.symptoms else ""
    return "".join(f"; {each}" for each in record.symptoms) + known


def _cut_off(record: Record, evidence: Evidence) -> str:
    lacking = len(evidence.without_gradient)
    check = f"modelcli check {record.target}"
    if lacking:
        names = ", ".join(evidence.without_gradient[:3]) + (", ..." if lacking > 3 else "")
        all_of = f"{show_count(lacking)} of {plural(evidence.tensors, 'parameter tensor')}"
        return f"; {all_of} got no gradient ({names}): {check}"
    return f": {check} looks for why" if record.verdict == "nothing" else ""


def _more_steps(record: Record) -> int:
    """Return twice the steps that were taken, to two digits."""
    return int(float(f"{2 * record.steps:.2g}"))


def _share(gain: float) -> str:
    return f"{100 * gain:.0f} %" if gain < 0.995 else f"{100 * min(gain, 1.0):.1f} %"


_SHORT_STEP_S = 0.005  # below, what processes tell each other takes longer than what they share


def advise(record: Record) -> tuple[str, ...]:
    """Return what a person who trains in several processes should know."""
    if record.processes == 1 or not record.samples_per_s:
        return ()
    step_s = record.batch_size / record.samples_per_s
    if step_s >= _SHORT_STEP_S:
        return ()
    return (
        f"a step takes {1000 * step_s:.2g} ms: below {1000 * _SHORT_STEP_S:g} ms more processes "
        "do not help",
    )
