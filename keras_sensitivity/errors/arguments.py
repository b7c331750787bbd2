"""Of arguments: the types and values that the public functions take."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Sequence

import numpy as np

from keras_sensitivity.errors.wording import fail, items, listed, shown, similar


def check_one_of(name: str, value: object, choices: Collection[object]) -> None:
    """Refuse a ``value`` that is not among ``choices``."""
    if not any(type(value) is type(choice) and value == choice for choice in choices):
        fail(
            f"`{name}` has an unknown value.",
            expected=f"one of {listed(choices)}",
            received=f"{shown(value)}",
            fix=f"pass {name}={next(iter(choices))!r}{similar(value, choices)}",
        )


def check_instance(name: str, value: object, kind: type, fix: str) -> None:
    """Refuse a ``value`` that is not a ``kind``."""
    if not isinstance(value, kind):
        fail(
            f"`{name}` has the wrong type.",
            expected=f"an instance of {kind.__module__.split('.')[0]}.{kind.__name__}",
            received=f"{shown(value)} of type {type(value).__name__}",
            fix=fix,
            error=TypeError,
        )


def check_model(value: object) -> None:
    """Refuse what is no Keras model, and a model whose weights do not exist yet."""
    import keras

    methods = [name for name in ("predict_proba", "predict", "forward") if callable(getattr(value, name, None))]
    fix = "pass the Keras model itself, as built with keras.Sequential or keras.Model, or a function of rows"
    if methods and not isinstance(value, type):
        fix = f"pass what it predicts with: a function of rows, such as measure(model.{methods[0]}, x)"
    check_instance("model", value, keras.Model, fix)
    assert isinstance(value, keras.Model)
    if not value.built:
        fail(
            f"The model {value.name!r} was never built: it has no weights to differentiate.",
            expected="a model that was built, called on data, or trained",
            received=f"an unbuilt {type(value).__name__}",
            fix="call model(x[:1]) once, or give the model a keras.Input",
        )


def check_whole_number(name: str, value: object, *, least: int = 1, none: str | None = None) -> None:
    """Refuse a ``value`` below ``least`` or no integer; ``none`` says what None would mean, where it is allowed."""
    if value is None and none is not None:
        return
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)) or value < least:
        fail(
            f"`{name}` is not a whole number from {least}.",
            expected=f"an int >= {least}" + (f", or None for {none}" if none else ""),
            received=f"{shown(value)} of type {type(value).__name__}",
            fix=f"pass for example {name}={max(least, 1)}",
            error=ValueError if isinstance(value, (int, np.integer, float)) else TypeError,
        )


def check_callable(name: str, value: object, fix: str) -> None:
    """Refuse a ``value`` that cannot be called with one argument."""
    try:
        takes_one = callable(value) and bool(inspect.signature(value).bind(None))
    except TypeError:
        takes_one = False
    except ValueError:  # what has no signature may be called anyhow
        takes_one = True
    if not takes_one:
        fail(
            f"`{name}` is no function of one argument.",
            expected="a function of one argument",
            received=f"{shown(value)} of type {type(value).__name__}",
            fix=fix,
            error=TypeError,
        )


def check_percentage(name: str, value: object) -> None:
    """Refuse a ``value`` that is not between 0 and 100."""
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not (number and 0 < float(value) <= 100):  # type: ignore[arg-type]
        fail(
            f"`{name}` is not a percentage.",
            expected="a number above 0 and up to 100",
            received=f"{shown(value)}",
            fix=f"pass for example {name}=90",
        )


def check_threshold(value: object) -> None:
    """Refuse a death threshold that is neither "auto" nor a percentage."""
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    is_auto = isinstance(value, str) and value == "auto"
    if not is_auto and not (number and 0 < float(value) < 100):  # type: ignore[arg-type]
        fail(
            "`threshold` is neither 'auto' nor a percentage.",
            expected="'auto', or a float between 0 and 100: percent of the importance",
            received=f"{shown(value)}",
            fix="pass threshold='auto', or for example threshold=1.0 for 1 %",
        )


def check_output_argument(value: object) -> None:
    """Refuse a ``Definition.output`` that is neither None, a unit index nor a head's name."""
    integer = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not (value is None or isinstance(value, str) or (integer and value >= 0)):  # type: ignore[operator]
        fail(
            "`output` does not name an output.",
            expected="None for all units, the index of a unit (from 0), or the name of a head",
            received=f"{shown(value)}",
            fix="pass for example output=0",
            error=ValueError if integer else TypeError,
        )


def check_scale_argument(value: object) -> None:
    """Refuse a ``Definition.scale`` that is neither "path", "std", None nor finite numbers."""
    if isinstance(value, str) or value is None:
        check_one_of("scale", value, ("path", "std", None))
        return
    try:
        given = np.asarray(value)
        numbers = given.astype(float) if given.ndim == 1 else np.array(np.nan)
    except (TypeError, ValueError):
        numbers = np.array(np.nan)
    if numbers.ndim == 0 or not np.isfinite(numbers).all() or (numbers < 0).any():
        fail(
            "`scale` cannot multiply the derivatives.",
            expected="'std', None, or an array of finite numbers >= 0, one a feature column",
            received=f"{shown(value)}",
            fix="pass for example scale=x.std(axis=0)",
        )


def check_step(value: object) -> None:
    """Refuse a ``Definition.step`` that moves nothing, or is no number."""
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not (number and 0 < float(value) < np.inf):  # type: ignore[arg-type]
        fail(
            "`step` moves nothing.",
            expected="a finite number above 0: standard deviations",
            received=f"{shown(value)} of type {type(value).__name__}",
            fix="pass for example step=0.25",
            error=ValueError if number else TypeError,
        )


def check_scale_length(received: int, expected: int) -> None:
    """Refuse a ``Definition.scale`` array that does not fit the columns of x."""
    if received != expected:
        fail(
            "`scale` does not fit x.",
            expected=f"{expected} numbers, one for each column of x",
            received=f"{received} numbers",
            fix="pass one factor a column, or scale='std'",
        )


def check_excluded(names: object, known: Sequence[str]) -> None:
    """Refuse inputs to leave out that the model has not, and all of them."""
    given = items(names)
    if given is None or not all(isinstance(name, str) for name in given) or not set(given) < set(known):
        fail(
            "`exclude` does not name some of the model's inputs.",
            expected=f"a list of inputs, not all, of {listed(known)}",
            received=f"{shown(names)}",
            fix="pass for example exclude=['customer_id'], or leave it out",
        )


def check_fixed_batch_size(batch_size: int | None, fixed: int) -> None:
    """Refuse a ``batch_size`` that is not the one that a stateful model was built with."""
    if batch_size not in (None, fixed):
        fail(
            "`batch_size` is not the one that the model was built with.",
            expected=f"batch_size={fixed}, or None",
            received=f"batch_size={batch_size}",
            fix="leave batch_size=None: a stateful model has one state for each row of its batch",
        )
