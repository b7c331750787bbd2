"""Whether rows can be pickled, found out before anything is."""

from __future__ import annotations

import pickle
from typing import Any

from keras_sensitivity import errors

__all__ = ["check_picklable"]


class _Nowhere:
    """A file that forgets what is written to it."""

    def write(self, data: Any) -> int:
        return len(data)


def check_picklable(x: Any) -> None:
    """Refuse x of a callback that cannot be pickled, such as a data set; arrays are not copied for it."""
    try:
        # Whatever is large is handed over as a buffer, and not written.
        pickle.Pickler(_Nowhere(), protocol=5, buffer_callback=lambda buffer: None).dump(x)
    except Exception as error:  # noqa: BLE001  (what is in x may raise anything)
        errors.refuse_pickled(type(x).__name__, error)
