"""Molecules as tokens and atoms, as a configuration of transformers describes them."""

from __future__ import annotations

from collections.abc import Callable

from modelcli.loading.providers.transformers_facts import TOKENS, Facts, floats, ids, mask, whole
from modelcli.loading.types import InputSpec

_ATOMS = 8  # of a token: as many heavy ones as an amino acid has


def has_atoms(facts: Facts) -> bool:
    """Tell whether a molecule goes in, whose masks are truth values."""
    return any(name.rpartition(".")[2] == "atom_to_token" for name in facts.names)


def _atoms(facts: Facts) -> int:
    return TOKENS * min(_ATOMS, facts.number("max_atoms_per_token", default=_ATOMS))


def _places(name: str, _: Facts) -> list[InputSpec]:
    return whole(name, [list(range(TOKENS))], 1, TOKENS)


def _of_atoms(name: str, facts: Facts) -> list[InputSpec]:
    return ids(name, (1, _atoms(facts)))


def _token_of_atom(name: str, facts: Facts) -> list[InputSpec]:
    count = _atoms(facts)
    return whole(name, [[atom * TOKENS // count for atom in range(count)]], 1, count)


def _letters(name: str, facts: Facts) -> list[InputSpec]:
    return ids(name, (1, _atoms(facts), facts.number("max_chars", default=4)))


ATOMS: dict[str, Callable[[str, Facts], list[InputSpec]]] = {
    "token_index": _places,
    "residue_index": _places,
    "token_bonds": lambda name, _: floats(name, (1, TOKENS, TOKENS, 1)),
    "ref_pos": lambda name, facts: floats(name, (1, _atoms(facts), 3)),
    "ref_charge": lambda name, facts: floats(name, (1, _atoms(facts))),
    "ref_element": _of_atoms,
    "ref_atom_name_chars": _letters,
    "ref_space_uid": _token_of_atom,
    "atom_to_token": _token_of_atom,
    "atom_attention_mask": lambda name, facts: mask(name, (1, _atoms(facts)), dtype="bool"),
}
"""What an argument of that name may look like, the likeliest first."""
