"""Brute force in float64, written without the library: what every number must equal."""

import numpy as np
import tensorflow as tf


def differentiated(model):
    """A function from rows to all derivatives of a float64 model, (num_samples, num_units, num_features)."""

    @tf.function
    def brute(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = model(x, training=False)
            y = y[:, None] if len(y.shape) == 1 else y
        return tape.batch_jacobian(y, x, experimental_use_pfor=False)

    return lambda x: brute(tf.constant(np.asarray(x, dtype="float64"))).numpy()


def jacobian(model, x):
    """All derivatives at some rows, shape (num_samples, num_units, num_features)."""
    return differentiated(model)(x)


def importances(g, scale=1.0):
    """lambda of section 2.3 for derivatives of shape (num_samples, num_units, num_features), percent."""
    rms = np.sqrt((g**2).mean(axis=0).sum(axis=0)) * scale
    return 100 * rms / rms.sum()


def differences(model, x, step=1e-4):
    """Derivatives of a float64 model of sequences by central differences: no gradient tape is involved.

    Returns shape (num_samples, *output_shape, num_steps, num_features).
    """
    x = np.asarray(x, dtype="float64")
    moves = step * np.eye(x[0].size).reshape(-1, *x.shape[1:])
    moved = np.concatenate([x[:, None] + moves, x[:, None] - moves], axis=1)
    y = np.asarray(model(moved.reshape(-1, *x.shape[1:]), training=False))
    y = y.reshape(*moved.shape[:2], *y.shape[1:])
    ahead, back = np.split(y, 2, axis=1)
    slopes = np.moveaxis((ahead - back) / (2 * step), 1, -1)
    return slopes.reshape(*slopes.shape[:-1], *x.shape[1:])


def sequence_importances(g, x, mask=None, *, same_step=False, scaled=True):
    """lambda with all lags, lambda of the newest, gamma, rms by lag (section 2.3 and 2.5), with plain loops.

    Args:
        g: Shape (num_samples, num_units, num_steps, num_features), or for ``same_step`` and gamma of a many-to-many
            model (num_samples, num_steps, num_units, num_steps, num_features).
        x: Shape (num_samples, num_steps, num_features).
        mask: Shape (num_samples, num_steps); None: all valid.
    """
    n, tau, p = x.shape
    mask = np.ones((n, tau), bool) if mask is None else mask
    scale = np.array([x[..., j][mask].astype("float64").std() for j in range(p)]) if scaled else np.ones(p)
    last = [max(np.flatnonzero(row)) for row in mask]
    many = g.ndim == 5
    units = g.shape[2] if many else g.shape[1]
    squares = {"newest": np.full((units, tau, p), np.nan), "same": np.full((units, tau, p), np.nan)}
    for k in range(tau):
        rows = [i for i in range(n) if last[i] - k >= 0 and mask[i, last[i] - k]]
        if not rows:
            continue
        newest = [g[i, last[i], :, last[i] - k] if many else g[i, :, last[i] - k] for i in rows]
        squares["newest"][:, k] = np.mean(np.square(newest), axis=0)
        if same_step:
            squares["same"][:, k] = np.mean([g[i, last[i] - k, :, last[i] - k] ** 2 for i in rows], axis=0)
    rms = {name: np.sqrt(np.sum(square, axis=0)) * scale for name, square in squares.items()}
    every = np.nanmean(rms["same" if same_step else "newest"], axis=0)
    gamma = np.nan_to_num(rms["newest"]).sum(axis=1)
    return (
        100 * every / every.sum(),
        100 * rms["newest"][0] / rms["newest"][0].sum(),
        100 * gamma / gamma.sum(),
        np.nan_to_num(rms["newest"]),
    )
