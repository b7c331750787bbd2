"""Of streams of batches, and of sample weights."""

from __future__ import annotations

from typing import NoReturn

from keras_sensitivity.errors.wording import fail, reason, warn


def refuse_one_shot(kind: str) -> NoReturn:
    """Say that a generator cannot be read at every look."""
    fail(
        "x is a generator, which can be read only once.",
        expected="data that can be read anew at each look: arrays, a tf.data.Dataset, a keras.utils.PyDataset",
        received=f"an object of type {kind}, with num_samples=None",
        fix="pass num_samples=4096 to keep its first rows, or a tf.data.Dataset.from_generator",
    )


def refuse_endless() -> NoReturn:
    """Say that a stream without end cannot be read to its end."""
    fail(
        "x never ends.",
        expected="data with an end, or a number of rows to read",
        received="an infinite data set with num_samples=None",
        fix="pass num_samples=4096 to keep its first rows, or x.take(...)",
    )


def check_element(length: int) -> None:
    """Refuse an element of a stream that Keras would not understand."""
    if length not in (1, 2, 3):
        fail(
            "x yields tuples that are no batches.",
            expected="x, (x,), (x, y) or (x, y, sample_weight), as model.fit takes them",
            received=f"a tuple of {length}",
            fix="yield several inputs as a list or dict",
        )


def refuse_changed(index: int, expected: object, received: object) -> NoReturn:
    """Say that a batch of a stream has other inputs than the first."""
    fail(
        f"Batch {index} of x (from 0) differs from the first.",
        expected=f"rows of shape {expected}",
        received=f"rows of shape {received}",
        fix="yield the same inputs with the same columns in every batch; only sequences may differ, in the number of "
        "their steps, where the model leaves it open, as keras.Input((None, num_features))",
    )


def refuse_lengths() -> NoReturn:
    """Say that single predictions on sequences of several lengths do not stand in one table."""
    fail(
        "x has sequences of several lengths, whose explanations do not stand in one array.",
        expected="sequences of one length",
        received="batches whose numbers of steps differ",
        fix="explain the rows of one length at a time; measure takes all of them",
    )


def refuse_swapped_lengths() -> NoReturn:
    """Say that features are not exchanged between sequences of several lengths."""
    fail(
        "Features cannot be swapped between sequences of several lengths.",
        expected="batches of one shape, where any feature is swapped",
        received="batches whose numbers of steps differ",
        fix="pass Definition(change='derivative'), or measure the rows of one length at a time",
    )


def warn_many_lengths(count: int) -> None:
    """Warn of so many lengths of sequences that tracing takes most of the time."""
    warn(
        f"x has sequences of more than {count} lengths, and the network is traced for each, which takes time. Where "
        "sequences of about the same length are padded together (tf.data.Dataset.bucket_by_sequence_length), there are "
        "fewer."
    )


def refuse_changed_columns(index: int, expected: object, received: object) -> NoReturn:
    """Say that a batch of a stream has columns of other names, or in another order, than the first."""
    fail(
        f"Batch {index} of x (from 0) has other columns than the first.",
        expected=f"the columns {expected}",
        received=f"the columns {received}",
        fix="yield the same columns in the same order in every batch",
    )


def refuse_empty_batch(index: int) -> NoReturn:
    """Say that a stream yields a batch without rows."""
    fail(
        f"Batch {index} of x (from 0) has no rows.",
        expected="at least one row in every batch",
        received="0 rows",
        fix="leave empty batches out",
    )


def refuse_broken(index: int, error: Exception) -> NoReturn:
    """Say that a stream raised instead of yielding."""
    try:
        fail(
            f"x could not be read to its end: batch {index} (from 0) failed.",
            expected="batches until the data end",
            received=reason(error),
            fix="iterate over x alone to find the cause; nothing was measured",
            error=RuntimeError,
        )
    except RuntimeError as worded:
        raise worded from error


def refuse_sample_weights(received: str, count: int, batch: int | None = None) -> NoReturn:
    """Say that sample weights, an argument or those of a ``batch``, are not one number >= 0 a row."""
    is_argument = batch is None
    fail(
        "`sample_weight` cannot weigh the rows of x."
        if is_argument
        else "x has sample weights that cannot weigh rows.",
        expected=f"one finite number >= 0 a row: shape ({count},), not all of them 0",
        received=received,
        fix="pass one weight a row, in the order of the rows"
        + (" (of classes: y.map(class_weight))" if is_argument else ", as the third of (x, y, sample_weight)"),
    )


def refuse_weights_beside_stream(kind: str) -> NoReturn:
    """Say that a stream brings the weights of its rows along."""
    fail(
        "`sample_weight` was passed beside a stream.",
        expected="sample weights of arrays; a stream yields its own, as in model.fit",
        received=f"an object of type {kind} as x",
        fix="yield (x, y, sample_weight)",
    )


def refuse_weightless() -> NoReturn:
    """Say that no row weighs anything."""
    fail(
        "The sample weights of x are all 0.",
        expected="at least one measured row with a weight above 0",
        received="no weight",
        fix="pass weights above 0, or leave them out",
    )


def warn_first_rows(count: int) -> None:
    """Warn that a stream without a known end was read no further than necessary."""
    warn(
        f"x does not say where it ends, so its first {count:,} rows are measured. Where the others are not like them, "
        "because x is sorted or goes by time, shuffle x; or pass arrays, or a data set with an end, of which rows are "
        "drawn at random."
    )


def warn_unseen_rows(kept: int, seen: int, seconds: float) -> None:
    """Warn that there was no time to read a stream to its end."""
    warn(
        f"x cannot be read through in {seconds:.0f} seconds, so the {kept:,} rows to measure were drawn from its first "
        f"{seen:,}. Where the others are not like them, because x is sorted or goes by time, shuffle x; or pass some "
        "rows as arrays, or num_samples=None to read all of them at every look."
    )


def refuse_pickled(kind: str, error: Exception) -> NoReturn:
    """Say that the rows of a callback cannot be pickled."""
    try:
        fail(
            "SensitivityCallback cannot be pickled with its x.",
            expected="x as arrays or DataFrames, which can be; a data set, a generator and an open file cannot",
            received=f"an object of type {kind} ({reason(error)})",
            fix="set x to None in the callback first: its looks are kept; or pass some rows as arrays",
            error=TypeError,
        )
    except TypeError as worded:
        raise worded from error


def refuse_shared_generator(where: str) -> NoReturn:
    """Say that the callback would take the batches of ``where``, which fit is about to read."""
    fail(
        f"SensitivityCallback was given the generator that fit reads {where} from: what one takes, the other misses.",
        expected="rows of its own: arrays, a tf.data.Dataset, a keras.utils.PyDataset, or another generator",
        received="one generator for both",
        fix="pass some rows as arrays, or tf.data.Dataset.from_generator(...) to both; nothing was read yet",
    )
