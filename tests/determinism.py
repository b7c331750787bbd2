"""Trains each network twice, with and without the callback, and compares every bit; a script, see test_laws.py.

Op determinism cannot be switched off again, so this runs in a process of its own.
"""

import keras
import numpy as np
import sequences
import tensorflow as tf
import zoo

import keras_sensitivity as ks


class Noisy(keras.layers.Layer):
    """Draws noise at every call, in training or not: a look that ran its generator forward would change training."""

    def __init__(self):
        super().__init__()
        self.generator = keras.random.SeedGenerator(9)

    def call(self, x):
        return x + 0.1 * keras.random.normal(keras.ops.shape(x), seed=self.generator)


def noisy():
    layers = [ks.NoiseProbes(), Noisy(), keras.layers.Dense(4, "relu"), keras.layers.Dense(1)]
    return keras.Sequential([keras.Input((5,)), *layers])


def recurrent():
    return keras.Sequential(
        [
            keras.Input((4, 3)),
            keras.layers.LSTM(4, dropout=0.2, recurrent_dropout=0.2, return_sequences=True),
            keras.layers.GRU(3, dropout=0.1),
            keras.layers.Dense(1),
        ]
    )


def stateful():
    layers = keras.layers
    return keras.Sequential([keras.Input(batch_shape=(32, 4, 3)), layers.LSTM(4, stateful=True), layers.Dense(1)])


def mixed():
    """Words and numbers, with dropout."""
    layers = keras.layers
    word, table = keras.Input((1,), dtype="string", name="word"), keras.Input((2,), name="table")
    looked_up = layers.Embedding(4, 3)(layers.StringLookup(vocabulary=["a", "b"])(word))
    joined = layers.Concatenate()([layers.Dropout(0.3)(layers.Flatten()(looked_up)), table])
    return keras.Model({"word": word, "table": table}, layers.Dense(1)(joined))


def compiled(build):
    keras.utils.clear_session()  # the same names for the variables of each model
    keras.utils.set_random_seed(1)
    model = build()
    model.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"])
    return model


def train(build, callbacks, x, y):
    model = compiled(build)
    held_out = (x[:64], y[:64])
    log = model.fit(x, y, epochs=3, batch_size=32, validation_data=held_out, callbacks=callbacks, verbose=0)
    variables = {v.path: v.numpy() for v in [*model.variables, *model.optimizer.variables]}
    return variables, log.history["val_loss"], model.predict(x, batch_size=32, verbose=0)


def train_on_a_shuffled_stream(num_samples):
    """The stream that is trained on is also the one that is looked at; 0: no look."""
    model = compiled(mixed)
    rng = np.random.default_rng(0)
    x = {"word": rng.choice(["a", "b", "c"], (96, 1)), "table": rng.normal(size=(96, 2)).astype("float32")}
    stream = tf.data.Dataset.from_tensor_slices((x, x["table"][:, :1])).shuffle(96, seed=4).batch(16)
    callbacks = [ks.SensitivityCallback(stream, num_samples=num_samples)] if num_samples != 0 else []
    model.fit(stream, epochs=3, callbacks=callbacks, shuffle=False, verbose=0)
    return [v.numpy() for v in [*model.variables, *model.optimizer.variables]]


def main():
    tf.config.experimental.enable_op_determinism()
    table, sequence = zoo.rows(288), sequences.rows(288)[0]
    for build, x in [(zoo.with_state, table), (noisy, table), (recurrent, sequence), (stateful, sequence)]:
        y = np.sin(x.reshape(len(x), -1)[:, :1]) + x.reshape(len(x), -1)[:, 1:2]
        (plain, loss, answers), (again, *_), (watched, watched_loss, watched_answers) = (
            train(build, callbacks, x, y) for callbacks in ([], [], [ks.SensitivityCallback(x)])
        )
        assert plain.keys() == watched.keys()
        assert len(plain) > 5
        for path, value in plain.items():
            assert np.array_equal(value, again[path]), f"not deterministic: {path}"
            assert np.array_equal(value, watched[path]), f"changed by looking: {path}"
        assert loss == watched_loss
        assert np.array_equal(answers, watched_answers)
    plain = train_on_a_shuffled_stream(0)
    for num_samples in (20, None):
        watched = train_on_a_shuffled_stream(num_samples)
        assert all(map(np.array_equal, plain, watched)), f"a stream was changed by looking: {num_samples}"
    print("identical")


if __name__ == "__main__":
    main()
