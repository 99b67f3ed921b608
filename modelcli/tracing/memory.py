"""The recorder of memory: every storage of a pass with its birth and its death.

The fourth observer of a pass. A dispatch mode sees what operations make, weak references tell when
the last holder lets go, hooks of autograd tell what is kept for the backward pass. What comes out
is a ``Ledger`` of plain records, and everything else is computed from it.
"""

from __future__ import annotations

import bisect
import contextlib
import weakref
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from modelcli.identity import named_tensors, plain_storage
from modelcli.modules import named_modules
from modelcli.nested import tensors_in
from modelcli.tracing.answers import ASKS_VALUE, asks_truth
from modelcli.tracing.attention import unfused
from modelcli.tracing.memory_record import NEVER, Block, BlockKind, Ledger, Phase, PhaseName
from modelcli.tracing.record import Failure
from modelcli.tracing.remembered import Remembered

_ORIGINAL = "_modelcli_original"  # as of the other observers of ``Module.__call__``
_TO_COPY = torch.ops.aten._to_copy.default


class _Open:
    """A block whose story is not over."""

    __slots__ = ("birth", "death", "holders", "kind", "nbytes", "op", "path", "phase", "saved_by")

    def __init__(self, nbytes: int, birth: int, path: str, op: str, phase: PhaseName) -> None:
        self.nbytes = nbytes
        self.birth = birth
        self.death = NEVER
        self.holders = 0
        self.kind: BlockKind = "temporary"
        self.path = path
        self.op = op
        self.phase: PhaseName = phase
        self.saved_by: str | None = None

    def close(self) -> Block:
        return Block(
            self.nbytes, self.birth, self.death, self.kind, self.path, self.op, self.phase,
            self.saved_by,
        )  # fmt: skip


class _Held(weakref.ref[Any]):
    """A weak reference to a storage that knows its block."""

    __slots__ = ("block", "key")
    key: int
    block: _Open


