"""The first floating-point tensors that integers and strings become, watched while a model is traced.

A code has no derivative; what it is looked up as has one. Which input a tensor comes from is read from the graph that
is being traced, backwards from the tensor to the inputs.

Integers that are numbers, not codes, are cast to floating point before the layer that would do so itself, and watched
there. A layer may compute something else for numbers of another type, so both results are kept, and compared at each
run: see `Codes.agreements`.
"""

from __future__ import annotations

import collections
import math
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from keras_sensitivity import errors
from keras_sensitivity.networks.keras_tf.backward import backward, depends_on
from keras_sensitivity.networks.keras_tf.borrowing import Loan
from keras_sensitivity.networks.keras_tf.layers import CODES, operations, reads_codes
from keras_sensitivity.networks.keras_tf.tensors import CUTTING, PYTHON, Key, ancestors, handed_on, key, origins

__all__ = ["Call", "Codes", "Found", "agree"]

# Operations that leave each entry in its place, and those that do so for the indices, their second argument.
PLACE_KEEPING = {
    "Abs", "AddV2", "AsString", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Bucketize", "Cast", "ClipByValue", "DivNoNan",
    "EnsureShape", "Equal", "Exp", "ExpandDims", "Floor", "FloorDiv", "FloorMod", "Greater", "GreaterEqual", "Identity",
    "IdentityN", "LeftShift", "Less", "LessEqual", "Log", "Log1p", "LogicalAnd", "LogicalNot", "LogicalOr",
    "LookupTableFindV2", "Maximum", "Minimum", "Mul", "Neg", "NotEqual", "OneHot", "Placeholder", "Pow", "RealDiv",
    "Relu", "Reshape", "RightShift", "Round", "SelectV2", "Sigmoid", "Sign", "Sqrt", "Square", "Squeeze", "StringLower",
    "StringToHashBucketFast", "StringToHashBucketStrong", "Sub", "Tanh",
}  # fmt: skip
GATHERING = {"GatherV2", "ResourceGather"}

# A layer or operation by its name, and which of its calls.
Call = tuple[str, int]

# Two ways to one number may differ by this part of the largest: by the bytes of its type.
ROUNDING = {1: 0.1, 2: 1e-2, 4: 1e-5, 8: 1e-5}


class Found(NamedTuple):
    """A tensor to differentiate with respect to.

    Attributes:
        tensor: Floating-point, shape (batch_size, ...).
        sources: The positions of the inputs that it comes from.
        looked_up: Whether codes were looked up on the way; else it is a number that was only cast.
        in_place: Whether each column of the inputs surely stands where it stood, or in its place what it became.
        is_number: Whether it is the input itself, at most cast.
    """

    tensor: tf.Tensor
    sources: tuple[int, ...]
    looked_up: bool
    in_place: bool = True
    is_number: bool = False


