"""Archives: arrays and their description in one file.

A file is a ZIP archive of NumPy's ``.npy`` files, as `numpy.savez` writes it, which `numpy.load` and any ZIP program
open. ``description.npy`` is a text: JSON that says what kind of result it is, its format number, the names and the
definition. The others are arrays of numbers. Nothing in it is a pickle, so that nothing is run when a file is read; and
nothing is packed, so that what is read takes as much memory as the file has bytes.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import zipfile
from collections.abc import Iterator, Mapping
from typing import IO, Any

import numpy as np

from keras_sensitivity import errors
from keras_sensitivity.files import whole_file

__all__ = ["described_in", "read_archive", "refusing", "write_archive"]

Array = np.ndarray[Any, Any]

DESCRIPTION = "description"

# The kinds of arrays: truth values, numbers, and text.
KINDS = "biufU"

# Bytes that packed files, as of other programs, may become at the most, if they are smaller than that.
MOST_UNPACKED = 2**26


def write_archive(path: str | os.PathLike[str], described: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
    """Write arrays by name, and what JSON can say of them; what stood at the path stands there until all is written."""
    every = {DESCRIPTION: np.array(json.dumps(described)), **arrays}
    with whole_file(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, array in every.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)


def read_archive(path: str | os.PathLike[str], kind: str) -> tuple[dict[str, Any], dict[str, Array]]:
    """What was described, and the arrays; refuses a file that is no archive of the kind of result with this name."""
    with _opened(path, kind) as file, refusing(path, kind):
        with zipfile.ZipFile(file) as archive:
            _check_size(archive, file)
            arrays = {_name(info): _array(archive, info) for info in archive.infolist()}
        return dict(json.loads(str(arrays.pop(DESCRIPTION)))), arrays


def _opened(path: str | os.PathLike[str], kind: str) -> IO[bytes]:
    """The file; a number would be one that is open already."""
    try:
        return open(os.fspath(path), "rb")
    except (OSError, TypeError, ValueError) as error:
        errors.refuse_file(path, error, kind)


def described_in(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What was described; nothing of a file that is no archive of a result."""
    with contextlib.suppress(Exception), open(path, "rb") as file, zipfile.ZipFile(file) as archive:
        _check_size(archive, file)
        return dict(json.loads(str(_array(archive, archive.getinfo(f"{DESCRIPTION}.npy")))))
    return {}


@contextlib.contextmanager
def refusing(path: str | os.PathLike[str], kind: str) -> Iterator[None]:
    """Within the block, whatever is raised by what stands in a file says that it is none of this kind."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  (there is no end to what a file may hold)
        errors.refuse_archive(path, error, kind)


def _check_size(archive: zipfile.ZipFile, file: IO[bytes]) -> None:
    """Refuse a file that would become larger than it is, but for small ones."""
    size = sum(info.file_size for info in archive.infolist())
    most = max(MOST_UNPACKED, os.fstat(file.fileno()).st_size)
    if size > most:
        raise ValueError(f"it would take {size:,} bytes of memory, and {most:,} are the most")


def _name(info: zipfile.ZipInfo) -> str:
    if not info.filename.endswith(".npy"):
        raise ValueError(f"there is {info.filename!r} in it")
    return info.filename.removesuffix(".npy")


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Array:
    """An array, of as many numbers as the file has bytes for; what reads NumPy's files asks for memory before."""
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError("it is packed in an unusual way")
    with archive.open(info) as member:
        version = np.lib.format.read_magic(member)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, is_fortran, dtype = read(member)
        size = math.prod(shape) * dtype.itemsize
        if dtype.kind not in KINDS or min(shape, default=0) < 0 or size != info.file_size - member.tell():
            raise ValueError(f"{info.filename!r} is no array of numbers")
        data = member.read(size + 1)  # to the end, so that the checksum is compared
    return np.frombuffer(data, dtype).reshape(shape, order="F" if is_fortran else "C")
