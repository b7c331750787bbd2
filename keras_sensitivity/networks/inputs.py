"""What goes into a network: named leaves of a structure, found in x and packed again for a call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from keras_sensitivity import errors

__all__ = ["Inputs", "Leaf"]


class Leaf(NamedTuple):
    """One input of a network.

    Attributes:
        name: Its key in a dict ("a/b" in nested ones) or its name, "" if it has none.
        shape: Of a batch, None where the network does not say; all of it None where it says nothing.
        dtype: What the network declares; None where it does not.
        columns: The names of its columns, where the network knows them.
    """

    name: str = ""
    shape: tuple[int | None, ...] | None = None
    dtype: str | None = None
    columns: tuple[str, ...] | None = None


class Inputs(NamedTuple):
    """The leaves of a model's input, in the network's order, and the structure that they are packed into.

    Attributes:
        leaves: One for each tensor of a call.
        structure: Nested dicts, lists and tuples with the position of its leaf at each end.
    """

    leaves: tuple[Leaf, ...]
    structure: Any

    @classmethod
    def of(cls, structure: Any) -> Inputs:
        """The inputs in nested dicts, lists and tuples of leaves, in Keras' order: the keys of dicts sorted.

        A key names the leaves below it; what has neither a key nor a name is numbered, where there are several.

        >>> Inputs.of({"b": Leaf(), "a": {"c": Leaf("mine"), "d": Leaf()}}).names
        ['a/c', 'a/d', 'b']
        >>> Inputs.of([Leaf("price"), Leaf()]).names
        ['price', 'input_1']
        """
        several = isinstance(structure, (list, tuple)) and not isinstance(structure, Leaf) and len(structure) > 1
        leaves: list[Leaf] = []
        numbered = _numbered(structure, (), leaves, several)
        return cls(tuple(leaves), numbered)

    @property
    def names(self) -> list[str]:
        """The names of the leaves, "x" for one without."""
        return [leaf.name or "x" for leaf in self.leaves]

    def pack(self, tensors: Sequence[Any]) -> Any:
        """The tensors in the structure that the network is called with."""
        return _rebuilt(self.structure, lambda position: tensors[position])

    def flatten(self, x: Any) -> list[Any]:
        """The values of x in the order of the leaves; keys that the network has not are ignored."""
        by_column = isinstance(x, pd.DataFrame) and isinstance(self.structure, dict) and {*self.structure} <= {*x}
        alone = len(self.leaves) == 1 and not by_column and not isinstance(x, (Mapping, list, tuple))
        if alone or isinstance(self.structure, int) or (isinstance(x, Mapping) and isinstance(self.structure, list)):
            return self._by_name(x)
        found: list[Any] = [None] * len(self.leaves)
        self._fill(self.structure, x, found, "x")
        return found

    def _by_name(self, x: Any) -> list[Any]:
        """The values for leaves that stand in no dict: x itself, or a dict with the names of the inputs."""
        if not isinstance(x, Mapping):
            one = isinstance(x, (list, tuple)) and len(x) == 1 and hasattr(x[0], "shape")
            rank = None if self.leaves[0].shape is None else len(self.leaves[0].shape)
            return [x[0] if one and len(x[0].shape) == rank else x]
        errors.check_keys("x", x, [leaf.name for leaf in self.leaves])
        return [x[leaf.name] for leaf in self.leaves]

    def _fill(self, structure: Any, x: Any, found: list[Any], where: str) -> None:
        if isinstance(structure, int):
            found[structure] = x
        elif isinstance(structure, dict):
            errors.check_keys(where, x if isinstance(x, (Mapping, pd.DataFrame)) else type(x), list(structure))
            for key, part in structure.items():
                self._fill(part, x[key], found, f"{where}[{key!r}]")
        else:
            errors.check_parts(where, x, len(structure))
            for index, (part, value) in enumerate(zip(structure, x, strict=True)):
                self._fill(part, value, found, f"{where}[{index}]")


def _numbered(structure: Any, path: tuple[str, ...], leaves: list[Leaf], several: bool) -> Any:
    """The structure with the positions of its leaves, which are named and appended."""
    if isinstance(structure, Leaf):
        name = "/".join(path) or structure.name or (f"input_{len(leaves)}" if several else "")
        leaves.append(structure._replace(name=name))
        return len(leaves) - 1
    if isinstance(structure, Mapping):
        return {key: _numbered(structure[key], (*path, str(key)), leaves, several) for key in sorted(structure)}
    return [_numbered(part, path, leaves, several) for part in structure]


def _rebuilt(structure: Any, value_of: Callable[[int], Any]) -> Any:
    if isinstance(structure, dict):
        return {key: _rebuilt(part, value_of) for key, part in structure.items()}
    if isinstance(structure, list):
        return [_rebuilt(part, value_of) for part in structure]
    return value_of(structure)
