"""Of the model: what it is made of, and what it returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NoReturn

from keras_sensitivity.errors.wording import fail, listed, reason, similar, warn


def refuse_sliced_codes(names: Sequence[str]) -> NoReturn:
    """Say that codes are cut out of inputs of several columns, called ``names``."""
    fail(
        f"The model looks up codes that it cuts out of {listed(names)}.",
        expected="codes in an input of their own: their derivative is 0 everywhere, so what they become is measured",
        received="a lookup of a part of an input with several columns: which column it is cannot be known",
        fix="give the model one input for each code, or one for all codes that goes into the lookup as a whole",
    )


def refuse_variable_codes(names: Sequence[str], shape: Sequence[int | None]) -> NoReturn:
    """Say that inputs called ``names`` become tensors of another shape in every batch."""
    fail(
        f"What the model makes of {listed(names)} is as long as the longest row of a batch.",
        expected="the same number of positions in every batch, by which derivatives are averaged",
        received=f"rows of shape {tuple('any' if size is None else size for size in shape)}",
        fix="give the layer a fixed length, as TextVectorization(output_sequence_length=...), which pads and cuts each "
        "row alike; or leave the input out with exclude=[...]",
    )


def refuse_unit(name: object, names: Sequence[str]) -> NoReturn:
    """Say that no output unit or head is called ``name``."""
    fail(
        f"The model has no output {name!r}.",
        expected=f"output=None, or one of {listed(names)}",
        received=f"Definition(output={name!r})",
        fix=f"pass one of the model's outputs{similar(name, names)}",
    )


def refuse_path(names: Sequence[str], others: Sequence[str] = ()) -> NoReturn:
    """Say that derivatives do not reach the inputs called ``names``, but ``others``."""
    fail(
        f"The model's output does not depend on {listed(names)} through derivatives"
        + (f", but it does on {listed(others)}." if others else "."),
        expected="a differentiable path from each input to the output",
        received="no gradient: the input is unused, cast to integers, compared, or behind argmax or stop_gradient",
        fix=f"pass exclude={list(names)} to measure the others alone"
        if others
        else "feed the first floating-point tensor it becomes as the input, or take it out of the model; where the "
        "output is an argmax, measure the part of the model that returns the scores",
    )


def refuse_logits() -> NoReturn:
    """Say that no final softmax or sigmoid was found."""
    fail(
        "Definition(logits=True) found no final softmax or sigmoid to look behind.",
        expected="an output that a softmax or sigmoid makes, by a layer, an activation, an operation or its formula",
        received="outputs that something else makes; a model trained with from_logits=True returns logits already",
        fix="pass logits=False, or end the model with a softmax or sigmoid",
    )


def refuse_no_call(name: str, kind: str, parts: Sequence[str]) -> NoReturn:
    """Say that a model is trained by a ``train_step`` of its own, and returns nothing; ``parts`` are models in it."""
    part = "encoder" if "encoder" in parts or not parts else parts[0]
    fail(
        f"The model {name!r} has no `call`: it returns nothing that could be differentiated.",
        expected="a model that can be called, as model(x)",
        received=f"a {kind} without `call`" + (f", made of the models {listed(parts)}" if parts else ""),
        fix=f"measure a part of it once it is trained, such as measure(model.{part}, x), or give the model a `call` "
        "that returns what is to be measured",
    )


def refuse_saved_model(received: str) -> NoReturn:
    """Say that a saved model has no function that could be called with rows."""
    fail(
        "The saved model has no function that is known to take rows.",
        expected="a function 'serve' or 'serving_default', as model.export writes it, or a single signature, of "
        "tensors of a known number of axes",
        received=received,
        fix="pass one of its functions, such as saved.signatures['name'], or keras.layers.TFSMLayer(path, "
        "call_endpoint='name')",
    )


def refuse_unfitted(kind: str) -> NoReturn:
    """Say that an estimator holds no trained model yet."""
    fail(
        f"The {kind} was not fitted: it holds no trained Keras model.",
        expected="a Keras model, or an estimator that was fitted, whose `model_` is one",
        received=f"a {kind} without `model_`",
        fix="call its fit(x, y) before; to watch that fit, give the callback to the estimator",
    )


def refuse_unbuilt_layers(names: Sequence[str], error: Exception) -> NoReturn:
    """Say that layers of a built model were never called, so that their weights do not exist yet."""
    try:
        fail(
            f"The layers {listed(names)} were never built: they have no weights to differentiate.",
            expected="a model that was called on data, or trained",
            received=f"a model with layers that the call of a look would have built: {type(error).__name__}",
            fix="call model(x[:1]) once",
        )
    except ValueError as worded:
        raise worded from error


def refuse_call(error: Exception, shapes: Sequence[Sequence[int | None]]) -> NoReturn:
    """Say that the model cannot be called on a batch of x, whose leaves have these shapes."""
    try:
        fail(
            "The model cannot be called on a batch of x.",
            expected="rows that the model accepts in model(x)",
            received=f"batches of shape {', '.join(map(str, shapes))}; the model raised {reason(error)}",
            fix="pass x as it goes into model.fit, with all of its columns",
        )
    except ValueError as worded:
        raise worded from error


def refuse_steps_of_heads(shapes: Sequence[Sequence[int | None]], num_steps: int) -> NoReturn:
    """Say that a many-to-many model has outputs without the input's steps."""
    fail(
        "The model is measured as many-to-many, but not every output has the input's time steps.",
        expected=f"outputs of shape (num_samples, {num_steps}, ...)",
        received=f"outputs of shape {listed([tuple(shape) for shape in shapes])}",
        fix="choose one of the outputs with Definition(output=...), or pass Definition(mode='many-to-one')",
    )


