"""A plain function of a table as a `Network`: no Keras, no tape, derivatives by central differences."""

import numpy as np

from keras_sensitivity.look import Look
from keras_sensitivity.moments import Count, CrossMoments, Moments
from keras_sensitivity.networks.inputs import Inputs, Leaf
from keras_sensitivity.networks.network import Derivatives, Entries, Network, Part, Pass, Seen, SeenRows

STEP = 1e-4


class FunctionNetwork(Network):
    """A function from rows of shape (n, num_columns) to values of shape (n, num_units)."""

    fixed_batch_size = None

    def __init__(self, function, names=("0",)):
        self.function, self.names = function, names

    def inputs(self, x):
        return Inputs.of(Leaf(shape=(None, None)))

    def batch_types(self, inputs, rows):
        return ("float64",)

    def floats_per_row(self, row_shapes, *, keeps_rows):
        return 4 * sum(map(np.prod, row_shapes))

    def look_pass(self, batch, question):
        return LookOfRows(self, batch)

    def row_pass(self, batch, question):
        return Rows(self, batch)

    def input_pass(self, batch, question):
        return Values(self, batch)

    def swap_pass(self, batch, question):
        return Swapped(self, batch)


class FunctionPass(Pass):
    """What all passes know; the parts are the columns."""

    description = "central differences"

    def __init__(self, network, batch):
        self.network, self.units = network, network.names
        columns = batch[0].shape[1]
        self.parts = (Part((0,), (columns,), None, columns, keeps_entries=True, is_number=True),)

    def __call__(self, batch, weights):
        (x,) = batch
        moves = STEP * np.eye(x.shape[1])
        slopes = [self.network.function(x + move) - self.network.function(x - move) for move in moves]
        g = np.stack(slopes, axis=2) / (2 * STEP)  # (n, num_units, num_columns)
        return self.result(x, g, weights), np.ones(len(x), bool)


class LookOfRows(FunctionPass):
    def result(self, x, g, weights):
        count = np.full((1, 1), weights.sum())
        h = (g**2).sum(axis=1)
        empty = Moments.empty((len(self.units), 1, x.shape[1]))
        derivatives = empty.update(g[:, :, None], weights)
        outputs = self.network.function(x)
        look = Look(
            {
                "samples": Count(int((weights > 0).sum())),
                "flat": Count(int(((h == 0).all(axis=1) & (weights > 0)).sum())),
                "derivatives": Moments(count, derivatives.mean, derivatives.m2),
                "inputs": Moments.empty((1, x.shape[1])).update(x[:, None], weights),
                "outputs": Moments.empty((len(self.units),)).update(outputs, weights),
                "squares": CrossMoments.empty(x.shape[1]).update(h, weights),
            }
        )
        rows = SeenRows(Entries(x[:, None], weights[:, None, None]), g.swapaxes(0, 1)[:, :, None], None)
        return Seen(look, outputs, rows)


class Rows(FunctionPass):
    def result(self, x, g, weights):
        lags = np.zeros((len(x), 1), int)
        return Derivatives(self.network.function(x), (g,), (x,), (lags,), (lags == 0,))


class Values(FunctionPass):
    def result(self, x, g, weights):
        moments = Moments.empty((1, x.shape[1])).update(x[:, None], weights)
        return moments, Entries(x[:, None], weights[:, None, None])


class Swapped(FunctionPass):
    def __call__(self, batch, weights):
        own, other, is_other = batch
        return np.stack([self.network.function(np.where(each, other, own)) for each in is_other]), weights > 0
