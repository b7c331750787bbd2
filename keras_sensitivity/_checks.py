"""Validation, and the words of every error.

An error says four things: what happened, what was expected, what was received, how to fix it. The other rooms
call a function from here by the name of what it checks; none of them writes a message of its own.
"""

from __future__ import annotations

import difflib
import os
import sys
import tempfile
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn

import keras
import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf

__all__: list[str] = []


def fail(happened: str, *, expected: str, received: str, fix: str, error: type[Exception] = ValueError) -> NoReturn:
    """Raise ``error`` with the four parts of a message, one a line."""
    raise error(f"{happened}\n  Expected: {expected}\n  Received: {received}\n  To fix it: {fix}")


def warn(happened: str) -> None:
    """Warn the user, pointing at the line outside of this package that led here."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("keras_sensitivity."):
        level, frame = level + 1, frame.f_back
    warnings.warn(happened, UserWarning, stacklevel=level)


# --- arguments ----------------------------------------------------------------------------------------------------


def one_of(name: str, value: object, choices: Collection[object]) -> None:
    """Refuse a ``value`` that is not among ``choices``."""
    if not any(type(value) is type(choice) and value == choice for choice in choices):
        fail(
            f"`{name}` has an unknown value.",
            expected=f"one of {listed(choices)}",
            received=f"{value!r}",
            fix=f"pass {name}={next(iter(choices))!r}{_similar(value, choices)}",
        )


def instance(name: str, value: object, kind: type, fix: str) -> None:
    """Refuse a ``value`` that is not a ``kind``."""
    if not isinstance(value, kind):
        fail(
            f"`{name}` has the wrong type.",
            expected=f"an instance of {kind.__module__.split('.')[0]}.{kind.__name__}",
            received=f"{value!r} of type {type(value).__name__}",
            fix=fix,
            error=TypeError,
        )


def whole_number(name: str, value: object, *, least: int = 1, none: str | None = None) -> None:
    """Refuse a ``value`` below ``least`` or no integer; ``none`` says what None would mean, where it is allowed."""
    if value is None and none is not None:
        return
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)) or value < least:
        fail(
            f"`{name}` is not a whole number from {least}.",
            expected=f"an int >= {least}" + (f", or None for {none}" if none else ""),
            received=f"{value!r} of type {type(value).__name__}",
            fix=f"pass for example {name}={max(least, 1)}",
            error=ValueError if isinstance(value, (int, np.integer, float)) else TypeError,
        )


def threshold(value: object) -> None:
    """Refuse a death threshold that is neither "auto" nor a percentage."""
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if value != "auto" and not (number and 0 < float(value) < 100):  # type: ignore[arg-type]
        fail(
            "`threshold` is neither 'auto' nor a percentage.",
            expected="'auto', or a float between 0 and 100: percent of the importance",
            received=f"{value!r}",
            fix="pass threshold='auto', or for example threshold=1.0 for 1 %",
        )


def output_argument(value: object) -> None:
    """Refuse a ``Definition.output`` that is neither None, a unit index nor a head's name."""
    integer = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not (value is None or isinstance(value, str) or (integer and value >= 0)):  # type: ignore[operator]
        fail(
            "`output` does not name an output.",
            expected="None for all units, the index of a unit (from 0), or the name of a head",
            received=f"{value!r}",
            fix="pass for example output=0",
            error=ValueError if integer else TypeError,
        )


def scale_argument(value: object) -> None:
    """Refuse a ``Definition.scale`` that is neither "std", None nor finite numbers."""
    if isinstance(value, str) or value is None:
        one_of("scale", value, ("std", None))
        return
    try:
        numbers = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        numbers = np.array(np.nan)
    if numbers.ndim == 0 or not np.isfinite(numbers).all() or (numbers < 0).any():
        fail(
            "`scale` cannot multiply the derivatives.",
            expected="'std', None, or an array of finite numbers >= 0, one a feature column",
            received=f"{value!r}",
            fix="pass for example scale=x.std(axis=0)",
        )


