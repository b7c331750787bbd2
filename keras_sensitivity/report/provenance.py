"""Of what, and with what: files and their hashes, the model, the versions of the software."""

from __future__ import annotations

import hashlib
import importlib
import math
import os
import pathlib
import platform
from typing import Any

import numpy as np

from keras_sensitivity.report.elements import Html, element

__all__ = ["of_file", "of_model", "versions"]

BLOCK = 2**20


def of_file(path: str | os.PathLike[str]) -> dict[str, object]:
    """Name, size and SHA-256 of a file."""
    digest, size = hashlib.sha256(), 0
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
            size += len(block)
    return {
        "File": pathlib.Path(path).name,
        "Size": f"{size:,} bytes",
        "SHA-256": element("span", digest.hexdigest(), class_="hash"),
    }


def of_model(model: Any) -> dict[str, object]:
    """What a Keras model takes and returns, and how large it is."""
    return {
        "Model": f"{model.name}, of class {type(model).__name__}",
        "Parameters": f"{sum(math.prod(weight.shape) for weight in model.weights):,}",
        "Layers": f"{len(model.layers):,}",
        "Inputs": _tensors(getattr(model, "inputs", None)),
        "Outputs": _tensors(getattr(model, "outputs", None)),
    }


def _tensors(tensors: Any) -> Html | None:
    """Name, shape and type of each, a line each."""
    if not tensors:
        return None
    lines = [f"{tensor.name}: {_shape(tensor.shape)}, {tensor.dtype}" for tensor in tensors]
    return Html(element("br").join(element("span", line) for line in lines))


def _shape(shape: Any) -> str:
    return "(" + ", ".join("any" if size is None else str(size) for size in shape) + ")"


def versions() -> dict[str, object]:
    """Of this package, and of what computed the numbers."""
    import keras
    import tensorflow as tf

    # By its name, since the package as a whole stands above this room.
    package = importlib.import_module("keras_sensitivity")
    return {
        "keras_sensitivity": package.__version__,
        "Keras": keras.__version__,
        "TensorFlow": tf.__version__,
        "NumPy": np.__version__,
        "Python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
    }
