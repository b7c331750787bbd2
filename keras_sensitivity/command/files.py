"""The files that are named: models, rows, and importances that were saved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from keras_sensitivity import errors
from keras_sensitivity.archives import described_in

__all__ = ["Data", "is_importance", "is_model", "load_model", "load_rows"]

Array = np.ndarray[Any, Any]

Data = pd.DataFrame | dict[str, Array]

MODELS = {".keras", ".h5", ".hdf5"}

# What pandas unpacks by itself.
PACKED = {".gz", ".bz2", ".xz", ".zip"}


def is_model(path: Path) -> bool:
    """Whether a file is a model, by its name."""
    return path.suffix.lower() in MODELS


def is_importance(path: Path) -> bool:
    """Whether a file is what `Importance.save` writes."""
    if path.suffix.lower() != ".npz" or not path.is_file():
        return False
    return "format" in described_in(path)


def load_model(path: Path) -> keras.Model:
    """A saved Keras model, read in Keras' safe mode."""
    errors.check_file(path)
    try:
        return keras.saving.load_model(path, compile=False)
    except Exception as error:  # noqa: BLE001  (whatever the layers of the model raise)
        errors.refuse_model_file(path, error)


def load_rows(path: Path, separator: str | None) -> Data:
    """A table, or arrays by name; "" for one that has none."""
    errors.check_file(path)
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in PACKED]
    read = READERS.get(suffixes[-1] if suffixes else "")
    if read is None:
        errors.refuse_data_kind(path, list(READERS))
    try:
        return read(path, separator)
    except (ImportError, OSError, ValueError) as error:  # a parser's own errors are ValueErrors
        errors.refuse_data_file(path, error)


def _csv(path: Path, separator: str | None) -> Data:
    return pd.read_csv(path, sep=separator or ",")


def _tsv(path: Path, separator: str | None) -> Data:
    return pd.read_csv(path, sep=separator or "\t")


def _parquet(path: Path, separator: str | None) -> Data:
    return pd.read_parquet(path)


def _npz(path: Path, separator: str | None) -> Data:
    with np.load(path) as archive:
        return dict(archive)


def _npy(path: Path, separator: str | None) -> Data:
    return {"": np.load(path)}


READERS: dict[str, Callable[[Path, str | None], Data]] = {
    ".csv": _csv, ".tsv": _tsv, ".txt": _csv, ".parquet": _parquet, ".npz": _npz, ".npy": _npy,
}  # fmt: skip
