"""The runs of a ``log_dir``: each fit has one of its own, so that the numbers of several never mix."""

from __future__ import annotations

import os
import re

import tensorflow as tf

__all__ = ["RUN", "new_run", "runs_in"]

# The first run, beside which `keras.callbacks.TensorBoard` may write its own; the next are sensitivity_2 and so on.
RUN = "sensitivity"
NAME = re.compile(rf"{RUN}(?:_(\d+))?")


def runs_in(folder: str | os.PathLike[str]) -> list[str]:
    """The names of the runs in a folder, which need not exist, the oldest first."""
    path = os.fspath(folder)
    names = tf.io.gfile.listdir(path) if tf.io.gfile.isdir(path) else []
    found = filter(None, map(NAME.fullmatch, (name.rstrip("/") for name in names)))
    return [each[0] for each in sorted(found, key=lambda each: int(each[1] or 1))]


def new_run(folder: str | os.PathLike[str]) -> str:
    """Make the folder of another run, also where other processes do the same; returns its name."""
    number = len(runs_in(folder)) + 1
    while True:
        name = RUN if number == 1 else f"{RUN}_{number}"
        if _made(tf.io.gfile.join(os.fspath(folder), name)):
            return name
        number += 1


def _made(path: str) -> bool:
    """Whether a folder was made, and not by another process."""
    if "://" in path:  # where TensorFlow does not tell the two apart
        is_new = not tf.io.gfile.exists(path)
        tf.io.gfile.makedirs(path)
        return is_new
    try:
        os.mkdir(path)
    except FileExistsError:
        return False
    return True
