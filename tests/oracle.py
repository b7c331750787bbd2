"""Brute force in float64, written without the library: what every number must equal."""

import numpy as np
import tensorflow as tf


def jacobian(model, x):
    """All derivatives of a float64 model, shape (num_samples, num_units, num_features)."""

    @tf.function
    def brute(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = model(x, training=False)
            y = y[:, None] if len(y.shape) == 1 else y
        return tape.batch_jacobian(y, x, experimental_use_pfor=False)

    return brute(tf.constant(np.asarray(x, dtype="float64"))).numpy()


def importances(g, scale=1.0):
    """lambda of section 2.3 for derivatives of shape (num_samples, num_units, num_features), percent."""
    rms = np.sqrt((g**2).mean(axis=0).sum(axis=0)) * scale
    return 100 * rms / rms.sum()
