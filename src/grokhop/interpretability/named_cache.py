"""Activations of one row by names: hook point, number of the applied layer, and token.

Points are called as in TransformerLens (Nanda and Bloom 2022). Layers are counted from 0 as they are applied: in a loop
of one layer, layer 1 is its second application, and `hook_resid_pre` of it what the first made of each position.

Shapes: T positions, D width, H heads, K = D / H, V tokens.
"""

from collections.abc import Iterable
from difflib import get_close_matches

import torch
from torch import Tensor

from grokhop.core.errors import InputError
from grokhop.interpretability.hooks import ATTENTION, HEADS, MLP, RESIDUAL, ActivationCache

LOGITS = "logits"
POINTS = {RESIDUAL: "hook_resid_pre", ATTENTION: "hook_attn_out", MLP: "hook_mlp_out", HEADS: "hook_z"}
"""The name of each part."""
Key = tuple[str, int] | tuple[str, int, str | int]


class NamedCache:
    """The activations of a model for one row.

    `cache["hook_resid_pre", 1, "father"]` is (D,), and so are `hook_attn_out` and `hook_mlp_out`; `hook_z` is (H, K).
    `cache["logits", 1, "father"]` is (V,), what was read out there after loop 1, the only one in a plain decoder. In
    place of a label a position may stand, from 0. Without a token all T positions come, (T, ...), NaN where nothing
    was computed.

    Attributes:
        tokens: the label of each position.
        activations: the same values as `patch` and the lens take them.
    """

    def __init__(self, tokens: tuple[str, ...], activations: ActivationCache) -> None:
        self.tokens, self.activations = tokens, activations
        self._values = {
            **{
                (POINTS[part], depth - (part != RESIDUAL)): grid[0]
                for (part, depth), grid in activations.values.items()
            },
            **_read_outs(len(tokens), activations),
        }

    def __getitem__(self, key: Key) -> Tensor:
        """Return the values at one token, or at all.

        Raises:
            InputError: there is no such point, layer or token, or nothing was computed there.
        """
        if not isinstance(key, tuple) or len(key) not in (2, 3):
            raise InputError(f"{key!r} is no key: give a point, a layer and a token, ('hook_resid_pre', 0, 0) for one")
        values = self._of_layer(key[0], key[1])
        return values if len(key) == 2 else self._of_token(values, key)

    def __contains__(self, key: Key) -> bool:
        try:
            self[key]
        except InputError:
            return False
        return True

    def keys(self) -> list[tuple[str, int]]:
        """Every point with the number of each of its layers, and 'logits' with that of each loop."""
        return sorted(self._values)

    def _of_layer(self, name: str, number: int) -> Tensor:
        names = sorted({name for name, _ in self._values})
        if name not in names:
            raise InputError(f"there is no {name!r} in this cache; the nearest are {_nearest(name, names)}")
        if (name, number) not in self._values:
            numbers = sorted(i for found, i in self._values if found == name)
            raise InputError(f"{name} has no number {number!r}: it has {', '.join(map(str, numbers))}")
        return self._values[name, number]

    def _of_token(self, values: Tensor, key: tuple[str, int, str | int]) -> Tensor:
        found = values[self._position(key[2])]
        if found.isnan().any():
            there = [token for token, value in zip(self.tokens, values, strict=True) if not value.isnan().any()]
            raise InputError(f"{key[0]} {key[1]} was not computed at {key[2]!r}, only at {_listed(there)}")
        return found

    def _position(self, token: str | int) -> int:
        if isinstance(token, int):
            if not -len(self.tokens) <= token < len(self.tokens):
                raise InputError(f"there is no position {token}: the row has {len(self.tokens)}, from 0")
            return token
        places = [position for position, label in enumerate(self.tokens) if label == token]
        if not places:
            raise InputError(f"there is no token {token!r} in the row; the nearest are {_nearest(token, self.tokens)}")
        if len(places) > 1:
            raise InputError(f"{token!r} stands at {' and '.join(map(str, places))}: give the position instead")
        return places[0]


def _read_outs(positions: int, activations: ActivationCache) -> dict[tuple[str, int], Tensor]:
    """By loop, the (T, V) logits that were read out after it."""
    found = {}
    for read in activations.read_outs:
        grid = torch.full((positions, read.logits.shape[1]), float("nan"))
        grid[read.position] = read.logits
        found[LOGITS, read.loop] = grid
    return found


def _nearest(name: object, names: Iterable[str]) -> str:
    return _listed(get_close_matches(str(name), dict.fromkeys(names), n=3, cutoff=0.0))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names)
