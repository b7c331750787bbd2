"""Files that are written whole or not at all: whoever reads one meanwhile, or after a crash, finds the one before."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from typing import IO, Any

__all__ = ["whole_file", "write_text"]


@contextlib.contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A file to write into, which takes the place of the one at ``path`` when the block has ended without an error.

    Raises:
        OSError: If it cannot be written; what stood there stands there still.
    """
    target = os.path.realpath(path)  # a link stays one
    part = f"{target}.{uuid.uuid4().hex[:8]}.part"
    try:
        with open(part, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.remove(part)
        raise


def write_text(path: str | os.PathLike[str], text: Any) -> None:
    """Write a text."""
    with whole_file(path) as file:
        file.write(str(text).encode())
