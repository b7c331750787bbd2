"""`remove_probes`: a model without its noise probes, with the weights of the others.

First it is found out what becomes of each layer, and refused what cannot be; then the model is built, then the state of
each layer brought along, then the model compiled.
"""

from __future__ import annotations

import keras

from keras_sensitivity import errors
from keras_sensitivity.removal.builder import Builder
from keras_sensitivity.removal.compiling import compile_alike
from keras_sensitivity.removal.plan import Plan
from keras_sensitivity.removal.state import move_state

__all__ = ["remove_probes"]


def remove_probes(model: keras.Model) -> keras.Model:
    """The same model without its `NoiseProbes`, to be kept or delivered after training.

    The layers that read the noise lose the weights for it; what the noise adds on average moves into their bias. So
    the new model predicts, but for rounding, what the old one would if every probe stood at its mean. What the old one
    does predict differs from that by the influence of the noise, of which `SensitivityCallback.noise_level` tells. On
    average over the noise the two are equal where the model is linear in it, and not where it is not.

    The mean of the noise is 0, so a bias only moves where a `keras.layers.BatchNormalization` stands between.

    All else comes along: adapted statistics and vocabularies, states, seeds, what is frozen.

    Args:
        model: A functional or Sequential model, maybe with others in it. It is not changed.

    Returns:
        A new `keras.Model` or `keras.Sequential` with weights of its own. If the model was compiled, so is the new one,
        with the same losses, metrics of its own and a fresh optimizer; where that cannot be, a warning says so.

    Raises:
        ValueError: If the model is subclassed, so that its layers cannot be taken apart; if noise goes into a layer
            that can not be freed of it, such as a LayerNormalization, which averages over the columns, or one that is
            called at another place without the noise; if a layer cannot be made anew from its configuration; or if
            the model is not built.
        TypeError: If it is no Keras model.

    Example:

    >>> import keras
    >>> import keras_sensitivity as ks
    >>> model = keras.Sequential([keras.Input((3,)), ks.NoiseProbes(), keras.layers.Dense(4), keras.layers.Dense(1)])
    >>> ks.remove_probes(model).input_shape, len(ks.remove_probes(model).layers)
    ((None, 3), 2)
    >>> model.count_params() - ks.remove_probes(model).count_params()  # 8 probes x 4 units
    32
    """
    errors.check_model(model)
    plan = Plan()
    if any(columns is not None for columns in plan.model(model)):
        errors.refuse_probes_in_output()
    try:
        rebuilt = Builder(plan)(model)
    except Exception as error:  # noqa: BLE001  (whatever the user's layers raise)
        errors.refuse_rebuilt(error)
    for old in plan.models:  # the outer before the inner, for what is set there is set in all within
        if plan.new[id(old)].trainable != old.trainable:
            plan.new[id(old)].trainable = old.trainable
    for old in plan.leaves:
        move_state(old, plan.new[id(old)], plan.read[id(old)][0])
    if model.compiled:
        compile_alike(model, rebuilt)
    return rebuilt