def scale_length(received: int, expected: int) -> None:
    """Refuse a ``Definition.scale`` array that does not fit the columns of x."""
    if received != expected:
        fail(
            "`scale` does not fit x.",
            expected=f"{expected} numbers, one for each column of x",
            received=f"{received} numbers",
            fix="pass one factor a column, or scale='std'",
        )


def percentage(name: str, value: object) -> None:
    """Refuse a ``value`` that is not between 0 and 100."""
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not (number and 0 < float(value) <= 100):  # type: ignore[arg-type]
        fail(
            f"`{name}` is not a percentage.",
            expected="a number above 0 and up to 100",
            received=f"{value!r}",
            fix=f"pass for example {name}=90",
        )


def archive(path: object, names: Collection[str]) -> None:
    """Refuse a file that `Importance.save` did not write."""
    if "description" not in names:
        fail(
            f"{path} holds no Importance.",
            expected="a file written by Importance.save",
            received=f"an archive with {listed(names)}",
            fix="pass the path given to Importance.save",
        )


def member(name: str, value: object, names: Sequence[str]) -> int:
    """The position of a unit that is given by its name or index; refuse what is neither."""
    if isinstance(value, str) and value in names:
        return names.index(value)
    integer = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if integer and 0 <= value < len(names):  # type: ignore[operator]
        return int(value)  # type: ignore[call-overload, no-any-return]
    fail(
        f"There is no {name} {value!r}.",
        expected=f"an index from 0 to {len(names) - 1}, or one of {listed(names)}",
        received=f"{value!r}",
        fix=f"pass for example {name}={names[0]!r}{_similar(value, names)}",
    )


def sample(value: object, count: int) -> None:
    """Refuse what is not the position of one of ``count`` explained samples."""
    integer = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not integer or not -count <= value < count:  # type: ignore[operator]
        fail(
            f"There is no sample {value!r}.",
            expected=f"the position of an explained row, from 0 to {count - 1}",
            received=f"{value!r}",
            fix="pass for example sample=0",
        )


# --- the surroundings -----------------------------------------------------------------------------------------------


def backend() -> None:
    """Refuse every Keras backend but TensorFlow's."""
    name = keras.config.backend()
    if name != "tensorflow":
        fail(
            f"keras_sensitivity cannot differentiate on the Keras backend {name!r}.",
            expected="the backend 'tensorflow', the only one supported for now",
            received=f"keras.config.backend() == {name!r}",
            fix="set the environment variable KERAS_BACKEND=tensorflow before keras is imported",
            error=RuntimeError,
        )


