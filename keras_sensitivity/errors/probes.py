"""Of `NoiseProbes`, and of models that they are removed from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from keras_sensitivity.errors.wording import fail, warn

if TYPE_CHECKING:
    import tensorflow as tf


def refuse_probes_behind_weights(name: str) -> NoReturn:
    """Refuse noise probes whose noise would change with the weights."""
    fail(
        f"The noise probes {name!r} stand behind weights that are trained, so their noise would change at every step.",
        expected="noise that is the same for a row throughout the training",
        received="an input of the layer that depends on trainable weights",
        fix="place NoiseProbes directly after the input (or after a Normalization, or where numbers are concatenated)",
    )


def check_probes_shape(shape: Sequence[int | None]) -> None:
    """Refuse to append noise to anything but columns."""
    if len(shape) not in (2, 3) or shape[-1] is None:
        fail(
            "NoiseProbes cannot append columns to this input.",
            expected="(num_samples, num_features) or (num_samples, num_steps, num_features), num_features known",
            received=f"shape {tuple(shape)}",
            fix="place NoiseProbes where the input is a table or a sequence; pictures have no columns",
        )


def check_probes_type(dtype: tf.DType) -> None:
    """Refuse to append noise to what are no numbers."""
    if not (dtype.is_floating or dtype.is_integer or dtype.is_bool):
        fail(
            "NoiseProbes needs numbers.",
            expected="an input of floating-point numbers",
            received=f"an input of type {dtype.name}",
            fix="place NoiseProbes beside or behind the layers that turn the input into numbers",
            error=TypeError,
        )


def refuse_no_graph(kind: str) -> NoReturn:
    """Refuse to take a subclassed model apart."""
    fail(
        "The layers of a subclassed model cannot be taken apart.",
        expected="a functional or Sequential model",
        received=f"a {kind}",
        fix="build the model from keras.Input and layer calls, or leave NoiseProbes out and train again",
    )


def refuse_stuck_probes(name: str, kind: str) -> NoReturn:
    """Refuse to free a layer of noise that knows no columns."""
    fail(
        f"The layer {name!r} reads noise probes, and cannot be freed of them.",
        expected="noise that goes into Dense, Conv1D or recurrent layers, maybe by way of Dropout, Concatenate, or of "
        "BatchNormalization before a Dense with a bias",
        received=f"noise that goes into a {kind}",
        fix=f"place NoiseProbes behind {name!r}, or leave NoiseProbes out and train again",
    )


def refuse_probes_in_output() -> NoReturn:
    """Refuse to remove noise that the model returns."""
    fail(
        "The model returns the columns of noise probes.",
        expected="noise that only other layers read",
        received="noise among the outputs",
        fix="remove the layer from the code of the model",
    )


def refuse_shared_layer(name: str, kind: str) -> NoReturn:
    """Refuse to free a layer of noise at one of the places that it is called at, and not at another."""
    fail(
        f"The {kind} {name!r} is called at several places, which have not the same noise probes.",
        expected="a layer whose inputs all have noise in the same columns, or none of them",
        received="one set of weights for inputs that would have different columns without the noise",
        fix=f"use a layer of its own at each place instead of {name!r}, or place NoiseProbes before every one of them",
    )


def refuse_hidden_probes(name: str, kind: str) -> NoReturn:
    """Refuse to look for probes inside of a layer."""
    fail(
        f"There are noise probes inside of the layer {name!r}, which cannot be taken apart.",
        expected="NoiseProbes among the layers of a functional or Sequential model, or of one within it",
        received=f"NoiseProbes inside of a {kind}",
        fix=f"place NoiseProbes before or behind {name!r}, or leave NoiseProbes out and train again",
    )


def refuse_config(name: str, kind: str, reason: object) -> NoReturn:
    """Refuse to copy a layer that cannot be made anew."""
    fail(
        f"The layer {name!r} cannot be made anew from its configuration.",
        expected="a layer for which type(layer).from_config(layer.get_config()) makes one with the same arguments",
        received=f"a {kind}, with {_short(reason)}",
        fix=f"give {kind} a get_config() that returns every argument of its constructor; what is called here may also "
        "stand in the function of a keras.layers.Lambda",
    )


def refuse_rebuilt(reason: object) -> NoReturn:
    """Say that the layers made anew cannot be called one after the other."""
    fail(
        "The model without noise probes cannot be built.",
        expected="layers that can be called anew in the order in which the model calls them",
        received=_short(reason),
        fix="mend the layer that the message names, or leave NoiseProbes out and train again",
    )


def refuse_state(name: str, kind: str, reason: object) -> NoReturn:
    """Refuse to return a layer that knows less than the old one."""
    fail(
        f"What the layer {name!r} has learned cannot be brought to the new model.",
        expected="a layer that loads in load_own_variables() and load_assets() what it saved",
        received=f"a {kind}, with {_short(reason)}",
        fix=f"make {kind} such that a model with it can be saved and loaded, or leave NoiseProbes out and train again",
    )


def warn_not_compiled(reason: object) -> None:
    """Warn that the model without probes has to be compiled before it is trained."""
    warn(
        "The model without probes predicts, but is not compiled: the old one was compiled with what cannot be made "
        f"anew ({_short(reason)}). Call compile() before training it."
    )


def _short(reason: object) -> str:
    """An error or a reason in one line."""
    lines = [line.strip() for line in str(reason).splitlines() if line.strip()]
    kind = [type(reason).__name__] if isinstance(reason, Exception) else []
    return ": ".join(kind + lines[:1])