class Recorder:
    """Writes the ledger of one pass or of several steps.

    Args:
        model: of our own; its parameters and buffers are there before the pass.
        host_counts: whether what the optimiser keeps on the CPU beside a model on meta counts.
            It lies in the same memory where the CPU is the device, elsewhere on the host.
        answers: say yes where a tensor of truth values without storage is asked for its value, as
            libraries ask whether a mask hides nothing.
    """

    def __init__(self, model: nn.Module, *, host_counts: bool, answers: bool = False) -> None:
        self._host_counts = host_counts
        self.answers = answers
        self.answered = 0
        self._blocks: list[_Open] = []
        self._known: dict[int, _Held] = {}  # by the id of the storage object
        self._phases: list[Phase] = []
        self._phase: PhaseName = "forward"
        self._clock = 0
        self._over = False
        self._paths = [""]
        self._names = {id(module): path for path, module in named_modules(model)}
        self._starts: list[int] = []  # numbers of autograd nodes, and whose they are from there on
        self._owners: list[str] = []
        self.operations = 0
        self.failed_at: str | None = None  # the innermost module that raised
        self.declare_model(model)

    def declare_model(self, model: nn.Module) -> None:
        """Note the parameters and buffers of a model."""
        for entry in named_tensors(model):
            self.declare(entry.tensor, entry.kind, entry.name.rpartition(".")[0])

    def declare(self, value: Any, kind: BlockKind, path: str = "") -> None:
        """Say what the tensors of a nest are for; those not met before are there from now on."""
        for tensor in tensors_in(value):
            block = self._note(tensor, "")
            if block is not None and (block.kind in ("temporary", "saved") or kind == "state"):
                block.kind = kind
                block.path = path

    def enter(self, name: PhaseName, step: int = 1) -> None:
        """Begin a phase."""
        self._clock += 1
        self._phase = name
        self._phases.append(Phase(self._clock, step, name))

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Watch modules and operations meanwhile."""
        found = nn.Module.__call__
        original = getattr(found, _ORIGINAL, found)

        def observed(module: nn.Module, /, *args: Any, **kwargs: Any) -> Any:
            path = self._names.get(id(module))
            if path is None:
                return original(module, *args, **kwargs)
            self._open(path)
            try:
                return original(module, *args, **kwargs)
            except BaseException:
                if self.failed_at is None:
                    self.failed_at = path
                raise
            finally:
                self._close()

        setattr(observed, _ORIGINAL, original)
        nn.Module.__call__ = observed  # type: ignore[method-assign]
        try:
            with unfused(), _Births(self):
                yield
        finally:
            nn.Module.__call__ = found  # type: ignore[method-assign]

    @property
    def is_updating(self) -> bool:
        """Whether the optimiser is at work."""
        return self._phase == "optimizer"

    def saving(self) -> contextlib.AbstractContextManager[Any]:
        """Note what autograd keeps for the backward pass meanwhile."""
        return torch.autograd.graph.saved_tensors_hooks(self._pack, _unpack)

    def finish(
        self, *, attention: dict[str, int] | None = None, failure: Failure | None = None
    ) -> Ledger:
        """Return the ledger; what happens later is not written down."""
        self._over = True
        self._known.clear()
        return Ledger(
            blocks=tuple(block.close() for block in self._blocks),
            phases=tuple(self._phases),
            end=self._clock,
            operations=self.operations,
            answered=self.answered,
            attention=attention or {},
            failure=failure,
        )

    # modules

    def _open(self, path: str) -> None:
        self._paths.append(path)
        self._mark()

    def _close(self) -> None:
        self._paths.pop()
        self._mark()

    def _mark(self) -> None:
        if torch.is_grad_enabled():
            self._starts.append(torch._C._autograd._get_sequence_nr())
            self._owners.append(self._paths[-1])

    def _where(self) -> str:
        """Return the module to book on: the open one, in a backward pass the one undone."""
        if self._phase != "backward" or len(self._paths) > 1:
            return self._paths[-1]
        node = torch._C._current_autograd_node()
        if node is None or not self._starts:
            return ""
        place = bisect.bisect_right(self._starts, node._sequence_nr()) - 1
        return self._owners[place] if 0 <= place < len(self._owners) - 1 else ""

    # storages

    def made(self, func: Any, args: tuple[Any, ...], output: Any) -> None:
        """Note what an operation has made."""
        self.operations += 1
        if isinstance(output, torch.Tensor):
            if func is _TO_COPY and output.is_meta and not args[0].is_meta:
                self._note_twin(args[0], output)
            else:
                self._note(output, func)
        elif isinstance(output, (tuple, list)):
            for item in output:
                if isinstance(item, torch.Tensor):
                    self._note(item, func)

    def _note(self, tensor: torch.Tensor, op: Any) -> _Open | None:
        storage = plain_storage(tensor)
        if storage is None or self._is_elsewhere(tensor):
            return None
        held = self._known.get(id(storage))
        if held is not None:
            block = held.block
            if op:  # in place: it may have grown
                block.nbytes = max(block.nbytes, storage.nbytes())
            return block
        if op:
            self._clock += 1
        birth = self._clock if self._phases else 0
        block = _Open(storage.nbytes(), birth, self._where(), _name(op), self._phase)
        self._blocks.append(block)
        self._hold(storage, block)
        return block

    def _note_twin(self, real: torch.Tensor, twin: torch.Tensor) -> None:
        """Take a tensor and its twin on meta for one: on a device they would be."""
        block = self._note(real, "twin")
        storage = plain_storage(twin)
        if block is not None and storage is not None:
            self._hold(storage, block)

    def _hold(self, storage: torch.UntypedStorage, block: _Open) -> None:
        held = _Held(storage, self._let_go)
        held.key = id(storage)
        held.block = block
        block.holders += 1
        self._known[held.key] = held

    def _let_go(self, held: weakref.ref[Any]) -> None:
        if self._over or not isinstance(held, _Held):
            return
        del self._known[held.key]
        held.block.holders -= 1
        if held.block.holders == 0:
            self._clock += 1
            held.block.death = self._clock

    def _is_elsewhere(self, tensor: torch.Tensor) -> bool:
        return self._phase == "optimizer" and not (self._host_counts or tensor.is_meta)

    def _pack(self, tensor: torch.Tensor) -> torch.Tensor:
        block = self._note(tensor, "")
        if block is not None and block.saved_by is None:
            block.saved_by = self._paths[-1]
            if block.kind == "temporary":
                block.kind = "saved"
        return tensor


def _unpack(tensor: torch.Tensor) -> torch.Tensor:
    return tensor


def _name(op: Any) -> str:
    if not op or isinstance(op, str):
        return str(op)
    schema = getattr(op, "_schema", None)  # operations of higher order have none
    return str(op) if schema is None else str(schema.name).removeprefix("aten::")


class _Births(TorchDispatchMode):  # type: ignore[no-untyped-call]
    supports_higher_order_operators = True

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._recorder = recorder
        self._remembered = Remembered()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        recorder = self._recorder
        if recorder.answers and asks_truth(func, args):
            recorder.answered += 1
            return True
        if func is ASKS_VALUE and recorder.is_updating and args[0].is_meta:
            return torch.ones((), dtype=args[0].dtype).item()  # moves values alone
        output = self._remembered.run(func, args, kwargs or {})
        recorder.made(func, args, output)
        return output