def folder(path: str | os.PathLike[str]) -> None:
    """Refuse a ``log_dir`` in which no file can be written; create it where it is missing."""
    try:
        os.makedirs(path, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except (OSError, TypeError) as error:
        fail(
            "`log_dir` cannot be written.",
            expected="a folder in which files can be created, or a path where one can be made",
            received=f"{os.fspath(path) if isinstance(path, (str, os.PathLike)) else path!r} ({error})",
            fix="pass a writable folder, or log_dir=None to write no TensorBoard summaries",
            error=type(error) if isinstance(error, (OSError, TypeError)) else ValueError,
        )


def no_looks(path: os.PathLike[str]) -> NoReturn:
    """Say that there is nothing to read in a ``log_dir``."""
    fail(
        "No look was written there.",
        expected="the `log_dir` of a SensitivityCallback that has looked at least once",
        received=f"no event file with a look in {os.fspath(path)!r}",
        fix="pass the folder that was given to SensitivityCallback(log_dir=...), not the one inside it",
        error=FileNotFoundError,
    )


# --- the model ------------------------------------------------------------------------------------------------------


def model(value: object) -> None:
    """Refuse what is no Keras model, and a model whose weights do not exist yet."""
    instance("model", value, keras.Model, "pass the Keras model itself, as built with keras.Sequential or keras.Model")
    assert isinstance(value, keras.Model)
    if not value.built:
        fail(
            f"The model {value.name!r} was never built: it has no weights to differentiate.",
            expected="a model that was built, called on data, or trained",
            received=f"an unbuilt {type(value).__name__}",
            fix="call model(x[:1]) once, or give the model a keras.Input",
        )


def sliced_codes(names: Sequence[str]) -> NoReturn:
    """Say that codes are cut out of inputs of several columns, called ``names``."""
    fail(
        f"The model looks up codes that it cuts out of {listed(names)}.",
        expected="codes in an input of their own: their derivative is 0 everywhere, so what they become is measured",
        received="a lookup of a part of an input with several columns: which column it is cannot be known",
        fix="give the model one input for each code, or one for all codes that goes into the lookup as a whole",
    )


def unit(name: object, names: Sequence[str]) -> NoReturn:
    """Say that no output unit or head is called ``name``."""
    fail(
        f"The model has no output {name!r}.",
        expected=f"output=None, or one of {listed(names)}",
        received=f"Definition(output={name!r})",
        fix=f"pass one of the model's outputs{_similar(name, names)}",
    )


def path(names: Sequence[str], others: Sequence[str] = ()) -> NoReturn:
    """Say that derivatives do not reach the inputs called ``names``, but ``others``."""
    fail(
        f"The model's output does not depend on {listed(names)} through derivatives"
        + (f", but it does on {listed(others)}." if others else "."),
        expected="a differentiable path from each input to the output",
        received="no gradient: the input is unused, cast to integers, compared, or behind argmax or stop_gradient",
        fix=f"pass exclude={list(names)} to measure the others alone"
        if others
        else "feed the first floating-point tensor it becomes as the input, or take it out of the model",
    )


def excluded(names: object, known: Sequence[str]) -> None:
    """Refuse inputs to leave out that the model has not, and all of them."""
    if isinstance(names, str) or not isinstance(names, Iterable) or not set(names) < set(known):
        fail(
            "`exclude` does not name some of the model's inputs.",
            expected=f"a list of inputs, not all, of {listed(known)}",
            received=f"{names!r}",
            fix="pass for example exclude=['customer_id'], or leave it out",
        )


def probes_behind_weights(name: str) -> NoReturn:
    """Refuse noise probes whose noise would change with the weights."""
    fail(
        f"The noise probes {name!r} stand behind weights that are trained, so their noise would change at every step.",
        expected="noise that is the same for a row throughout the training",
        received="an input of the layer that depends on trainable weights",
        fix="place NoiseProbes directly after the input (or after a Normalization, or where numbers are concatenated)",
    )


def probes_shape(shape: Sequence[int | None]) -> None:
    """Refuse to append noise to anything but columns."""
    if len(shape) not in (2, 3) or shape[-1] is None:
        fail(
            "NoiseProbes cannot append columns to this input.",
            expected="(num_samples, num_features) or (num_samples, num_steps, num_features), num_features known",
            received=f"shape {tuple(shape)}",
            fix="place NoiseProbes where the input is a table or a sequence; pictures have no columns",
        )


def probes_type(dtype: tf.DType) -> None:
    """Refuse to append noise to what are no numbers."""
    if not (dtype.is_floating or dtype.is_integer or dtype.is_bool):
        fail(
            "NoiseProbes needs numbers.",
            expected="an input of floating-point numbers",
            received=f"an input of type {dtype.name}",
            fix="place NoiseProbes beside or behind the layers that turn the input into numbers",
            error=TypeError,
        )


def no_graph(kind: str) -> NoReturn:
    """Refuse to take a subclassed model apart."""
    fail(
        "The layers of a subclassed model cannot be taken apart.",
        expected="a functional or Sequential model",
        received=f"a {kind}",
        fix="build the model from keras.Input and layer calls, or leave NoiseProbes out and train again",
    )


def stuck_probes(name: str, kind: str) -> NoReturn:
    """Refuse to free a layer of noise that knows no columns."""
    fail(
        f"The layer {name!r} reads noise probes, and cannot be freed of them.",
        expected="noise that goes into Dense, Conv1D or recurrent layers, maybe by way of Dropout, Concatenate, or of "
        "BatchNormalization before a Dense with a bias",
        received=f"noise that goes into a {kind}",
        fix=f"place NoiseProbes behind {name!r}, or leave NoiseProbes out and train again",
    )


def probes_in_output() -> NoReturn:
    """Refuse to remove noise that the model returns."""
    fail(
        "The model returns the columns of noise probes.",
        expected="noise that only other layers read",
        received="noise among the outputs",
        fix="remove the layer from the code of the model",
    )


def logits() -> NoReturn:
    """Say that no final softmax or sigmoid was found."""
    fail(
        "Definition(logits=True) found no final softmax or sigmoid to look behind.",
        expected="an output made by activation='softmax' or 'sigmoid', or by a final Softmax or Activation layer",
        received="an output that no such layer returned; a model trained with from_logits=True returns logits already",
        fix="pass logits=False, or end the model with one of these layers",
    )


def call(error: Exception, shapes: Sequence[Sequence[int | None]]) -> NoReturn:
    """Say that the model cannot be called on a batch of x, whose leaves have these shapes."""
    reason = f"{type(error).__name__}: {error}".strip().splitlines()[0]
    try:
        fail(
            "The model cannot be called on a batch of x.",
            expected="rows that the model accepts in model(x)",
            received=f"batches of shape {', '.join(map(str, shapes))}; the model raised {reason}",
            fix="pass x as it goes into model.fit, with all of its columns",
        )
    except ValueError as worded:
        raise worded from error


def derivatives() -> NoReturn:
    """Say that a derivative is NaN or infinite although x is finite."""
    fail(
        "The derivatives of the model are NaN or infinite.",
        expected="finite derivatives on finite rows",
        received="at least one derivative that is not finite: weights have diverged, or the model divides by zero",
        fix="look for NaN in the weights (keras.callbacks.TerminateOnNaN), lower the learning rate, or clip gradients",
        error=FloatingPointError,
    )


def saturated(share: float) -> None:
    """Warn that a final softmax or sigmoid hides a ``share`` of the rows."""
    warn(
        f"{share:.0%} of the rows have derivatives that are all exactly 0: the final softmax or sigmoid is saturated, "
        "and these rows do not count. Definition(logits=True) differentiates what goes into it."
    )


def ignores_everything() -> None:
    """Warn that every derivative is 0."""
    warn("Every derivative is exactly 0: the model ignores all features, and every importance is 0.")


def constant() -> None:
    """Warn that no column of x varies."""
    warn(
        "Every column of x is constant in the measured rows, so scale='std' multiplies every derivative by 0, and "
        "every importance is 0. Pass more rows, or Definition(scale=None)."
    )


def alike_to_probes(different: float, num_rows: int) -> None:
    """Warn of rows so few of which differ that noise made of them means something."""
    warn(
        f"Of the {num_rows:,} rows only about {max(different, 1):,.0f} differ in what the NoiseProbes see. The noise "
        "of a row is made of the row, so here it tells groups of rows apart, and means something: the noise level may "
        "come out too high, and features may be reported dead that are not. Place the probes where more columns come "
        "together, or set DeadFeatureMonitor(threshold=...) by hand."
    )


def flat_rows(rows: Sequence[int], count: int) -> None:
    """Warn that some of ``count`` explained rows have no derivatives."""
    warn(
        f"At {len(rows):,} of {count:,} rows every derivative is exactly 0, and so are all shares there: rows "
        f"{listed(rows)}. Where a softmax or sigmoid is saturated, Definition(logits=True) differentiates what goes "
        "into it."
    )


def single_row() -> None:
    """Warn that one row has no standard deviation."""
    warn(
        "A single row has no standard deviation, so the derivatives are not scaled (scale=None), and the shares depend "
        "on the features' units of measure. Pass background=x_train, or Definition(scale=None) to say that it is meant."
    )


def ignores_newest_step() -> None:
    """Warn that the paper's lambda sees nothing."""
    warn(
        "Every derivative at the newest step is exactly 0, and so is every importance. Definition(lags='all') measures "
        "all lags."
    )


def memory(error: Exception, batch_size: int) -> NoReturn:
    """Say that a batch does not fit into the memory of the device."""
    try:
        fail(
            "The device has not enough memory for a batch of derivatives.",
            expected="room for the forward and backward pass of one batch",
            received=f"{type(error).__name__} with batch_size={batch_size}",
            fix=f"pass a smaller batch, for example batch_size={max(1, batch_size // 4)}",
            error=MemoryError,
        )
    except MemoryError as worded:
        raise worded from error


def switched_off(epoch: int, error: Exception) -> None:
    """Warn that a look failed after training had begun."""
    reason = f"{type(error).__name__}: {error}".strip()
    warn(
        f"SensitivityCallback switched itself off at epoch {epoch}, and training goes on without it, because of "
        f"{reason}"
    )


# --- the rows -------------------------------------------------------------------------------------------------------


def keys(where: str, x: object, expected: Sequence[object]) -> None:
    """Refuse what has not all keys that a model reads; other keys are ignored."""
    missing = [key for key in expected if isinstance(x, type) or key not in x]  # type: ignore[operator]
    if missing:
        received = f"an object of type {x.__name__}" if isinstance(x, type) else f"the keys {listed(x)}"  # type: ignore[arg-type]
        fail(
            f"{where} has not all inputs of the model: {listed(missing)} missing.",
            expected=f"a dict with the keys {listed(expected)}",
            received=received,
            fix="pass x as it goes into model.fit",
            error=TypeError if isinstance(x, type) else ValueError,
        )


def parts(where: str, x: object, count: int) -> None:
    """Refuse what is no list of the inputs of a model."""
    if not isinstance(x, (list, tuple)) or len(x) != count:
        size = f" of {len(x)}" if isinstance(x, (list, tuple)) else ""
        fail(
            f"{where} does not hold the inputs of the model.",
            expected=f"a list of {count} arrays, one for each input",
            received=f"an object of type {type(x).__name__}{size}",
            fix="pass x as it goes into model.fit",
        )


def same_lengths(lengths: Mapping[str, int]) -> None:
    """Refuse inputs with different numbers of rows."""
    if len(set(lengths.values())) > 1:
        fail(
            "The inputs have different numbers of rows.",
            expected="as many rows in each input",
            received=", ".join(f"{count:,} in {name!r}" for name, count in lengths.items()),
            fix="pass rows that belong together, in the same order",
        )


def missing_text(name: str) -> NoReturn:
    """Say that a column of text has values that are no text."""
    fail(
        f"The input {name!r} has values that are no strings.",
        expected="strings in every row of an input of strings",
        received="missing values, or objects",
        fix="fill them, for example with x.fillna('')",
    )


# --- streams --------------------------------------------------------------------------------------------------------


def one_shot(kind: str) -> NoReturn:
    """Say that a generator cannot be read at every look."""
    fail(
        "x is a generator, which can be read only once.",
        expected="data that can be read anew at each look: arrays, a tf.data.Dataset, a keras.utils.PyDataset",
        received=f"an object of type {kind}, with num_samples=None",
        fix="pass num_samples=4096 to keep its first rows, or a tf.data.Dataset.from_generator",
    )


def endless() -> NoReturn:
    """Say that a stream without end cannot be read to its end."""
    fail(
        "x never ends.",
        expected="data with an end, or a number of rows to read",
        received="an infinite data set with num_samples=None",
        fix="pass num_samples=4096 to keep its first rows, or x.take(...)",
    )


def element(length: int) -> None:
    """Refuse an element of a stream that Keras would not understand."""
    if length not in (1, 2, 3):
        fail(
            "x yields tuples that are no batches.",
            expected="x, (x,), (x, y) or (x, y, sample_weight), as model.fit takes them",
            received=f"a tuple of {length}",
            fix="yield several inputs as a list or dict",
        )


def changed(index: int, expected: object, received: object) -> NoReturn:
    """Say that a batch of a stream has other inputs than the first."""
    fail(
        f"Batch {index} of x (from 0) differs from the first.",
        expected=f"rows of shape {expected}",
        received=f"rows of shape {received}",
        fix="yield the same inputs with the same columns in every batch",
    )


def empty_batch(index: int) -> NoReturn:
    """Say that a stream yields a batch without rows."""
    fail(
        f"Batch {index} of x (from 0) has no rows.",
        expected="at least one row in every batch",
        received="0 rows",
        fix="leave empty batches out",
    )


def broken(index: int, error: Exception) -> NoReturn:
    """Say that a stream raised instead of yielding."""
    reason = f"{type(error).__name__}: {error}".strip().splitlines()[0]
    try:
        fail(
            f"x could not be read to its end: batch {index} (from 0) failed.",
            expected="batches until the data end",
            received=reason,
            fix="iterate over x alone to find the cause; nothing was measured",
            error=RuntimeError,
        )
    except RuntimeError as worded:
        raise worded from error


def sample_weights(shape: Sequence[int], count: int) -> NoReturn:
    """Say that the sample weights of a batch are not one number >= 0 a row."""
    fail(
        "x has sample weights that cannot weigh rows.",
        expected=f"one finite number >= 0 a row: shape ({count},), not all of them 0",
        received=f"weights of shape {tuple(shape)}",
        fix="pass one weight a row as the third of (x, y, sample_weight)",
    )


def weightless() -> NoReturn:
    """Say that no row weighs anything."""
    fail(
        "The sample weights of x are all 0.",
        expected="at least one row with a weight above 0",
        received="no weight",
        fix="pass weights above 0, or leave them out",
    )


def array(x: object) -> None:
    """Refuse x that is neither an array, a tensor, a DataFrame nor nested numbers."""
    if isinstance(x, (str, bytes, Mapping)) or not (hasattr(x, "__array__") or isinstance(x, Sequence)):
        fail(
            "x is of a type that keras_sensitivity does not know.",
            expected="an array, tensor or pandas DataFrame whose first axis is that of the rows",
            received=f"an object of type {type(x).__name__}",
            fix="convert x to an array or a DataFrame",
            error=TypeError,
        )


def ragged() -> NoReturn:
    """Say that x has rows of different lengths."""
    fail(
        "x is ragged: its rows have different lengths, or are objects instead of numbers.",
        expected="an array of numbers in which every row has the same shape",
        received="rows that make no rectangular array",
        fix="pad the rows (keras.utils.pad_sequences, or to_tensor() of a RaggedTensor), and put a Masking layer first",
    )


def row_shape(x: str, received: Sequence[int], expected: Sequence[int | None] | None) -> None:
    """Refuse x whose rows have another shape than the model's input; None where the model does not say."""
    if len(received) > 5 or 0 in received[1:]:
        fail(
            f"{x} has a shape that is no table, sequence, image or sequence of images.",
            expected="2 to 5 axes, rows first, none of them empty",
            received=f"x of shape {tuple(received)}",
            fix="reshape x to (num_samples, num_features) or (num_samples, num_steps, num_features)",
        )
    if expected is None or (len(received) == len(expected) == 2 and received[1] == expected[1]):
        return
    if len(received) != len(expected):
        fail(
            f"{x} has a different number of axes than the model's input.",
            expected=f"x of shape {_axes(expected)}",
            received=f"x of shape {tuple(received)}",
            fix="reshape x" + (", or pass x[None] for a single row" if len(received) + 1 == len(expected) else ""),
        )
    wrong = [axis for axis in range(1, len(expected)) if expected[axis] not in (None, received[axis])]
    if wrong:
        what = {(2, 1): "columns", (3, 1): "steps", (3, 2): "columns", (5, 1): "steps"}
        noun = what.get((len(expected), wrong[0]), "entries")
        fail(
            f"{x} has a different number of {noun} than the model's input.",
            expected=f"{expected[wrong[0]]} {noun}: x of shape {_axes(expected)}",
            received=f"{received[wrong[0]]} {noun}: x of shape {tuple(received)}",
            fix="pass x as it goes into model.fit: without the target, after the same preprocessing",
        )


def _axes(shape: Sequence[int | None]) -> str:
    """A batch shape in words.

    >>> _axes((None, 3))
    '(num_samples, 3)'
    """
    return f"(num_samples, {', '.join('any' if size is None else str(size) for size in shape[1:])})"


def steps_of_heads(shapes: Sequence[Sequence[int | None]], num_steps: int) -> NoReturn:
    """Say that a many-to-many model has outputs without the input's steps."""
    fail(
        "The model is measured as many-to-many, but not every output has the input's time steps.",
        expected=f"outputs of shape (num_samples, {num_steps}, ...)",
        received=f"outputs of shape {listed([tuple(shape) for shape in shapes])}",
        fix="choose one of the outputs with Definition(output=...), or pass Definition(mode='many-to-one')",
    )


def no_lags() -> NoReturn:
    """Say that what was measured without a time axis has no lags to draw."""
    fail(
        "There are no lags to draw: the model was measured without a time axis.",
        expected="an Importance or Explanation whose lags are not None",
        received="lags=None",
        fix="measure a model with inputs of shape (num_samples, num_steps, num_features), or draw plots.ranking",
    )


def no_map() -> NoReturn:
    """Say that the model's input is no image."""
    fail(
        "There is no map to draw: the model's input is no image.",
        expected="inputs of shape (num_samples, height, width, channels)",
        received="map=None",
        fix="draw plots.ranking or plots.local_bars",
    )


def masked(rows: Sequence[int]) -> NoReturn:
    """Say that rows of x are masked at every step."""
    fail(
        "x has rows that are masked entirely: they have no step to measure.",
        expected="at least one step in each row that the model's mask leaves valid",
        received=f"no valid step in {len(rows):,} rows: {listed(rows)}",
        fix="drop these rows: x = np.delete(x, [...], axis=0)",
    )


def fixed_batch_size(batch_size: int | None, fixed: int) -> None:
    """Refuse a ``batch_size`` that is not the one that a stateful model was built with."""
    if batch_size not in (None, fixed):
        fail(
            "`batch_size` is not the one that the model was built with.",
            expected=f"batch_size={fixed}, or None",
            received=f"batch_size={batch_size}",
            fix="leave batch_size=None: a stateful model has one state for each row of its batch",
        )


def same_columns(name: str, received: Sequence[str] | None, expected: Sequence[str] | None) -> None:
    """Refuse a DataFrame with the columns of another in another order, or with others; None has no names."""
    if received is not None and expected is not None and list(received) != list(expected):
        fail(
            f"`{name}` has other columns than x.",
            expected=f"the columns {listed(expected)}",
            received=f"the columns {listed(received)}",
            fix=f"pass {name}[x.columns]",
        )


def codes_near(name: str) -> NoReturn:
    """Say that there is no expansion between codes."""
    fail(
        "There is no first-order expansion of a model with codes.",
        expected="inputs that are all numbers",
        received=f"codes in {name!r}, which have no values near each other",
        fix="compare the predictions themselves",
    )


def near(received: Sequence[int], expected: Sequence[int]) -> None:
    """Refuse rows that do not fit those that were explained."""
    one = expected[0] == 1
    if tuple(received[1:]) != tuple(expected[1:]) or not (one or received[0] == expected[0]):
        fail(
            "`x_near` does not fit the explained rows.",
            expected=f"x_near of shape {_axes((None, *expected[1:])) if one else tuple(expected)}",
            received=f"x_near of shape {tuple(received)}",
            fix="pass one row near each explained row; to compare many rows with one, explain that one alone",
        )


def numeric(dtypes: Mapping[str, object]) -> None:
    """Refuse columns that are not numbers; ``dtypes`` names those columns."""
    if dtypes:
        fail(
            f"x has columns that are not numbers: {listed(dtypes)}.",
            expected="columns of integers, floats or booleans",
            received=", ".join(f"{name!r} of dtype {dtype}" for name, dtype in list(dtypes.items())[:5]),
            fix="encode them as numbers: categories with pandas.get_dummies(dtype=float), as groups=",
            error=TypeError,
        )


def some_rows() -> NoReturn:
    """Say that x has no rows."""
    fail(
        "x has no rows.",
        expected="at least one row to measure",
        received="0 rows",
        fix="pass the training data, or a sample of it",
    )


def finite(bad: Mapping[str, int]) -> NoReturn:
    """Say which columns have NaN or infinity, in how many rows."""
    counts = ", ".join(f"{name!r} in {count:,} rows" for name, count in list(bad.items())[:5])
    fail(
        "x has values that are NaN or infinite.",
        expected="finite numbers, as float32, in every column",
        received=f"{counts}" + (f" and {len(bad) - 5} more columns" if len(bad) > 5 else ""),
        fix="impute or drop these rows (DataFrame.dropna), and look for a division by zero",
    )


# --- the names ------------------------------------------------------------------------------------------------------


def feature_names(names: object, count: int) -> None:
    """Refuse names that are not ``count`` different strings."""
    if isinstance(names, str) or not isinstance(names, Iterable):
        fail(
            "`feature_names` is not a list of names.",
            expected=f"a list of {count} strings",
            received=f"{names!r}",
            fix="pass feature_names=[...], one name a column",
            error=TypeError,
        )
    names = list(names)
    if len(names) != count:
        fail(
            "`feature_names` does not match the columns of x.",
            expected=f"{count} names, one for each column of x",
            received=f"{len(names)} names: {listed(names)}",
            fix="pass one name a column, in the order of the columns",
        )
    wrong = [name for name in names if not isinstance(name, str)]
    if wrong:
        fail(
            "`feature_names` has names that are not strings.",
            expected="strings",
            received=f"{listed(wrong)}",
            fix="pass [str(name) for name in names]",
            error=TypeError,
        )
    unique_names("`feature_names`", names)


def unique_names(where: str, names: Sequence[str]) -> None:
    """Refuse names that stand for more than one column."""
    repeated = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if repeated:
        fail(
            f"{where} has the same name for several columns.",
            expected="a different name for each column",
            received=f"more than one {listed(repeated)}",
            fix="rename them, or pass feature_names=[...]",
        )


def groups(value: object, names: Sequence[str]) -> None:
    """Refuse groups that are not a partition of some of the columns called ``names``."""
    expected = "a dict from a new name to a list of columns, each column in at most one group"
    if not isinstance(value, Mapping):
        fail("`groups` is not a dict.", expected=expected, received=f"{value!r}", fix=_GROUPS_FIX, error=TypeError)
    seen: dict[str, str] = {}
    for group, members in value.items():
        if not isinstance(group, str) or isinstance(members, str) or not isinstance(members, Iterable) or not members:
            fail(
                f"The group {group!r} is not a name with a list of columns.",
                expected=expected,
                received=f"{group!r}: {members!r}",
                fix=_GROUPS_FIX,
                error=TypeError if members else ValueError,
            )
        for member in members:
            if member not in names:
                fail(
                    f"The group {group!r} has a column that x has not.",
                    expected=f"columns of x: {listed(names)}",
                    received=f"{member!r}",
                    fix=f"correct the name{_similar(member, names)}",
                )
            if member in seen:
                fail(
                    f"The column {member!r} stands in more than one place in `groups`.",
                    expected=expected,
                    received=f"{member!r} in {seen[member]!r} and in {group!r}",
                    fix="leave it in one group",
                )
            seen[member] = group
    for group in value:
        if group in names and group not in value[group]:
            fail(
                f"The group {group!r} is called like a column outside of it.",
                expected="a name that no other column has",
                received=f"the group {group!r} beside the column {group!r}",
                fix="rename the group",
            )


_GROUPS_FIX = "pass for example groups={'colour': ['colour_red', 'colour_blue']}"


def listed(names: Iterable[object], most: int = 6) -> str:
    """The first ``most`` of ``names``, quoted, and how many are left.

    >>> listed(["a", "b", "c"], most=2)
    "'a', 'b' and 1 more"
    """
    every = list(names)
    shown = ", ".join(repr(name) for name in every[:most])
    return shown + (f" and {len(every) - most} more" if len(every) > most else "")


def _similar(name: object, names: Collection[object]) -> str:
    """A hint at the name that was probably meant."""
    close = difflib.get_close_matches(str(name), [str(each) for each in names], n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
