"""What a trace of a model bakes in: as long as it is the same, so is what the trace computes.

The values of variables are read anew at each run. Everything else that a model's Python looks at while it is traced is
frozen in the trace, and nothing tells when it changes: attributes of layers at any depth, what functions close over,
the globals that they name, the attributes of classes, tables, constants. So before a trace is used again, all of that
is compared. Code of installed packages is what it is; only the user's own is looked into.
"""

from __future__ import annotations

import contextlib
import dis
import functools
import hashlib
import itertools
import pickle
import sys
import types
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_sensitivity.networks.keras_tf.layers import is_bookkeeping, operations, trainer_attributes

__all__ = ["Identity", "Path", "Same", "content"]

Path = tuple[Any, ...]

ATOMS = (type(None), bool, int, float, complex, str, bytes, np.generic, np.dtype, tf.DType, tf.TensorShape, type(...))

UNCHANGING = (tf.Tensor, keras.KerasTensor)

# What has no parts that change.
FIXED = (
    types.BuiltinFunctionType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
    types.MethodDescriptorType,
    types.ModuleType,
    types.WrapperDescriptorType,
    np.ufunc,
)

# Only training asks for these.
TRAINING = ("_initializer", "_regularizer", "_constraint", "activity_regularizer", "_trainable")

# Layers inside a layer and calls of them, which are looked at by themselves; whether one was called; what a training
# leaves behind.
ELSEWHERE = frozenset(
    [
        "_called",
        "_dropout_mask",
        "_layers",
        "_nodes",
        "_nodes_by_depth",
        "_operations",
        "_operations_by_depth",
        "_recurrent_dropout_mask",
    ]
)

# What Keras' own models compute by; all else that they have is for their training.
OF_MODELS = frozenset(
    ["_dtype_policy", "_functional", "_inputs_struct", "_outputs_struct", "_remat_mode", "autocast", "output_names"]
)

# Marks the number of things in a container, and stands for what Python and Keras add to a class.
LENGTH = "(length)"
OF_CLASSES = frozenset(
    ["__dict__", "__weakref__", "__doc__", "__module__", "__annotations__", "_abc_impl", "__abstractmethods__"]
)


class Same:
    """One object and no other: equal to another `Same` only while both are of one object that is still there."""

    def __init__(self, kept: Any) -> None:
        self._reference = weakref.ref(kept)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self._reference() is other._reference() is not None

    __hash__ = None  # type: ignore[assignment]


