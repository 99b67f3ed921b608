"""A forward run on nothing: which operations and layers each input goes through.

Placeholders stand for the inputs. They answer every question, so that a forward gets as far as it
can without any shape; what it did with them is a graph of torch.fx.
"""

from __future__ import annotations

import contextlib
import dis
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import torch
from torch import fx, nn

from modelcli.loading.inference.recorded import recorded_calls
from modelcli.modules import named_modules

_MOST_NODES = 20_000
_MOST_DECISIONS = 2_000
_MOST_RUNS = 8  # a forward that refuses what it sees is run again with its last test turned round
_IMAGE_SIZES = 4  # that a shape has where nobody says how many
_LEAF_HOMES = ("torch.nn", "torch.ao", "torch.jit", "einops")


@dataclass(slots=True, kw_only=True)
class Probed:
    """What one run recorded.

    Attributes:
        graph: every operation on an input, in order.
        tensors: constants and parameters that met an input, by the name of their node.
        modules: the layers that were called, by their path.
        counted: names of the inputs that were used as a plain number, as in ``range(steps)``.
        error: what stopped the forward, if anything did.
    """

    graph: fx.Graph
    tensors: dict[str, torch.Tensor] = field(default_factory=dict)
    modules: dict[str, nn.Module] = field(default_factory=dict)
    counted: set[str] = field(default_factory=set)
    error: BaseException | None = None


def probe(
    model: nn.Module, unknown: Sequence[str], known: Mapping[str, Any], positional: Sequence[str]
) -> Probed:
    """Run a forward on placeholders and return the run that got furthest.

    Args:
        model: a private module, which the run may leave marks in.
        unknown: names of the parameters that placeholders stand for.
        known: values of others, by name.
        positional: the names that have to be given by their position, in order.
    """
    best: Probed | None = None
    decisions: list[bool] = []
    for _ in range(_MOST_RUNS):
        tracer = _Tracer(model, decisions)
        found = tracer.record(unknown, known, positional)
        if best is None or found.error is None or len(found.graph.nodes) > len(best.graph.nodes):
            best = found
        decisions = tracer.taken
        while decisions and decisions[-1] != tracer.first_answer(len(decisions) - 1):
            decisions.pop()  # both answers were tried
        if found.error is None or not decisions:
            break
        decisions[-1] = not decisions[-1]
    assert best is not None
    return best


class _Stop(Exception):
    """A forward that goes on for ever."""


class _Placeholder(fx.Proxy):
    """A value that nobody knows, which can be asked for a number all the same."""

    def __index__(self) -> int:
        return self._number()

    def __int__(self) -> int:
        return self._number()

    def __float__(self) -> float:
        return float(self._number())

    def __len__(self) -> int:
        return self._number()

    def __getattr__(self, k: str) -> Any:
        if k.startswith("__"):  # __array__ and the like: this is no array
            raise AttributeError(k)
        return _Attribute(self, k)

    def __contains__(self, item: object) -> bool:
        self.tracer.create_proxy("call_method", "__contains__", (self, item), {})
        return True

    def _number(self) -> int:
        tracer: Any = self.tracer
        if self.node.op == "placeholder":
            tracer.found.counted.add(self.node.target)
        return 2


class _Attribute(fx.proxy.Attribute, _Placeholder):
    """An attribute of one, which is one as well: ``b, n, _ = x.shape``."""


