"""A text of one's own: its bytes as tokens, or what the tokenizer beside a model makes of it."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import Tensor

from modelcli.errors import UnavailableError, UsageError, describe
from modelcli.files import read_limited
from modelcli.loading.target import TargetKind, parse_target
from modelcli.training.data.data_set import DataSet, Wanted
from modelcli.training.data.file import fingerprint
from modelcli.training.data.language import Language
from modelcli.training.data.sets.tokens import IGNORED, defaults
from modelcli.training.data.tensors import Data, DataFacts, Split, check_batch, new_generator
from modelcli.training.run.token_model import TokenModel

TEXT_BYTES = 256 * 1000**2  # the longest text that is read
_HIDDEN = 0.15  # of the tokens that a model is to find again
_TOKENIZERS = ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "spiece.model")


def make(wanted: Wanted) -> Data:
    """Return windows of a text; the end of it is held out.

    Raises:
        UsageError: the file is empty or no text, too short, or needs more tokens than the model
            has; the model has none.
    """
    model = wanted.token_model()
    if model.task == "seq2seq":
        raise UsageError(
            f"a text is for a model that predicts its tokens, and "
            f"'{wanted.trained.source.label}' is an encoder with a decoder",
            "use --data tokens or copy",
        )
    path = Path(wanted.name)
    tokens, what = _tokens_of(wanted, model, read_text(path))
    rows = _windows(tokens, model, wanted, what)
    train, held_out = _split(rows, model, wanted)
    counts = torch.bincount(_said(train), minlength=model.scores).double() + 1
    shares = counts / counts.sum()
    seen = _said(held_out or train)
    language = Language(
        task=model.task,
        context=model.length,
        trivial=float(-shares.log()[seen].mean()),
        commonest=float(shares.max()),
        symbols=int((counts > 1).sum()),
    )
    description = f"{len(tokens):,} {what} of {path.name}, {model.length} at a time"
    facts = DataFacts(description=description, classes=model.scores, language=language)
    return Data(
        name=wanted.name,
        kind="labels",
        train=train,
        held_out=held_out,
        facts=facts,
        fingerprint=fingerprint(rows),
    )


def read_text(path: Path) -> str:
    """Return the text of a file.

    Raises:
        UsageError: it is not there, empty, or no text in UTF-8.
    """
    if not os.path.isfile(path):
        raise UsageError(f"data file '{path}' does not exist", "a text ends in .txt")
    raw = read_limited(path, UsageError, limit=TEXT_BYTES)
    if not raw.strip():
        raise UsageError(f"'{path}' is empty", "there is nothing to learn from")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"'{path}' is no text in UTF-8: byte {error.start} is {raw[error.start]:#04x}",
            "save it as UTF-8; numbers go into a .npz with x and y",
        ) from None
    if "\0" in text:
        raise UsageError(f"'{path}' is no text: it holds zero bytes", "is it what its name says?")
    return text


def _tokens_of(wanted: Wanted, model: TokenModel, text: str) -> tuple[Tensor, str]:
    """Return the text as tokens of the model (N,), and what they are."""
    folder = _tokenizer_folder(wanted)
    if folder is not None:
        ids = _tokenized(folder, text)
        _check_vocabulary(wanted, model, int(ids.max()) + 1, "its tokenizer's tokens go up to")
        return ids, "tokens"
    raw = torch.tensor(list(text.encode()), dtype=torch.long)
    if model.vocabulary > 256 or (model.vocabulary == 256 and model.task != "masked"):
        return raw, "bytes"
    used, ranks = torch.unique(raw, return_inverse=True)
    plain = torch.tensor(model.plain_tokens())
    _check_vocabulary(wanted, model, len(used), "the different bytes of the text are", len(plain))
    return plain[ranks], "bytes"


def _check_vocabulary(
    wanted: Wanted, model: TokenModel, needed: int, what: str, has: int | None = None
) -> None:
    has = model.vocabulary if has is None else has
    if needed > has:
        label = wanted.trained.source.label
        raise UsageError(
            f"'{label}' has {has} tokens to use, and {what} {needed}",
            "give the model a larger vocabulary: 256 takes any bytes",
        )


def _tokenizer_folder(wanted: Wanted) -> Path | None:
    """Return the folder of a model of transformers, if it has a tokenizer."""
    target = parse_target(wanted.config.model.target)
    if target.kind is not TargetKind.PROVIDER or target.place != "hf":
        return None
    path = Path(target.attribute)
    folder = path if os.path.isdir(path) else path.parent
    found = os.path.exists(path) and any(os.path.isfile(folder / name) for name in _TOKENIZERS)
    return folder if found else None


def _tokenized(folder: Path, text: str) -> Tensor:
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False
        )
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    except ImportError as error:
        raise UnavailableError(
            f"the tokenizer in '{folder}' needs a package: {describe(error)}",
            "install it, or move the tokenizer away: the text is then read as bytes",
        ) from None
    except Exception as error:  # whatever a damaged or unknown tokenizer raises
        raise UsageError(
            f"the tokenizer in '{folder}' cannot be used: {describe(error)}",
            "repair it, or move it away: the text is then read as bytes",
        ) from error
    return torch.tensor(ids, dtype=torch.long)


def _windows(tokens: Tensor, model: TokenModel, wanted: Wanted, what: str) -> Tensor:
    """Return the text in rows (N, context + 1), each beginning with the last token of another."""
    length, asked = model.length, wanted.config.data.samples
    count = (len(tokens) - 1) // length
    if count < 1:
        raise UsageError(
            f"'{wanted.name}' has {len(tokens)} {what}, and the context is {length}",
            "give more text, or a shorter --context",
        )
    if asked is not None and not 1 <= asked <= count:
        raise UsageError(
            f"data.samples is {asked}, and '{wanted.name}' has {count} windows of {length}",
            "leave it out to use them all",
        )
    rows = tokens[: count * length + 1].unfold(0, length + 1, length)
    return rows[:asked].contiguous()


def _split(rows: Tensor, model: TokenModel, wanted: Wanted) -> tuple[Split, Split | None]:
    """Return inputs and targets of all windows but the last ones, and of those."""
    config = wanted.config
    held = 0
    if config.data.validation and len(rows) > 1:
        held = max(1, round(len(rows) * config.data.validation))
    check_batch(config.train.batch_size, len(rows) - held, held_out=held)

    def part(some: Tensor) -> Split:
        tokens, targets = _predicted(some, model, wanted.seed)
        inputs = model.inputs(tokens.to(wanted.device))
        return Split(inputs=inputs, targets=(targets.to(wanted.device),))

    cut = len(rows) - held
    return part(rows[:cut]), part(rows[cut:]) if held else None


def _predicted(rows: Tensor, model: TokenModel, seed: int) -> tuple[Tensor, Tensor]:
    """Return what the model is given of windows, and what it is to say."""
    if model.task == "last":
        return rows[:, :-1].contiguous(), rows[:, -1].contiguous()
    if model.task != "masked":
        return rows[:, :-1].contiguous(), rows[:, 1:].contiguous()
    rows = rows[:, :-1]
    generator = new_generator(torch.device("cpu"), seed, 8, len(rows))
    order = torch.rand(rows.shape, generator=generator).argsort(1)
    hidden = order < max(1, round(_HIDDEN * rows.shape[1]))
    return rows.masked_fill(hidden, model.mask), rows.masked_fill(~hidden, IGNORED)


def _said(split: Split) -> Tensor:
    targets = split.targets[0].flatten().cpu()
    return targets[targets != IGNORED]


DATA = DataSet(make=make, keys=("data.context",), defaults=defaults)