class Identity:
    """A model as it stands now. It keeps nothing of the model alive.

    Attributes:
        is_whole: Whether all could be looked into; else what the model computes has to be compared, too.
    """

    def __init__(self, model: keras.Model) -> None:
        self.is_whole = True
        self._facts: dict[Path, Any] = {}
        self._seen: dict[int, Any] = {}  # by the id of an object, kept so that the id is of no other
        try:
            self._layers(operations(model), ())
        except RecursionError:
            self.is_whole = False
        self._facts[("floats",)] = keras.config.floatx(), keras.config.epsilon(), keras.config.image_data_format()
        self._seen.clear()

    def is_same(self, other: Identity, ignored: Iterable[Path] = ()) -> bool:
        """Whether both are the same model with the same attributes, but for what lies at or behind some paths."""
        if self._facts == other._facts:
            return True
        ignored = tuple(ignored)
        return all(any(path[: len(start)] == start for start in ignored) for path in self._different(other))

    def changed(self, other: Identity) -> set[Path]:
        """Where the two differ: the values that are others, and the containers that hold more or less."""
        return {path[:-1] if path[-1] == LENGTH else path for path in self._different(other)}

    def _different(self, other: Identity) -> Iterator[Path]:
        nothing = object()
        for path in self._facts.keys() | other._facts.keys():
            if self._facts.get(path, nothing) != other._facts.get(path, nothing):
                yield path

    # --- what there is ------------------------------------------------------------------------------------------------

    def _layers(self, every: Iterable[Any], path: Path) -> None:
        new = [each for each in every if id(each) not in self._seen]
        self._seen |= {id(each): each for each in new}
        for index, each in enumerate(new):
            self._layer(each, (*path, index))

    def _layer(self, layer: Any, path: Path) -> None:
        self._facts[path] = Same(layer)
        self._kind(type(layer), (*path, "class"))
        matters = _matters_to(layer)
        for name, value in list(vars(layer).items()):  # another thread may be setting one
            if matters(name):
                self._value(value, (*path, name))
        for arguments in _constants(layer):
            self._value(arguments, (*path, "arguments"))

    def _value(self, value: Any, path: Path) -> None:
        """Note a value: what does not change, and is equal only for values that compute the same."""
        if isinstance(value, ATOMS):
            same_if_nan = repr(value) if isinstance(value, float | np.floating) else value
            self._facts[path] = type(value), same_if_nan
        elif isinstance(value, np.ndarray):
            self._facts[path] = content(value)
        elif isinstance(value, keras.Variable | tf.Variable):
            inner = getattr(value, "_value", None)
            self._facts[path] = Same(value), str(value.dtype), tuple(value.shape), inner is None or Same(inner)
        elif isinstance(value, keras.Layer | keras.Operation):
            self._hidden_layer(value, path)
        elif isinstance(value, UNCHANGING) or (_is_tensorflows(value) and not isinstance(value, list | Mapping)):
            self._facts[path] = _same(value)
        elif id(value) not in self._seen:
            self._seen[id(value)] = value
            self._inside(value, path)

    def _hidden_layer(self, layer: Any, path: Path) -> None:
        """Note a layer that is held where Keras does not look for layers; the others are looked at by themselves."""
        self._facts[path] = Same(layer)
        self._layers(operations(layer) if isinstance(layer, keras.Layer) else [layer], path)

    def _inside(self, value: Any, path: Path) -> None:
        """Note what is in a value that holds others."""
        if isinstance(value, Mapping):
            self._each(((_name(key), each) for key, each in value.items()), len(value), path)
        elif isinstance(value, list | tuple):
            self._each(enumerate(value), len(value), path)
        elif isinstance(value, set | frozenset):
            self._facts[path] = sorted(map(repr, value))
        elif isinstance(value, functools.partial):
            self._each(enumerate((value.func, value.args, value.keywords)), 3, path)
        elif isinstance(value, types.MethodType):
            self._each(enumerate((value.__func__, value.__self__)), 2, path)
        elif isinstance(value, types.FunctionType):
            self._function(value, path)
        elif isinstance(value, type):
            self._kind(value, path)
        elif isinstance(value, FIXED):
            self._facts[path] = _same(value)
        else:
            self._object(value, path)

    def _each(self, parts: Iterable[tuple[Any, Any]], length: int, path: Path) -> None:
        self._facts[(*path, LENGTH)] = length
        for name, part in parts:
            self._value(part, (*path, name))

    def _function(self, function: types.FunctionType, path: Path) -> None:
        """Note a function of the user's with all that it reads; one of an installed package is what it is."""
        self._facts[path] = Same(function)
        if _is_installed(function.__module__):
            return
        self._facts[(*path, "code")] = function.__code__
        self._value(function.__defaults__, (*path, "defaults"))
        self._value(function.__kwdefaults__, (*path, "keyword defaults"))
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            with contextlib.suppress(ValueError):  # not filled yet
                self._value(cell.cell_contents, (*path, name))
        names, attributes = _names(function.__code__)
        for name in names:
            found = function.__globals__.get(name, sys.modules.get(name))
            if isinstance(found, types.ModuleType) and not _is_installed(found.__name__):
                inside = [(each, vars(found)[each]) for each in attributes if each in vars(found)]
                self._each(inside, len(inside), (*path, name))
            elif found is not None:
                self._value(found, (*path, name))

    def _kind(self, kind: type, path: Path) -> None:
        """Note what a class of the user's, and those that it is made of, say."""
        for each in kind.__mro__:
            call = vars(each).get("call")
            if call is not None:
                self._facts[(*path, each.__qualname__, "call")] = _same(call)
            if not _is_installed(each.__module__) and id(each) not in self._seen:
                self._seen[id(each)] = each
                for name, value in vars(each).items():
                    if name not in OF_CLASSES:
                        self._value(_plain(value), (*path, each.__qualname__, name))

    def _object(self, value: Any, path: Path) -> None:
        """Note the attributes of an object, or what it would be saved as."""
        self._facts[path] = _same(value)
        self._kind(type(value), (*path, "class"))
        if hasattr(value, "__dict__"):
            matters = _matters_to(value)
            attributes = [(name, each) for name, each in list(vars(value).items()) if matters(name)]
            self._each(attributes, len(attributes), path)
        if not hasattr(value, "__dict__") or any(vars(each).get("__slots__") for each in type(value).__mro__):
            try:
                self._facts[(*path, "saved")] = hashlib.sha256(pickle.dumps(value)).digest()
            except Exception:  # noqa: BLE001  (whatever cannot be pickled)
                self.is_whole = False


