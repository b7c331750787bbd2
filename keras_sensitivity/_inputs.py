"""What goes into a model: named leaves of a structure, found in x and packed again for a call."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import pandas as pd

from keras_sensitivity import _checks

__all__ = ["Inputs", "Leaf"]

# Names that Keras gives to inputs without one.
AUTOMATIC_NAME = re.compile(r"(keras_tensor|input_layer)(_\d+)?")


class Leaf(NamedTuple):
    """One input of a model.

    Attributes:
        name: Its key in a dict ("a/b" in nested ones) or its name, "" if it has none.
        shape: Of a batch, None where the model does not say; all of it None for subclassed models.
        dtype: What the model declares; None for subclassed models.
    """

    name: str
    shape: tuple[int | None, ...] | None = None
    dtype: str | None = None


class Inputs(NamedTuple):
    """The leaves of a model's input, in the model's order, and the structure that they are packed into.

    Attributes:
        leaves: One for each tensor of a call.
        structure: Nested dicts, lists and tuples with the position of its leaf at each end.
    """

    leaves: tuple[Leaf, ...]
    structure: Any

    @classmethod
    def of(cls, model: keras.Model, x: Any) -> Inputs:
        """The inputs that a functional or Sequential model declares; those of a subclassed one are read from x."""
        declared = getattr(model, "inputs", None)
        if declared:
            structure = getattr(model, "_inputs_struct", declared[0] if len(declared) == 1 else list(declared))
        else:
            structure = _structure_of(x, _built_shapes(model))
        several = isinstance(structure, (list, tuple)) and len(structure) > 1
        leaves: list[Leaf] = []
        numbered = _numbered(structure, (), leaves, several)
        return cls(tuple(leaves), numbered)

    @property
    def names(self) -> list[str]:
        """The names of the leaves, "x" for one without."""
        return [leaf.name or "x" for leaf in self.leaves]

    def pack(self, tensors: Sequence[Any]) -> Any:
        """The tensors in the structure that the model is called with."""
        return _rebuilt(self.structure, lambda position: tensors[position])

    def flatten(self, x: Any) -> list[Any]:
        """The values of x in the order of the leaves; keys that the model has not are ignored."""
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
        _checks.keys("x", x, [leaf.name for leaf in self.leaves])
        return [x[leaf.name] for leaf in self.leaves]

    def _fill(self, structure: Any, x: Any, found: list[Any], where: str) -> None:
        if isinstance(structure, int):
            found[structure] = x
        elif isinstance(structure, dict):
            _checks.keys(where, x if isinstance(x, (Mapping, pd.DataFrame)) else type(x), list(structure))
            for key, part in structure.items():
                self._fill(part, x[key], found, f"{where}[{key!r}]")
        else:
            _checks.parts(where, x, len(structure))
            for index, (part, value) in enumerate(zip(structure, x, strict=True)):
                self._fill(part, value, found, f"{where}[{index}]")


def _numbered(structure: Any, path: tuple[str, ...], leaves: list[Leaf], several: bool) -> Any:
    """The structure with the positions of its leaves, which are appended in Keras' order: dict keys sorted."""
    if isinstance(structure, Mapping):
        return {key: _numbered(structure[key], (*path, str(key)), leaves, several) for key in sorted(structure)}
    if isinstance(structure, (list, tuple)):
        return [_numbered(part, path, leaves, several) for part in structure]
    name, default = "/".join(path), f"input_{len(leaves)}" if several else ""
    if structure is None:
        leaves.append(Leaf(name or default))
    else:
        own = "" if AUTOMATIC_NAME.fullmatch(structure.name) else structure.name
        leaves.append(Leaf(name or own or default, tuple(structure.shape), str(structure.dtype)))
    return len(leaves) - 1


def _rebuilt(structure: Any, value_of: Callable[[int], Any]) -> Any:
    if isinstance(structure, dict):
        return {key: _rebuilt(part, value_of) for key, part in structure.items()}
    if isinstance(structure, list):
        return [_rebuilt(part, value_of) for part in structure]
    return value_of(structure)


def _structure_of(x: Any, shapes: Any) -> Any:
    """Dicts of x, and lists where the model was built with a list of as many shapes; None at each end."""
    if isinstance(x, Mapping):
        return {key: _structure_of(x[key], shapes.get(key) if isinstance(shapes, Mapping) else None) for key in x}
    several = isinstance(shapes, (list, tuple)) and all(isinstance(shape, (list, tuple, dict)) for shape in shapes)
    if isinstance(x, (list, tuple)) and several and len(shapes) == len(x):
        return [_structure_of(part, shape) for part, shape in zip(x, shapes, strict=True)]
    return None


def _built_shapes(model: keras.Model) -> Any:
    """The shapes that a subclassed model was first called with."""
    shapes = getattr(model, "_build_shapes_dict", None)
    return next(iter(shapes.values())) if shapes else None
