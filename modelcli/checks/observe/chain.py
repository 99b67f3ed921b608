"""Who feeds whom among the calls of a pass. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from modelcli.tracing.record import Call
from modelcli.tracing.vocabulary import Trait, has


class Chain:
    """The calls of one pass as a graph.

    Args:
        calls: every execution of a leaf, in order.
    """

    def __init__(self, calls: Sequence[Call]) -> None:
        self.calls = calls
        self._users: dict[int, list[Call]] = {}
        for call in calls:
            for source in set(call.sources):
                if source is not None and source >= 0:
                    self._users.setdefault(source, []).append(call)

    def users(self, call: Call) -> list[Call]:
        """Return the calls that take the output of one."""
        return self._users.get(call.index, [])

    def only_user(self, call: Call, *, passing: bool = True) -> Call | None:
        """Return the one call that takes an output, through those that change no value."""
        while True:
            users = self.users(call)
            if len(users) != 1:
                return None
            (call,) = users
            if not (passing and is_passing(call)):
                return call

    def last(self, shape: Sequence[int] | None = None) -> Iterator[Call]:
        """Yield the calls whose output nobody takes: the outputs of the model among them.

        Args:
            shape: only those that make this shape.
        """
        for call in self.calls:
            if self.users(call):
                continue
            if shape is None or (call.output_shapes and call.output_shapes[0] == tuple(shape)):
                yield call

    def back_through(self, call: Call) -> Call:
        """Return the call that made a value, going back through those that change none."""
        while is_passing(call):
            made = [s for s in call.sources if s is not None and s >= 0]
            if len(made) != 1:
                return call
            call = self.calls[made[0]]
        return call


def is_passing(call: Call) -> bool:
    """Tell whether a call hands its values on as they are (or drops some of them)."""
    return has(call.base, Trait.PASSES)


def is_convolution(call: Call) -> bool:
    """Tell whether a call is a convolution, as a layer or as a function."""
    return has(call.base, Trait.CONVOLUTION)


def is_dense(call: Call) -> bool:
    """Tell whether a call multiplies one activation by a weight."""
    activations = [source for source in call.sources if source is not None]
    return has(call.base, Trait.DENSE) and len(activations) == 1
