"""What the commands share: rows of a file, an importance of a model at them, and what a page says of both."""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import pandas as pd

from keras_sensitivity.command.arguments import definition_of
from keras_sensitivity.command.columns import without, x_of
from keras_sensitivity.command.files import Data, load_rows
from keras_sensitivity.importance import Importance
from keras_sensitivity.networks.choice import network_of
from keras_sensitivity.report import Context, caveats, provenance
from keras_sensitivity.report.elements import joined
from keras_sensitivity.report.lists import listed
from keras_sensitivity.verbs import measure

__all__ = ["Found", "Sample", "context_of", "measured", "rows_of", "together"]

# Columns that a page names at the most.
MOST_COLUMNS = 60

# What points there a page shows beside it.
SHOWN = "Importance.agreement"


class Found(NamedTuple):
    """An importance, and what was warned of while it was measured."""

    importance: Importance
    notes: list[str]


class Sample(NamedTuple):
    """The columns, or arrays, that the model gets, and how much each row counts; None: all the same."""

    data: Data
    weights: Any


def rows_of(given: argparse.Namespace, path: Path) -> Sample:
    """The rows of a file."""
    data = without(without(load_rows(path, given.separator), "--target", given.target), "--exclude", given.exclude)
    if given.weight is None:
        return Sample(data, None)
    others = without(data, "--weight", [given.weight])
    return Sample(others, np.asarray(data[given.weight]))


def measured(
    given: argparse.Namespace,
    model: keras.Model,
    sample: Sample,
    *,
    background: Data | None = None,
    is_checked: bool = False,
) -> Found:
    """The importance, compared with real changes where it ``is_checked``."""
    inputs = network_of(model).inputs(sample.data)
    if given.background is not None:
        background = rows_of(given, given.background).data
    with (
        warnings.catch_warnings(record=True) as caught,
        contextlib.redirect_stdout(sys.stderr if given.verbose else io.StringIO()),
    ):
        warnings.simplefilter("always")
        importance = measure(
            model,
            x_of(sample.data, inputs),
            sample_weight=sample.weights,
            background=None if background is None else x_of(background, inputs),
            feature_names=given.feature_names,
            output_names=given.output_names,
            groups=dict(given.group) or None,
            definition=definition_of(given),
            num_samples=given.num_samples,
            batch_size=given.batch_size,
            verbose=int(is_checked or given.verbose),
        )
    return Found(importance, [str(each.message) for each in caught if issubclass(each.category, UserWarning)])


def together(samples: Iterable[Sample]) -> Data | None:
    """All rows of several files, among which those of each are measured; None of one."""
    every = [sample.data for sample in samples]
    if len(every) < 2:
        return None
    if isinstance(every[0], pd.DataFrame):
        return pd.concat([part for part in every if isinstance(part, pd.DataFrame)])
    return {name: np.concatenate([part[name] for part in every]) for name in every[0]}


def context_of(given: argparse.Namespace, model: keras.Model, sample: Sample, found: Found) -> Context:
    """Of which files the importance is, and what of them is to be minded."""
    notes = [note for note in found.notes if SHOWN not in note]
    if isinstance(sample.data, pd.DataFrame):
        notes += caveats.correlated(sample.data)
    background = given.background and provenance.of_file(given.background)
    return Context(
        caveats=notes,
        data={
            **provenance.of_file(given.data),
            **_shape(sample.data),
            "Target": _listed(given.target),
            "Left out": _listed(given.exclude),
            "Weights": given.weight,
            "Background": background and joined(background["File"], ", ", background["SHA-256"]),
        },
        model={**provenance.of_file(given.model), **provenance.of_model(model)},
        command=given.command,
    )


def _shape(data: Data) -> dict[str, Any]:
    if isinstance(data, pd.DataFrame):
        return {"Rows": f"{len(data):,}", "Columns": _listed([str(column) for column in data.columns])}
    return {f"Array {name}".strip(): f"shape {array.shape}, {array.dtype}" for name, array in data.items()}


def _listed(names: Sequence[str]) -> str | None:
    return listed(names, MOST_COLUMNS) or None
