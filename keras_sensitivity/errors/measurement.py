"""Of a measurement: what stops it, and what its numbers do not say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NoReturn

from keras_sensitivity.errors.wording import fail, listed, some, warn


def refuse_not_finite(
    features: Mapping[str, int], *, num_rows: int | None, predictions: int, has_missing: bool
) -> NoReturn:
    """Say that derivatives or predictions are NaN or infinite although x, or what the model makes of it, is finite.

    Args:
        features: At how many rows a derivative is, by feature, where it is.
        num_rows: At how many any is; None: that is not known.
        predictions: At how many a prediction is.
        has_missing: Whether x has NaN.
    """
    what = "derivatives" if features or not predictions else "predictions"
    found = f"numbers that are not finite at {'some' if num_rows is None else f'{num_rows:,}'} rows"
    if features:
        counts = (repr(name) if num_rows is None else f"{name!r} ({count:,})" for name, count in features.items())
        found += f", of derivatives with respect to {some(counts)}"
    if predictions:
        found += f"; {predictions:,} predictions are not finite, either" if features else ", predictions"
    cause = "weights have diverged, or the model divides by zero"
    fix = "look for NaN in the weights (keras.callbacks.TerminateOnNaN), lower the learning rate, or clip gradients"
    if has_missing:
        cause = "x has NaN, which the model takes out of its predictions, though not out of their derivatives"
        fix = "replace NaN before it is computed with (keras.ops.nan_to_num, keras.ops.where), or impute these rows"
    fail(
        f"The {what} of the model are NaN or infinite.",
        expected="finite predictions and derivatives",
        received=f"{found}: {cause}",
        fix=fix,
        error=FloatingPointError,
    )


def refuse_swapped_not_finite(features: Mapping[str, int], num_rows: int) -> NoReturn:
    """Say that predictions are NaN or infinite after swaps, which ``features`` count, of ``num_rows`` rows."""
    counts = some(f"{name!r} ({count:,})" for name, count in features.items()) or "some"
    fail(
        "The predictions of the model are NaN or infinite where a feature has the value of another row.",
        expected="finite predictions also after real changes, which are swaps of values between the rows",
        received=f"predictions that are not finite, of {num_rows:,} rows, after swaps of {counts}",
        fix="pass Definition(change='derivative'), which swaps nothing, or put the features that belong together into "
        "one group, which is swapped as a whole",
        error=FloatingPointError,
    )


def refuse_memory(error: Exception, batch_size: int) -> NoReturn:
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


def warn_slow(seconds: float, num_rows: int | None, num_units: int) -> None:
    """Warn that a look will take long; ``num_rows`` is None of a stream, of which it is the time for one batch."""
    time = f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:.0f} minutes"
    rows = "a batch" if num_rows is None else f"{num_rows:,} rows"
    warn(
        f"A look at {rows} takes about {time} here, with {num_units:,} output units. Fewer rows (num_samples=...), a "
        "single unit (Definition(output=...)) or, in a fit, fewer looks (every_n_epochs=...) take less."
    )


def warn_saturated(shares: Mapping[str, float]) -> None:
    """Warn that a final softmax or sigmoid hides a part of the rows; ``shares`` says how many, by head."""
    warn(
        f"{_of_heads(shares)} have derivatives that are all exactly 0: the final softmax or sigmoid is saturated, "
        "and these rows do not count. Definition(logits=True) differentiates what goes into it."
    )


def warn_dead_units(shares: Mapping[str, float]) -> None:
    """Warn that at a part of the rows what goes into a final softmax or sigmoid is flat; ``shares`` says how many."""
    warn(
        f"{_of_heads(shares)} have derivatives that are all exactly 0, also of what goes into the final softmax or "
        "sigmoid: what comes before it is flat there, as where all ReLUs of a layer are off, and these rows do not "
        "count. Definition(logits=True) changes nothing; a lower learning rate, another initializer or LeakyReLU may."
    )


def _of_heads(shares: Mapping[str, float]) -> str:
    """How many of the rows, by head; "" is an only one."""
    every = [f"{share:.0%} of the rows" + (f" (output {head!r})" if head else "") for head, share in shares.items()]
    return " and ".join(every)


def warn_ignores_everything() -> None:
    """Warn that every derivative is 0."""
    warn("Every derivative is exactly 0: the model ignores all features, and every importance is 0.")


def warn_ignores_newest_step() -> None:
    """Warn that the paper's lambda sees nothing."""
    warn(
        "Every derivative at the newest step is exactly 0, and so is every importance. Definition(lags='all') measures "
        "all lags."
    )


def warn_constant(rows: str = "the measured rows") -> None:
    """Warn that no column of x varies."""
    warn(
        f"Every column of x is constant in {rows}, by whose spread the derivatives are scaled, so every importance is "
        "0. Pass more rows, or Definition(scale=None)."
    )


def warn_alike_to_probes(different: float, num_rows: int) -> None:
    """Warn of rows so few of which differ that noise made of them means something."""
    warn(
        f"Of the {num_rows:,} rows only about {max(different, 1):,.0f} differ in what the NoiseProbes see. The noise "
        "of a row is made of the row, so here it tells groups of rows apart, and means something: the noise level may "
        "come out too high, and features may be reported dead that are not. Place the probes where more columns come "
        "together, or set DeadFeatureMonitor(threshold=...) by hand."
    )


