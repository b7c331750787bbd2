"""Layers, metrics and optimizers made anew from their configuration."""

from __future__ import annotations

import inspect
import types
import warnings
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_sensitivity import errors

__all__ = ["anew", "flat", "from_config"]


def anew(old: Any, *, reads_noise: bool) -> Any:
    """A layer or operation made anew from its configuration, not built; refuses what cannot be."""
    try:
        if type(old) is keras.layers.Lambda:
            return _lambda_anew(old)
        with warnings.catch_warnings():
            # Nothing is saved: Keras tells of functions that could not be loaded elsewhere.
            warnings.filterwarnings("ignore", message="The object being serialized includes a `lambda`")
            config = old.get_config()
        new = from_config(old, _with_functions(old, _unbuilt(config) if reads_noise else config))
    except Exception as error:  # noqa: BLE001  (whatever the user's layer raises)
        errors.refuse_config(old.name, type(old).__name__, error)
    if set(map(id, flat(old))) & set(map(id, flat(new))):
        errors.refuse_config(old.name, type(old).__name__, "a configuration that hands on a layer of the old one")
    return new


def _lambda_anew(old: keras.layers.Lambda) -> keras.layers.Lambda:
    """A Lambda with the same functions, which a configuration would hold as bytes, without what they refer to."""
    config = keras.Layer.get_config(old)
    return keras.layers.Lambda(old.function, old._output_shape, old.mask, dict(old.arguments), **config)


def from_config(old: Any, config: dict[str, Any]) -> Any:
    """A layer, metric or optimizer of this configuration, which may name classes and functions not registered."""
    with keras.saving.custom_object_scope({found.__name__: found for each in flat(old) for found in _named(each)}):
        new = type(old).from_config(config)
    lost = [name for name in _arguments(old) if _written(vars(old).get(name)) != _written(vars(new).get(name))]
    if lost:
        raise ValueError(f"the configuration does not hold the argument {lost[0]!r}")
    return new


def flat(old: Any) -> list[Any]:
    """A layer and all in it; or whatever else, by itself."""
    return list(old._flatten_layers()) if isinstance(old, keras.Layer) else [old]


def _named(instance: Any) -> Iterator[Any]:
    """Its class, and the functions and classes of objects that it holds, other than Keras' own."""
    for each in (instance, *vars(instance).values()):
        found = each if isinstance(each, types.FunctionType) else type(each)
        if hasattr(each, "get_config") or found is each:
            yield from [] if found.__module__.startswith("keras.") else [found]


def _with_functions(old: Any, config: dict[str, Any]) -> dict[str, Any]:
    """A configuration with the functions that it would describe, such as activations, as they are."""
    return {
        key: getattr(old, key) if isinstance(value, dict) and isinstance(getattr(old, key, None), types.FunctionType)
        else value
        for key, value in config.items()
    }  # fmt: skip


def _unbuilt(config: Any) -> Any:
    """A configuration without the shapes that layers inside of a layer were built for."""
    if isinstance(config, dict):
        return {key: _unbuilt(value) for key, value in config.items() if key != "build_config"}
    return [_unbuilt(value) for value in config] if isinstance(config, list) else config


def _arguments(old: Any) -> list[str]:
    """The arguments of the constructor of a class that is not Keras' own, but for the name."""
    names = [] if type(old).__module__.startswith("keras.") else list(inspect.signature(type(old).__init__).parameters)
    return [name for name in names if name != "name"]


def _written(value: Any) -> str | None:
    """What a plain value is; None for any other, which cannot be compared."""
    leaves = keras.tree.flatten(value)
    plain = all(isinstance(leaf, (bool, int, float, str, np.ndarray, np.generic)) for leaf in leaves)
    return repr([np.asarray(leaf).tolist() for leaf in leaves]) if plain else None
