"""Which input features a Keras network relies on, epoch by epoch.

The words, in the order in which one needs the next:

A *sensitivity* is the derivative of one output *unit* (a class probability, a regression value) with respect to one
input entry, at one sample. A *feature* is an input column, or a declared group of columns; it has a name. It has a
size, by how far the output moves when the feature takes the values that it has in the rows: along its *path*, the
sensitivity is followed from value to value; where there are few values, and for codes, it is *swapped* with other rows,
a real change. Its *importance* is its share of all sizes, in percent. A *trajectory* is the importances over epochs. A
*dead feature* is one whose importance stays at the level of noise. A *definition* says what exactly is measured: which
outputs, by which change, on which scale.

While training, `SensitivityCallback` measures; for a trained model there is `measure`. Both give an `Importance`.
Which features drove single predictions, `explain` says: an `Explanation`. Several looks, of other seeds, segments or
definitions, `compare` sets side by side: a `Comparison`. Which features act together, so that the effect of one depends
on the other, `interactions` finds: `Interactions`. What noise looks like in a network, inputs that mean nothing
show, its *probes*: `NoiseProbes`, which `remove_probes` takes out again. `select` trains on fewer and fewer features,
as long as the validation loss bears it: a `Selection`.

The measure is that of Horel, Mison, Xiong, Giesecke, Mangu (2018), *Sensitivity based Neural Networks Explanations*,
arXiv 1812.01029.

Example:

>>> import keras, numpy as np
>>> import keras_sensitivity as ks
>>> x = np.random.default_rng(0).normal(size=(512, 3))
>>> y = 3 * x[:, 0] + x[:, 1]
>>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
>>> model.compile(keras.optimizers.Adam(0.1), "mse")
>>> watch = ks.SensitivityCallback(x, feature_names=["a", "b", "c"])
>>> _ = model.fit(x, y, epochs=10, callbacks=[watch], verbose=0)
>>> watch.importance.top(coverage=90)
['a', 'b']
>>> watch.dead_features
['c']
"""

from keras_sensitivity import errors

errors.check_tensorflow()

from keras_sensitivity.callback import SensitivityCallback
from keras_sensitivity.comparison import Comparison, compare
from keras_sensitivity.dead_features import DeadFeatureMonitor
from keras_sensitivity.definition import PAPER, Definition
from keras_sensitivity.explanation import Explanation
from keras_sensitivity.importance import Importance
from keras_sensitivity.interacting import interactions
from keras_sensitivity.interaction import Interactions
from keras_sensitivity.probes import NoiseProbes
from keras_sensitivity.records.trajectories import load_trajectory
from keras_sensitivity.removal.removal import remove_probes
from keras_sensitivity.selecting import select
from keras_sensitivity.selection import Selection
from keras_sensitivity.verbs import ExplainMixin, explain, measure

__all__ = [
    "PAPER",
    "Comparison",
    "DeadFeatureMonitor",
    "Definition",
    "ExplainMixin",
    "Explanation",
    "Importance",
    "Interactions",
    "NoiseProbes",
    "Selection",
    "SensitivityCallback",
    "compare",
    "explain",
    "interactions",
    "load_trajectory",
    "measure",
    "remove_probes",
    "select",
]

__version__ = "0.2.0"
