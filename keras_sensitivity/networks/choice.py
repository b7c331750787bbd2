"""Which kind of `Network` answers for what the user passes."""

from __future__ import annotations

from typing import Any

from keras_sensitivity.networks.keras_tf.network import KerasNetwork
from keras_sensitivity.networks.network import Network

__all__ = ["network_of"]


def network_of(model: Any) -> Network:
    """The network that answers for a model; a network answers for itself."""
    return model if isinstance(model, Network) else KerasNetwork(model)
