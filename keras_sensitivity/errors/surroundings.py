"""Of the surroundings: the Keras backend, and folders on the disk."""

from __future__ import annotations

import importlib.util
import os
import sys
import uuid
from collections.abc import Sequence
from typing import NoReturn

from keras_sensitivity.errors.wording import fail, listed, shown, warn


def check_tensorflow() -> None:
    """Say what to install where there is no TensorFlow of any build."""
    if importlib.util.find_spec("tensorflow") is None:
        fail(
            "keras_sensitivity needs TensorFlow, and there is none.",
            expected="a package with the module tensorflow: tensorflow, tensorflow-cpu, tf-nightly or another build",
            received=f"no module of this name for {sys.executable}",
            fix='run: pip install "keras_sensitivity[tensorflow]", or install another build of TensorFlow',
            error=ImportError,
        )


def check_backend() -> None:
    """Refuse every Keras backend but TensorFlow's."""
    import keras  # not above: without TensorFlow it cannot be imported, and `check_tensorflow` is to say so

    name = keras.config.backend()
    if name != "tensorflow":
        fail(
            f"keras_sensitivity cannot differentiate on the Keras backend {name!r}.",
            expected="the backend 'tensorflow', the only one supported for now",
            received=f"keras.config.backend() == {name!r}",
            fix="set the environment variable KERAS_BACKEND=tensorflow before keras is imported",
            error=RuntimeError,
        )


def check_strategy(strategy: object) -> None:
    """Refuse a strategy of TensorFlow under which Keras itself trains no model."""
    name, resolver = type(strategy).__name__, getattr(strategy, "cluster_resolver", None)
    spec = resolver.cluster_spec() if name.startswith("MultiWorker") and resolver is not None else None
    num_workers = sum(spec.num_tasks(job) for job in spec.jobs) if spec else 1
    if name.startswith(("CentralStorage", "ParameterServer")) or num_workers > 1:
        fail(
            "A model cannot be looked at under this strategy.",
            expected="one under which Keras trains: none, OneDeviceStrategy, MirroredStrategy, keras.distribution",
            received=name + (f" with {num_workers} workers" if num_workers > 1 else ""),
            fix="train under MirroredStrategy; or measure a copy built outside of the scope of the strategy, with the "
            "same weights",
            error=RuntimeError,
        )


def refuse_inside_a_function() -> NoReturn:
    """Say that nothing can be measured while TensorFlow traces a function."""
    fail(
        "A model cannot be measured inside of a function that TensorFlow traces.",
        expected="a call from eager code, such as a callback or a script",
        received="a call while TensorFlow traces a function, such as a layer's call",
        fix="measure before or after it",
        error=RuntimeError,
    )


def check_file_path(name: str, value: object) -> None:
    """Refuse what is no path."""
    is_path = isinstance(value, (str, os.PathLike))
    text = str(value)
    if not is_path or "\0" in text or text != text.encode(errors="ignore").decode():
        fail(
            f"`{name}` is no path.",
            expected="a text or a pathlib.Path",
            received=f"{shown(value)} of type {type(value).__name__}",
            fix=f"pass for example {name}='runs/first'",
            error=ValueError if is_path else TypeError,
        )


def check_folder(path: str | os.PathLike[str]) -> None:
    """Refuse a ``log_dir`` in which no file can be written; create it where it is missing.

    It may be one that only TensorFlow can reach, such as ``gs://bucket/logs``.
    """
    import tensorflow as tf

    check_file_path("log_dir", path)
    try:
        folder = os.fspath(path)
        tf.io.gfile.makedirs(folder)
        trial = tf.io.gfile.join(folder, f".{uuid.uuid4().hex}")
        with tf.io.gfile.GFile(trial, "w") as file:
            file.write("")
        tf.io.gfile.remove(trial)
    except (OSError, TypeError, ValueError, tf.errors.OpError) as error:
        fail(
            "`log_dir` cannot be written.",
            expected="a folder in which files can be created, or a path where one can be made",
            received=f"{shown(os.fspath(path))} ({error})",
            fix="pass a writable folder, or log_dir=None to write no TensorBoard summaries",
            error=TypeError if isinstance(error, TypeError) else OSError,
        )


def check_record_format(path: object, received: int, newest: int) -> None:
    """Refuse event files of a newer version."""
    if received > newest:
        fail(
            f"{path} was written by a newer version of keras_sensitivity.",
            expected=f"records of format {newest} or older",
            received=f"format {received}",
            fix="install that version to read it",
        )


def refuse_no_looks(path: str) -> NoReturn:
    """Say that there is nothing to read in a ``log_dir``."""
    fail(
        "No look was written there.",
        expected="the `log_dir` of a SensitivityCallback that has looked at least once",
        received=f"no run `sensitivity` with a look in {path!r}",
        fix="pass the folder that was given to SensitivityCallback(log_dir=...), not the one inside it",
        error=FileNotFoundError,
    )


def warn_several_runs(path: str, runs: Sequence[str]) -> None:
    """Say which of several runs is read."""
    warn(
        f"{path!r} holds {len(runs)} runs, one of each fit: {listed(runs, most=20)}. This is the trajectory of the "
        "newest; run= chooses another."
    )


def refuse_record(path: object, error: Exception) -> NoReturn:
    """Say that event files have a record that is none."""
    try:
        fail(
            f"{path} has a record that cannot be read.",
            expected="event files that a SensitivityCallback wrote",
            received=f"what raises {type(error).__name__} when it is read",
            fix="pass the log_dir of a SensitivityCallback; if it is that, the files were changed since",
        )
    except ValueError as worded:
        raise worded from error


def warn_unreadable_run(folder: str, error: Exception) -> None:
    """Say that a fit does not go on in a run that cannot be read."""
    warn(
        f"The run {folder!r} cannot be read, so this fit has a run of its own, and knows of no looks before. "
        f"{type(error).__name__}: {error}"
    )


def warn_not_written(folder: str, epoch: int, error: Exception) -> None:
    """Say that looks are not on the disk."""
    warn(
        f"SensitivityCallback could not write the look at epoch {epoch} to {folder!r}; training and looks go on. What "
        "is not written is kept, and written with the next look at which that is possible, at the latest at the end of "
        f"the fit; if it never is, the looks are in watch.history alone. The reason: {type(error).__name__}: {error}"
    )


def warn_explanation_not_written(folder: object, error: Exception) -> None:
    """Say that an explanation is not, or not all, on the disk."""
    warn(
        f"The explanation could not be written to {str(folder)!r}, or not all of it; the numbers are in what `explain` "
        f"returns. The reason: {type(error).__name__}: {error}"
    )


def warn_no_picture(name: str, error: BaseException) -> None:
    """Say that a picture could not be drawn, and that the numbers go on."""
    warn(
        f"The picture {name!r} could not be drawn, and is left out, as later ones that fail; all numbers are written. "
        f"{type(error).__name__}: {error}"
    )