class _Tracer(fx.Tracer):
    def __init__(self, model: nn.Module, decisions: Sequence[bool]) -> None:
        super().__init__()
        self.root = model
        self.graph = fx.Graph(tracer_cls=type(self))
        self.tensor_attrs = {}
        self.found = Probed(graph=self.graph)
        self.paths = {id(module): path for path, module in named_modules(model)}
        self.decisions = list(decisions)
        self.taken: list[bool] = []
        self.first: list[bool] = []
        self.nodes = 0

    def first_answer(self, number: int) -> bool:
        return self.first[number]

    def record(
        self, unknown: Sequence[str], known: Mapping[str, Any], positional: Sequence[str]
    ) -> Probed:
        stands = {name: self.create_proxy("placeholder", name, (), {}) for name in unknown}
        values: dict[str, Any] = {**known, **stands}
        args = [values.pop(name) for name in positional if name in values]
        assert isinstance(self.root, nn.Module)
        try:
            with self._modules_recorded(), torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.root.forward(*args, **values)
        except (Exception, SystemExit) as error:  # whatever the user's forward raises
            self.found.error = error
        return self.found

    @contextlib.contextmanager
    def _modules_recorded(self) -> Iterator[None]:
        original = nn.Module.__call__

        def call(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            if not self._is_layer(module) or not _holds_placeholder((args, kwargs)):
                return original(module, *args, **kwargs)
            path = self.paths.get(id(module), type(module).__name__)
            self.found.modules[path] = module
            return self.create_proxy("call_module", path, args, kwargs)

        nn.Module.__call__ = call  # type: ignore[method-assign]
        try:
            with recorded_calls(_holds_placeholder, self.create_proxy):
                yield
        finally:
            nn.Module.__call__ = original  # type: ignore[method-assign]

    def _is_layer(self, module: nn.Module) -> bool:
        home = type(module).__module__
        return home.startswith(_LEAF_HOMES) and not isinstance(
            module, (nn.Sequential, fx.GraphModule)
        )

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Placeholder(node, self)

    def create_node(self, *args: Any, **kwargs: Any) -> fx.Node:
        self.nodes += 1
        if self.nodes > _MOST_NODES:
            raise _Stop
        return super().create_node(*args, **kwargs)

    def create_arg(self, a: Any) -> Any:
        """Keep tensors beside the graph; what the graph has no word for is left out of it."""
        if isinstance(a, fx.Proxy):
            return a.node
        if isinstance(a, torch.Tensor):
            name = f"tensor_{len(self.found.tensors)}"
            self.found.tensors[name] = a
            return self.create_node("get_attr", name, (), {}, name)
        if type(a) in (tuple, list):
            return type(a)(self.create_arg(item) for item in a)
        if isinstance(a, dict):
            return {str(key): self.create_arg(item) for key, item in a.items()}
        if isinstance(a, slice):
            return slice(*(self.create_arg(part) for part in (a.start, a.stop, a.step)))
        return a if a is None or isinstance(a, (bool, int, float, str)) or a is ... else str(a)

    def to_bool(self, obj: fx.Proxy) -> bool:
        """Answer a test: as a sound input would, or the other way round if that stopped."""
        number = len(self.taken)
        if number > _MOST_DECISIONS:
            raise _Stop
        self.first.append(_likely(obj.node))
        taken = self.decisions[number] if number < len(self.decisions) else self.first[-1]
        self.taken.append(taken)
        return taken

    def iter(self, obj: fx.Proxy) -> Iterator[Any]:
        """Hand out the sizes of an image, and two items of whatever else is walked through."""
        items = _sizes_wanted(sys._getframe(2)) if "shape" in obj.node.args else 2
        return iter([obj[number] for number in range(items)])  # type: ignore[index]

    def keys(self, obj: fx.Proxy) -> Any:
        return ()


def _sizes_wanted(frame: FrameType) -> int:
    """Return how many sizes fit where a shape is handed out: ``b, n, d, h = *x.shape, heads``."""
    beside, passed = 0, False
    for step in dis.get_instructions(frame.f_code):
        if not passed:
            passed = step.offset == frame.f_lasti
        elif step.opname == "LIST_APPEND":
            beside += 1
        elif step.opname == "UNPACK_SEQUENCE":
            return max(int(step.argval) - beside, 1)
        elif step.opname.startswith(("STORE", "LIST_EXTEND", "UNPACK_EX", "RETURN", "FOR_ITER")):
            break
    return _IMAGE_SIZES


def _likely(node: fx.Node) -> bool:
    """Tell how a test ends for most inputs: things are equal, and not too large."""
    name = getattr(node.target, "__name__", str(node.target))
    return name not in ("ne", "gt", "lt", "not_", "any", "isnan", "is_floating_point")


def _holds_placeholder(value: Any) -> bool:
    if isinstance(value, fx.Proxy):
        return True
    if isinstance(value, dict):
        return any(_holds_placeholder(item) for item in value.values())
    return isinstance(value, (tuple, list)) and any(_holds_placeholder(item) for item in value)