def warn_saturated_rows(rows: Sequence[int], count: int) -> None:
    """Warn that at some of ``count`` explained rows a final softmax or sigmoid is saturated."""
    warn(
        f"At {len(rows):,} of {count:,} rows every derivative is exactly 0, and so are all shares there: rows "
        f"{listed(rows)}. The final softmax or sigmoid is saturated; Definition(logits=True) differentiates what goes "
        "into it."
    )


def warn_flat_rows(rows: Sequence[int], count: int) -> None:
    """Warn that at some of ``count`` explained rows the model is flat, whatever it ends in."""
    warn(
        f"At {len(rows):,} of {count:,} rows every derivative is exactly 0, and so are all shares there: rows "
        f"{listed(rows)}. The model does not change near them, as where all ReLUs of a layer are off."
    )


def warn_too_wide(received: int, most: int) -> None:
    """Warn that a path would need too much memory."""
    warn(
        f"A row has {received:,} derivatives (units x lags x entries), and no more than {most:,} are put into bins, so "
        "scale='path' is scale='std' here. Pass Definition(scale='std') to say that it is meant, or choose one unit "
        "with Definition(output=...)."
    )


def warn_differences(features: Sequence[tuple[object, float, float]], num_rows: int) -> None:
    """Warn of features, each with its importance and that of real changes, where these say different things."""
    shown = some(f"{name!r} {share:.1f} % ({real:.1f} %)" for name, share, real in features)
    warn(
        f"Some importances are far from those of real changes (in brackets; of {num_rows:,} rows): {shown}. "
        "Small changes of a feature may tell little of large ones: see Importance.agreement, and `caution` in its "
        "table. Definition(change='swap') measures the large ones of all features."
    )


def warn_unseen_values(features: Mapping[str, float]) -> None:
    """Warn of features, each with the percent of the background whose values no measured row has."""
    shown = some(f"{name!r} ({part:.0f} %)" for name, part in features.items())
    warn(
        f"Many rows of the background have values where no row was measured: of {shown}. How sensitive the "
        "network is there was not seen, and is guessed from how it is elsewhere. Definition(change='swap') measures "
        "real changes to such values."
    )


def warn_unlike_parts(features: Sequence[object]) -> None:
    """Warn that merged looks are of rows that differ, each of which was its own background."""
    warn(
        f"The merged importances are of rows that differ in {listed(features)}, and each was measured among its own "
        "rows only, so that what happens between the two is not seen. Pass the same rows, such as the training data, "
        "as background= to both."
    )


def refuse_swapped_entries() -> NoReturn:
    """Say that single entries of an image are not swapped."""
    fail(
        "Single entries of an image cannot be swapped: an image with one pixel of another is none.",
        expected="groups of entries for change='swap'",
        received="an image whose entries are features by themselves",
        fix="pass groups={name: [entries, ...]} that cover the image, such as patches, or change='derivative'",
    )


def warn_narrow() -> None:
    """Warn that the numbers have three digits."""
    warn(
        "The model computes in float16 or bfloat16, and a layer insists on that, so the numbers are right to about "
        "1 %, and effects smaller than that are lost. Measure a copy of the model that was built under the dtype "
        "policy 'float32', with the same weights: copy.set_weights(model.get_weights())."
    )


def warn_out_of_range(columns: Sequence[object]) -> None:
    """Warn of columns whose values float16 cannot hold."""
    warn(
        "The model computes in float16, which holds no numbers beyond 65,504 and none below 6e-8: of "
        f"{listed(columns)} it sees infinity, or 0. Looks are taken in float32, in which it uses them. Standardise "
        "these columns, or use the dtype policy 'mixed_bfloat16'."
    )


def warn_single_row() -> None:
    """Warn that one row has no standard deviation."""
    warn(
        "A single row has no standard deviation, so the derivatives are not scaled (scale=None), and the shares depend "
        "on the features' units of measure. Pass background=x_train, or Definition(scale=None) to say that it is meant."
    )


def warn_switched_off(epoch: int, error: Exception) -> None:
    """Warn that a look failed after training had begun."""
    reason = f"{type(error).__name__}: {error}".strip()
    warn(
        f"SensitivityCallback switched itself off at epoch {epoch}, and training goes on without it; what it adds "
        f"to the logs stays as it was. The reason: {reason}"
    )


def warn_skipped_look(epoch: int, error: Exception) -> None:
    """Warn that a look found numbers that are not finite."""
    warn(
        f"SensitivityCallback has no look at epoch {epoch}, nor at later ones at which this is so; training goes on, "
        f"and looks do, as soon as all numbers are finite again. {error}"
    )


def warn_xla_failed(reason: str) -> None:
    """Warn that XLA cannot compile the model."""
    warn(f"{reason}. The plain graph is used instead; pass jit_compile=False to go there directly.")


def refuse_straight_pieces(operations: Sequence[str]) -> NoReturn:
    """Say that a network has no second derivatives to speak of."""
    fail(
        "The network is made of straight pieces: its second derivatives are 0 wherever they exist, whatever interacts.",
        expected="a smooth network, of activations such as tanh, sigmoid, softplus, gelu or silu",
        received=f"the operations {listed(operations)}",
        fix="ask for order='swap', which is right for every network",
    )


def refuse_second_derivatives() -> NoReturn:
    """Say that only a Keras model has second derivatives."""
    fail(
        "A function of rows has no second derivatives.",
        expected="a Keras model, or order='swap'",
        received="a function, and order='derivative'",
        fix="ask for order='swap'",
    )