def warn_guessed_steps(num_steps: int | None) -> None:
    """Warn that an output may or may not have the steps of the input."""
    warn(
        f"The output has {num_steps} steps, as many as the input, and is measured as many-to-many; whether its steps "
        "are those of the input cannot be read from the model. Definition(mode='many-to-many') says that they are; if "
        "they are others, as in a forecast, pass Definition(mode='all-steps')."
    )


def refuse_heads(faults: Mapping[str, str]) -> NoReturn:
    """Say that outputs have no derivatives of single rows; ``faults`` says of each what it is."""
    fail(
        f"The model's output {listed(faults)} cannot be differentiated row by row."
        if faults
        else "The model returns nothing that can be differentiated.",
        expected="a floating-point tensor with a value for each row: shape (num_samples, ...)",
        received=", ".join(f"{name!r} {fault}" for name, fault in faults.items()) or "no output at all",
        fix="choose another output with Definition(output=...), or measure the part of the model that returns one",
    )


def warn_left_out(faults: Mapping[str, str]) -> None:
    """Warn of outputs that are not measured; ``faults`` says of each what it is."""
    described = ", ".join(f"{name!r} ({fault})" for name, fault in faults.items())
    warn(
        f"The outputs {described} have no derivatives of single rows and are left out. Definition(output=...) chooses "
        "one of the others by its name."
    )


def warn_masking(names: Sequence[str]) -> None:
    """Warn of inputs that are not measured, because they only say which entries of others count."""
    warn(
        f"The inputs {listed(names)} only say which entries of other inputs count. No derivative reaches such a mask, "
        f"so it is left out. Pass exclude={list(names)} to say that it is meant."
    )


def warn_mixes_rows() -> None:
    """Warn that the rows of a batch are not independent of each other."""
    warn(
        "The model mixes the rows of a batch: what it returns for a row depends on the other rows. A derivative with "
        "respect to a row then sums up its effects on the whole batch, and another batch_size gives other numbers. To "
        "see it, compare model.predict(x[:2])[:1] with model.predict(x[:1])."
    )


def refuse_changed_network(before: Sequence[str], now: Sequence[str]) -> NoReturn:
    """Say that a model has other outputs or inputs than when the first look was prepared."""
    fail(
        "The model has changed so much that its looks cannot be compared.",
        expected=f"the inputs as before, and the output units {listed(before)}",
        received=f"other inputs, or other units: {listed(now)}",
        fix="begin a new fit after layers were added or taken away",
    )
