"""How the axes of the tensors that are differentiated with respect to are read."""

from __future__ import annotations

import math

import tensorflow as tf

from keras_sensitivity.networks.keras_tf.axes import Lags
from keras_sensitivity.networks.keras_tf.codes import Found
from keras_sensitivity.networks.keras_tf.tensors import origins
from keras_sensitivity.networks.network import Part

__all__ = ["read"]

Tensors = tuple[tf.Tensor, ...]


def read(found: Found, x: Tensors, masks: list[tf.Tensor], mode: str) -> tuple[Part, Lags]:
    """How the axes of a tensor are read, and where each lag is in each row.

    Args:
        found: The tensor, and which of the inputs it comes from.
        x: The inputs.
        masks: The masks of time steps that the model made.
        mode: As asked for by a `Definition`.
    """
    entries = tuple(found.tensor.shape[1:])
    # Noise is laid out like the input that it stands beside.
    leaf = tuple(x[found.sources[0]].shape[1:]) if found.sources else entries
    keeps_entries = not found.looked_up and entries == leaf and found.in_place
    num_lags = None
    if _has_time_axis(leaf, x, mode, is_noise=not found.sources) and entries and entries[0] == leaf[0]:
        num_lags, entries, leaf = entries[0], entries[1:], leaf[1:]
    num_columns = math.prod(entries)
    if not keeps_entries:
        # One column a position, if the positions are still there, each with the entries that it became.
        keeps_positions = bool(leaf) and entries[:1] == leaf[:1] and (len(entries) > 1 or not found.looked_up)
        num_columns = leaf[0] if keeps_positions and found.in_place else 1
    part = Part(found.sources, entries, num_lags, num_columns, keeps_entries, keeps_entries and found.is_number)
    own = [mask for mask in masks if len(x) == 1 or not found.sources or set(found.sources) & origins(mask, x)]
    mask = next((mask for mask in own if num_lags and mask.shape[1] == num_lags), None)
    return part, Lags.of(found.tensor.shape[0], num_lags, mask)


def _has_time_axis(row_shape: tuple[int, ...], x: Tensors, mode: str, *, is_noise: bool) -> bool:
    """Whether the first axis of the rows of an input is that of time."""
    if mode == "static" or not row_shape:
        return False
    if len(row_shape) in (2, 4) or mode == "auto" or is_noise:
        return len(row_shape) in (2, 4)
    # Asked for: a table is a sequence of one feature, where no other input is one already.
    return not any(len(tensor.shape) in (3, 5) for tensor in x)
