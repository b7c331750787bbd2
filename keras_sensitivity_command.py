"""Starts the command `keras-sensitivity`: sets what has to be set before TensorFlow is imported.

That is why it stands outside of the package, which imports TensorFlow.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

__all__ = ["main"]


def main() -> int:
    """Run the command with the arguments that Python was started with; returns the exit code."""
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _only_of_failures():
        from keras_sensitivity import command
    return command.main()


@contextlib.contextmanager
def _only_of_failures() -> Iterator[None]:
    """Keep back what is written on standard error, by libraries that write past Python, too, unless something fails."""
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            kept.seek(0)
            os.write(terminal, kept.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)


if __name__ == "__main__":
    sys.exit(main())
