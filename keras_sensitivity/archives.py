"""Archives: arrays and their description in one file, without pickles."""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_sensitivity import errors

__all__ = ["UNREADABLE", "read_archive", "write_archive"]

Array = np.ndarray[Any, Any]

# What reading a file raises that is no archive, or not a whole one.
UNREADABLE = (
    AttributeError,
    EOFError,
    IndexError,
    KeyError,
    OSError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)


def write_archive(path: str | os.PathLike[str], described: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
    """Write arrays by name, and what JSON can say of them."""
    with open(path, "wb") as file:  # an open file, because np.savez would append a suffix to a path
        np.savez_compressed(file, allow_pickle=False, description=np.array(json.dumps(described)), **arrays)


def read_archive(path: str | os.PathLike[str], kind: str) -> tuple[dict[str, Any], dict[str, Array]]:
    """What was described, and the arrays; refuses a file that is no archive of the kind of result with this name."""
    with open(path, "rb") as file:
        try:
            with np.load(file) as archive:
                arrays = dict(archive)
            return dict(json.loads(str(arrays.pop("description")))), arrays
        except UNREADABLE as error:
            errors.refuse_archive(path, error, kind)