class Codes:
    """Follows what the inputs become while the model is called.

    Args:
        model: The model, of which calls of layers and operations are followed, where there are codes.
        loan: To do so.
        inputs: The tensors that the model is called with.
        names: Their names.
        kept_as_integers: Calls whose integer arguments are not cast, because the result would be another one.

    Attributes:
        found: The tensors that are watched: floating-point inputs, then others in the order of the calls.
        agreements: Of each call whose integer arguments were cast, whether it returned what it does without.
    """

    def __init__(
        self,
        model: keras.Model,
        loan: Loan,
        *,
        inputs: Sequence[tf.Tensor],
        names: Sequence[str],
        kept_as_integers: Collection[Call],
    ) -> None:
        self._inputs = list(inputs)
        self._names = names
        self._kept_as_integers = kept_as_integers
        self._position = {key(tensor): index for index, tensor in enumerate(inputs)}
        self._codes: dict[Key, bool] = {}  # what layers that look up return, and whether it is in place
        self._watched: set[Key] = set()
        self._settled: dict[Key, bool] = {}  # tensors that no code reaches unwatched, and whether numbers do
        self._sliced: set[int] = set()
        self._mixed: set[int] = set()
        self._calls: collections.Counter[str] = collections.Counter()
        self.found: list[Found] = []
        self.agreements: dict[Call, tf.Tensor] = {}
        for index, tensor in enumerate(inputs):
            if tensor.dtype.is_floating:
                self.found.append(Found(tensor, (index,), False, is_number=True))
        if len(self.found) < len(self._inputs) or reads_codes(model):
            for operation in operations(model):
                if operation is not model:
                    loan.replace(operation, "call", self._following(operation, operation.call))

    def refuse(self, outputs: Sequence[tf.Tensor], excluded: set[int]) -> None:
        """Refuse, after the call, inputs that cannot be followed; an error inside of it would be worded by Keras."""
        for each in self.found:
            if not each.tensor.shape[1:].is_fully_defined() and not set(each.sources) <= excluded:
                errors.refuse_variable_codes(
                    [self._names[source] for source in each.sources], tuple(each.tensor.shape[1:])
                )
        if self._sliced - excluded:
            errors.refuse_sliced_codes([self._names[source] for source in sorted(self._sliced - excluded)])
        lost = self._mixed.union(*(self._sources(output)[0] for output in outputs)) - excluded
        if lost:
            others = [name for index, name in enumerate(self._names) if index not in lost]
            errors.refuse_path([self._names[source] for source in sorted(lost)], others)

    def _following(self, operation: Any, function: Callable[..., Any]) -> Callable[..., Any]:
        known: dict[tuple[Key, ...], Any] = {}
        may_look_up = isinstance(operation, CODES)

        def call(*args: Any, **kwargs: Any) -> Any:
            if not may_look_up:
                args, kwargs = tf.nest.map_structure(self._watched_if_new, (args, kwargs))
            arguments = [part for part in tf.nest.flatten((args, kwargs)) if tf.is_symbolic_tensor(part)]
            given = tuple(map(key, arguments))
            if may_look_up and given in known:
                return known[given]  # one lookup of one code has one derivative, however often it is called
            result = function(*args, **kwargs)
            self._calls[operation.name] += 1
            if may_look_up and not self._has_derivatives(result, arguments):
                result = tf.nest.map_structure(self._in_batch, result)
                self._note_slices(arguments)
                in_place = all(map(self._is_in_place, arguments))
                returned = [part for part in tf.nest.flatten(result) if tf.is_symbolic_tensor(part)]
                self._codes |= {key(part): in_place for part in returned}
                known[given] = result
            elif _is_leaf(operation) and any(self._is_new(part) for part in tf.nest.flatten(result)):
                name = operation.name, self._calls[operation.name]
                result = self._with_numbers(name, function, args, kwargs, result)
            return tf.nest.map_structure(self._watched_if_new, result)

        return call

    def _has_derivatives(self, result: Any, arguments: list[tf.Tensor]) -> bool:
        """Whether a layer that looks up was asked for something else: an embedding that maps numbers back to codes."""
        parts = [part for part in (*tf.nest.flatten(result), *arguments) if tf.is_symbolic_tensor(part)]
        is_sparse = any(isinstance(part, tf.SparseTensor) for part in tf.nest.flatten(result))  # which has no gradient
        if is_sparse or not arguments or not all(part.dtype.is_floating for part in parts):
            return False
        return depends_on(result, arguments)

    def _with_numbers(self, name: Call, function: Callable[..., Any], args: Any, kwargs: Any, result: Any) -> Any:
        """The result for integer arguments cast to floating point and watched, if it has derivatives in them."""
        casts: list[Found] = []

        def cast(part: Any) -> Any:
            if not tf.is_symbolic_tensor(part) or not part.dtype.is_integer:
                return part
            sources, looked_up, _ = self._sources(part)
            if not sources:
                return part
            number = tf.cast(part, keras.config.floatx())
            casts.append(Found(number, sources, looked_up, self._is_in_place(part), self._is_input(part)))
            return number

        if name in self._kept_as_integers or self._runs_python(result):
            return result
        cast_args, cast_kwargs = tf.nest.map_structure(cast, (args, kwargs))
        if not casts:
            return result
        try:
            again = function(*cast_args, **cast_kwargs)
        except Exception:  # noqa: BLE001  (a layer that needs integers)
            return result
        before, after = tf.nest.flatten(result), tf.nest.flatten(again)
        target = next((part for part in after if part.dtype.is_floating), None)
        texts = any(part.dtype == tf.string for part in (*before, *after))
        if target is None or texts or [part.shape for part in before] != [part.shape for part in after]:
            return result
        if any(derivative is None for derivative in backward(target, [number.tensor for number in casts])):
            return result
        self.agreements[name] = tf.reduce_all(tf.stack(list(map(agree, before, after))))
        for number in casts:
            self._add(number)
        return again

    def _runs_python(self, result: Any) -> bool:
        """Whether numbers of another type might go into Python functions, which are run even if nothing asks for it."""
        parts = [part for part in tf.nest.flatten(result) if tf.is_symbolic_tensor(part)]
        return any(each.op.type in PYTHON for part in parts for each in ancestors(part, self._watched))

    def _watched_if_new(self, tensor: Any) -> Any:
        """A tensor, to go on with; if floating-point and nothing is watched yet on its way from an input, watched."""
        if not self._is_new(tensor):
            return tensor
        tensor = self._in_batch(tensor)
        sources, looked_up, mixed = self._sources(tensor)
        if mixed:
            self._mixed.update(sources)
        self._add(Found(tensor, sources, looked_up, self._is_in_place(tensor)))
        return tensor

    def _is_new(self, tensor: Any) -> bool:
        return tf.is_symbolic_tensor(tensor) and tensor.dtype.is_floating and bool(self._sources(tensor)[0])

    def _add(self, found: Found) -> None:
        self._watched.add(key(found.tensor))
        self.found.append(found)

    def _is_in_place(self, tensor: tf.Tensor) -> bool:
        """Whether a tensor surely has at each place what its input's entry at that place became."""
        # Of each tensor on the way: None if it comes from no input, else whether it is in place; last in, first out.
        known: dict[Key, bool | None] = {}
        pending = [tensor]
        while pending:
            part = pending[-1]
            if key(part) in self._codes or key(part) in self._position:
                known[key(part)] = self._codes.get(key(part), True)
            origins_left = [origin for origin in part.op.inputs if key(origin) not in known]
            if key(part) in known or not origins_left:
                known.setdefault(key(part), _kept(part.op, [known.get(key(origin)) for origin in part.op.inputs]))
                pending.pop()
            else:
                pending += origins_left
        return bool(known[key(tensor)])

    def _is_input(self, tensor: tf.Tensor) -> bool:
        """Whether a tensor is an input, in another shape or type at most."""
        return any(key(each) in self._position for each in handed_on(tensor))

    def _in_batch(self, tensor: Any) -> Any:
        """A tensor whose shape says how many rows it has; layers for words and Python functions forget that."""
        if not tf.is_symbolic_tensor(tensor) or not tensor.shape.rank or tensor.shape[0] is not None:
            return tensor
        return tf.ensure_shape(tensor, [self._inputs[0].shape[0], *tensor.shape[1:]])

    def _note_slices(self, arguments: list[tf.Tensor]) -> None:
        """Note codes that were cut out of several columns: which of them they are, is not known."""
        for argument in arguments:
            for source in origins(argument, self._inputs):
                columns = math.prod(self._inputs[source].shape[1:])
                if columns > 1 and argument.shape[1:].num_elements() != columns:
                    self._sliced.add(source)

    def _sources(self, tensor: Any) -> tuple[tuple[int, ...], bool, bool]:
        """Inputs that a tensor comes from without a derivative; whether it was looked up; whether others mix in.

        Of a floating-point tensor whose derivatives reach every input there are none, nor of one that is watched.
        """
        if not tf.is_symbolic_tensor(tensor) or key(tensor) in self._watched:
            return (), False, False
        if key(tensor) in self._position:
            return () if tensor.dtype.is_floating else (self._position[key(tensor)],), False, False
        if not (tensor.dtype.is_floating or tensor.dtype.is_integer):
            return (), False, False
        codes, numbers, looked_up = self._ancestors(tensor)
        if not codes and key(tensor) not in self._codes:
            self._settled[key(tensor)] = bool(numbers)
        return tuple(sorted(codes)), looked_up, bool(numbers) and tensor.dtype.is_floating

    def _ancestors(self, tensor: tf.Tensor) -> tuple[set[int], set[int], bool]:
        """Inputs reached as codes, whether or not inputs or watched tensors are reached as numbers; if looked up.

        An input is reached as a code if it has no floating point, or if the way leads through a lookup.
        """
        codes: set[int] = set()
        numbers: set[int] = set()
        looked_up = False
        seen: set[tuple[Key, bool]] = set()
        pending = [(tensor, False)]
        while pending:
            part, crossed = pending.pop()
            if (key(part), crossed) in seen:
                continue
            seen.add((key(part), crossed))
            if key(part) in self._codes:
                crossed = looked_up = True
            position = self._position.get(key(part))
            if position is not None:
                (codes if crossed or not part.dtype.is_floating else numbers).add(position)
            elif key(part) in self._watched:
                numbers.add(-1)
            elif key(part) in self._settled and not crossed:
                if self._settled[key(part)]:
                    numbers.add(-1)
            elif part.dtype != tf.bool and part.op.type not in CUTTING:
                pending += [(origin, crossed) for origin in part.op.inputs]
        return codes, numbers, looked_up


def agree(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    """Whether two results of numbers are equal but for rounding."""
    first, second = tf.cast(one, tf.float64), tf.cast(other, tf.float64)
    largest = tf.maximum(tf.reduce_max(tf.abs(first)), 1.0)
    return tf.reduce_max(tf.abs(first - second)) <= ROUNDING[min(one.dtype.size, other.dtype.size)] * largest


def _kept(operation: tf.Operation, arguments: list[bool | None]) -> bool | None:
    """Whether the result of an operation is in place, by what is known of its arguments; None if no input goes in."""
    given = [index for index, in_place in enumerate(arguments) if in_place is not None]
    if not given:
        return None
    keeps = operation.type in PLACE_KEEPING or (operation.type in GATHERING and given == [1])
    return keeps and all(arguments[index] for index in given)


def _is_leaf(operation: Any) -> bool:
    """Whether a layer or operation is made of no other layers."""
    return (
        not isinstance(operation, keras.Layer)
        or next(iter(operation._flatten_layers(include_self=False)), None) is None
    )
