"""The inputs of a model in a table or in arrays, by their names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from keras_sensitivity import errors
from keras_sensitivity.command.files import Data
from keras_sensitivity.networks.inputs import Inputs, Leaf

__all__ = ["without", "x_of"]


def without(data: Data, option: str, names: Sequence[str]) -> Data:
    """The table without some of its columns, or the arrays without some; ``option`` is how these were given."""
    errors.check_columns(option, names, [str(name) for name in data])
    if isinstance(data, pd.DataFrame):
        return data.loc[:, [str(column) not in names for column in data.columns]]
    return {name: array for name, array in data.items() if name not in names}


def x_of(data: Data, inputs: Inputs) -> Any:
    """What the model is called with.

    Args:
        data: A table whose columns are those of the one input, in its order; or that has the columns of several inputs,
            "price" for an input of one column, "prices/0", "prices/1" for one of several. Or an array for each input,
            by name; one alone may have any name, and one among others is called "x".
        inputs: Of the model.
    """
    alone = len(inputs.leaves) == 1 and not isinstance(inputs.structure, dict)
    if isinstance(data, pd.DataFrame):
        return (
            _table(data, inputs.leaves[0]) if alone else inputs.pack([_columns(data, leaf) for leaf in inputs.leaves])
        )
    if alone:
        name = next(iter(data)) if len(data) == 1 else inputs.leaves[0].name if inputs.leaves[0].name in data else "x"
        errors.check_arrays([name], list(data))
        return data[name]
    errors.check_arrays(inputs.names, list(data))
    return inputs.pack([data[name] for name in inputs.names])


def _table(frame: pd.DataFrame, leaf: Leaf) -> pd.DataFrame:
    """The table, if it has as many columns as the model takes."""
    if leaf.shape is not None and len(leaf.shape) > 2:
        errors.refuse_table(leaf.shape)
    if leaf.shape is not None and len(leaf.shape) == 2 and leaf.shape[1] is not None:
        errors.check_column_count(list(map(str, frame.columns)), leaf.shape[1])
    return frame


def _columns(frame: pd.DataFrame, leaf: Leaf) -> pd.DataFrame | pd.Series[Any]:
    """The columns of one input."""
    width = 1 if leaf.shape is None or len(leaf.shape) < 2 or leaf.shape[1] is None else leaf.shape[1]
    if leaf.shape is not None and len(leaf.shape) > 2:
        errors.refuse_table(leaf.shape)
    names = [leaf.name] if width == 1 else [f"{leaf.name}/{index}" for index in range(width)]
    errors.check_input_columns(leaf.name, names, list(map(str, frame.columns)))
    found = frame.loc[:, names]
    return found[names[0]] if leaf.shape is not None and len(leaf.shape) == 1 else found