def content(array: np.ndarray[Any, Any]) -> Any:
    """What stands in an array, in few bytes."""
    values = array.tolist() if array.dtype.hasobject else hashlib.sha256(array.tobytes()).digest()
    return array.shape, array.dtype.str, values


def _same(value: Any) -> Any:
    try:
        return Same(value)
    except TypeError:  # objects that know no weak references
        return type(value)


def _name(key: Any) -> Any:
    return key if isinstance(key, str | int) else repr(key)


def _plain(value: Any) -> Any:
    """The function in a method, static method or property of a class."""
    return getattr(value, "__func__", getattr(value, "fget", value))


def _matters_to(owner: Any) -> Callable[[str], bool]:
    """Which attributes of a layer, a model or another object say what it computes."""
    of_keras = type(owner).__module__.startswith("keras.")
    if isinstance(owner, keras.Model):
        return OF_MODELS.__contains__ if of_keras else _matters_in_models
    if of_keras:
        return _matters_to_keras
    return _matters_in_layers if isinstance(owner, keras.Layer | keras.Operation) else _always


@functools.cache
def _matters_in_layers(name: str) -> bool:
    return not is_bookkeeping(name) and name not in ELSEWHERE


def _matters_in_models(name: str) -> bool:
    return _matters_in_layers(name) and name not in trainer_attributes()


@functools.cache
def _matters_to_keras(name: str) -> bool:
    return _matters_in_layers(name) and not name.endswith(TRAINING)


def _always(name: str) -> bool:
    return True


def _constants(layer: Any) -> Iterator[Any]:
    """What the layers of a functional model are called with, beside tensors."""
    for node in itertools.chain(*getattr(layer, "_nodes_by_depth", {}).values()):
        given = keras.tree.flatten((node.arguments.args, node.arguments.kwargs))
        yield [each for each in given if not isinstance(each, keras.KerasTensor)]


@functools.lru_cache(maxsize=4096)
def _names(code: types.CodeType) -> tuple[list[str], list[str]]:
    """The names of globals and modules, and of attributes, in the code of a function and of those inside of it."""
    names: set[str] = set()
    attributes: set[str] = set()
    for instruction in dis.get_instructions(code):
        if isinstance(instruction.argval, types.CodeType):
            inner = _names(instruction.argval)
            names.update(inner[0])
            attributes.update(inner[1])
        elif isinstance(instruction.argval, str):
            is_global = instruction.opname in {"LOAD_GLOBAL", "LOAD_NAME", "IMPORT_NAME"}
            (names if is_global else attributes).add(instruction.argval)
    return sorted(names), sorted(attributes)


def _is_tensorflows(value: Any) -> bool:
    return type(value).__module__.startswith("tensorflow.")


def _is_installed(module: str | None) -> bool:
    """Whether a module is one of Python's or of an installed package, not the user's own."""
    return _is_package_installed((module or "builtins").partition(".")[0])


@functools.cache
def _is_package_installed(name: str) -> bool:
    if name in sys.stdlib_module_names or name == __name__.partition(".")[0]:
        return name != "__main__"
    file = getattr(sys.modules.get(name), "__file__", None) or ""
    return "site-packages" in file or "dist-packages" in file
