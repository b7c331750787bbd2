"""Records of a run, as they were written, -> its looks: for `load_trajectory`, and for the tab in TensorBoard."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from keras_sensitivity import errors
from keras_sensitivity.records.record import HEADER, LOOK, Header, Record

__all__ = ["Look", "Written", "files_in", "has_looks_before", "is_ours", "looks", "written_in"]


class Written(NamedTuple):
    """A tensor of strings in an event file.

    Attributes:
        wall_time: When it was written, seconds since 1970.
        step: Of the event: the epoch.
        tag: Of the tensor.
        strings: What it holds: of a header or a look, bytes.
    """

    wall_time: float
    step: int
    tag: str
    strings: Sequence[Any]


class Look(NamedTuple):
    """A look that was read back.

    Attributes:
        epoch: When it was.
        wall_time: When it was written, seconds since 1970.
        header: What is the same at all looks.
        record: What was found.
    """

    epoch: int
    wall_time: float
    header: Header
    record: Record


def written_in(folder: str) -> Iterator[Written]:
    """The tensors in the event files of a run, as far as these are whole, the oldest file first."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
    from tensorboard.util.tensor_util import make_ndarray

    for path in files_in(folder):
        for event in EventFileLoader(path).Load():
            for value in event.summary.value:
                if value.HasField("tensor"):
                    yield Written(event.wall_time, event.step, value.tag, make_ndarray(value.tensor))


def files_in(folder: str) -> list[str]:
    """The event files of a run, the oldest first."""
    return sorted(tf.io.gfile.glob(tf.io.gfile.join(folder, "events.out.tfevents.*")), key=_by_number)


def _by_number(path: str) -> list[int]:
    """The numbers in a file's name: the second in which it was begun, the process, and which of its files it is."""
    return [int(digits) for digits in re.findall(r"\d+", os.path.basename(path))]


def has_looks_before(epoch: int, folder: str) -> bool:
    """Whether a run has looks before an epoch."""
    return epoch > 0 and any(is_ours(each.tag) and each.step < epoch for each in written_in(folder))


def is_ours(tag: str) -> bool:
    """Whether a tag is of a header or of a look."""
    return tag in (HEADER, LOOK) or tag.startswith(f"{LOOK}/")


def looks(written: Iterable[Written], source: Any) -> list[Look]:
    """The looks of a run by epoch; those that a later fit took again are as it took them, or gone.

    Args:
        written: In any order; of each event also the header, where it has one.
        source: Where they come from, for an error.

    Raises:
        ValueError: If a newer version wrote them, or they are torn.
    """
    found: list[Look] = []
    ordered = sorted(written, key=lambda each: (each.wall_time, each.step, each.tag != HEADER))
    headers = [each for each in ordered if each.tag == HEADER]
    # Of a loop of many fits, each of which has one, TensorBoard keeps some, and maybe not the first.
    header = Header.decoded(headers[0].strings, source) if headers else None
    for each in ordered:
        if each.tag == HEADER:
            header = Header.decoded(each.strings, source)
        elif header is not None and is_ours(each.tag):
            while found and found[-1].epoch >= each.step:
                found.pop()
            found.append(Look(each.step, each.wall_time, header, _record(each.strings, header, source)))
    return found


def _record(strings: Sequence[bytes], header: Header, source: Any) -> Record:
    """The record, which has what the header says."""
    try:
        record = Record.decoded(strings, header)
        if record.arrays["importance"].shape != (len(header.features),):
            raise ValueError("it has other numbers than names")
    except Exception as error:  # noqa: BLE001  (there is no end to what a file may hold)
        errors.refuse_record(source, error)
    return record
