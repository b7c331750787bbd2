"""Models that are trained in a way of their own: other losses, steps, precisions, copies."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from models.case import Case, Draw, Target, chain, labels, normal, numbers, sequential, uniform, yes_or_no

COLUMNS: Draw = normal(6)
FIT = "Keras guide: Customizing what happens in fit() with TensorFlow"


def network(units: int = 1, final: str | None = None, *, columns: int = 6, kind: type = keras.Model) -> keras.Model:
    """Two hidden layers, in a model of this class."""
    x = keras.Input((columns,))
    return kind(x, chain(x, layers.Dense(16, "tanh"), layers.Dense(16, "tanh"), layers.Dense(units, final)))


# --- losses ---------------------------------------------------------------------------------------------------------


def quantiles(y, forecast):
    """The pinball loss of three quantiles."""
    levels = ops.array([0.1, 0.5, 0.9])
    above = y - forecast
    return ops.mean(ops.maximum(levels * above, (levels - 1) * above), axis=-1)


def gaussian(y, moments):
    """The negative logarithm of the likelihood of mean and logarithm of the deviation."""
    mean, log_deviation = ops.split(moments, 2, axis=-1)
    return ops.mean(log_deviation + 0.5 * ops.square((y - mean) / ops.exp(log_deviation)), axis=-1)


def mixture() -> keras.Model:
    """Weights, means and deviations of three normal distributions."""
    x = keras.Input((6,))
    hidden = layers.Dense(16, "tanh")(x)
    parts = [layers.Dense(3, kind)(hidden) for kind in ("softmax", None, "softplus")]
    return keras.Model(x, layers.Concatenate()(parts))


def of_mixture(y, parts):
    """The negative logarithm of the likelihood of a mixture."""
    weights, means, deviations = ops.split(parts, 3, axis=-1)
    logs = ops.log(weights + 1e-6) - ops.log(deviations + 1e-3) - 0.5 * ops.square((y - means) / (deviations + 1e-3))
    return -ops.logsumexp(logs, axis=-1)


def cox(y, risk):
    """The partial likelihood of those who died, whose risk is compared with that of all who lived as long."""
    times, died = y[:, :1], y[:, 1:]
    as_long = ops.cast(ops.transpose(times) >= times, "float32")
    return -ops.mean(died * (risk - ops.log(ops.matmul(as_long, ops.exp(risk)))))


def survivals(rng: np.random.Generator, n: int) -> np.ndarray:
    """How long each lived, and whether the end was seen."""
    return np.column_stack([rng.exponential(size=n), rng.integers(0, 2, size=n)]).astype("float32")


def discrete_survival() -> keras.Model:
    """The chance to live through each of four intervals."""
    hazards = network(4, "sigmoid")
    return keras.Model(hazards.input, ops.cumprod(1 - hazards.output, axis=-1))


def actor_critic() -> keras.Model:
    """What to do, and how good the state is."""
    x = keras.Input((4,))
    common = layers.Dense(16, "relu")(x)
    return keras.Model(
        x, {"action": layers.Dense(2, "softmax", name="action")(common), "value": layers.Dense(1, name="value")(common)}
    )


# --- steps ----------------------------------------------------------------------------------------------------------


class OwnStep(keras.Model):
    """Takes the gradient itself."""

    def train_step(self, data):
        """The mean squared error of a batch."""
        x, y = data
        with tf.GradientTape() as tape:
            loss = ops.mean(ops.square(self(x, training=True) - y))
        variables = self.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        return {"loss": loss}


def own_step() -> keras.Model:
    """A network of that class."""
    return network(kind=OwnStep)


class HeatEquation(keras.Model):
    """u(t, x) whose derivatives obey the equation of heat; what is trained on are the values at the border."""

    def train_step(self, data):
        """The error at the border, and how far the derivatives are from the equation."""
        tx, u = data
        with tf.GradientTape() as tape:
            with tf.GradientTape(persistent=True) as second:
                second.watch(tx)
                with tf.GradientTape() as first:
                    first.watch(tx)
                    found = self(tx, training=True)
                slopes = first.gradient(found, tx)
            u_t, u_xx = slopes[:, 0], second.gradient(slopes, tx)[:, 1]
            loss = ops.mean(ops.square(found - u)) + 0.1 * ops.mean(ops.square(u_t - u_xx))
        variables = self.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        return {"loss": loss}


def heat_equation() -> keras.Model:
    """A network of that class."""
    return network(columns=2, kind=HeatEquation)


class Distiller(keras.Model):
    """A small network learns from a large one."""

    def __init__(self, student: keras.Model, teacher: keras.Model) -> None:
        super().__init__()
        self.student, self.teacher = student, teacher

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The error, and the distance to the teacher."""
        far = ops.mean(ops.square(y_pred - self.teacher(x, training=False)))
        return super().compute_loss(x, y, y_pred, sample_weight, training) + far

    def call(self, x):
        """The answer of the student."""
        return self.student(x)


def distilled() -> keras.Model:
    """Built by a call."""
    model = Distiller(sequential((6,), layers.Dense(1)), network())
    model(np.zeros((1, 6), "float32"))
    return model


class Adversarial(keras.Model):
    """Learns from rows and from the same rows moved to where the loss is larger."""

    def train_step(self, data):
        """The losses of both."""
        x, y = data
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = self.compute_loss(x, y, self(x, training=True))
        moved = x + 0.1 * ops.sign(tape.gradient(loss, x))
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True)) + self.compute_loss(
                moved, y, self(moved, training=True)
            )
        variables = self.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        return {"loss": loss}


def adversarial() -> keras.Model:
    """A network of that class."""
    return network(3, "softmax", kind=Adversarial)


class VariationalAutoencoder(keras.Model):
    """Encoder, a draw, decoder; its losses are its own."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = sequential((8,), layers.Dense(8, "relu"), layers.Dense(4))
        self.decoder = sequential((2,), layers.Dense(8, "relu"), layers.Dense(8))
        self.generator = keras.random.SeedGenerator(7)

    def call(self, x, training=False):
        """(batch_size, 8) -> (batch_size, 8); a draw while training, the mean otherwise."""
        mean, log_variance = ops.split(self.encoder(x), 2, axis=-1)
        self.add_loss(-0.5 * ops.mean(1 + log_variance - ops.square(mean) - ops.exp(log_variance)))
        if training:
            mean += ops.exp(log_variance / 2) * keras.random.normal(ops.shape(mean), seed=self.generator)
        return self.decoder(mean)


def variational() -> keras.Model:
    """Built by a call."""
    model = VariationalAutoencoder()
    model(np.zeros((1, 8), "float32"))
    return model


class Reversal(layers.Layer):
    """Hands on its input, and turns the gradient round."""

    def call(self, x):
        """The input."""

        @tf.custom_gradient
        def reversed_gradient(x):
            return tf.identity(x), lambda gradient: -gradient

        return reversed_gradient(x)


def domain_adversarial() -> keras.Model:
    """What tells the class, and does not tell where the row comes from."""
    x = keras.Input((6,))
    hidden = layers.Dense(16, "relu")(x)
    label = layers.Dense(3, "softmax", name="label")(hidden)
    domain = chain(Reversal()(hidden), layers.Dense(8, "relu"), layers.Dense(1, "sigmoid", name="domain"))
    return keras.Model(x, {"domain": domain, "label": label})


# --- layers and precisions ------------------------------------------------------------------------------------------


def mixed_precision() -> keras.Model:
    """Computes in float16 and keeps its weights in float32."""
    half = {"dtype": "mixed_float16"}
    hidden = [layers.Dense(16, "relu", **half), layers.Dense(16, "relu", **half)]
    return sequential((6,), *hidden, layers.Dense(3, **half), layers.Activation("softmax", dtype="float32"))


def double_precision() -> keras.Model:
    """Computes in float64."""
    return sequential(
        (6,), layers.Dense(16, "tanh", dtype="float64"), layers.Dense(1, dtype="float64"), dtype="float64"
    )


def low_rank() -> keras.Model:
    """Weights that stay, and a product of two narrow matrices that is trained beside them."""
    model = network()
    for layer in model.layers[1:3]:
        layer.enable_lora(2)
    return model


def fine_tuned() -> keras.Model:
    """A network that was trained elsewhere, frozen, and a new head."""
    base = sequential((6,), layers.Dense(16, "relu"), layers.BatchNormalization())
    base.trainable = False
    x = keras.Input((6,))
    return keras.Model(x, layers.Dense(1)(layers.Dropout(0.2)(base(x, training=False))))


class Linear(layers.Layer):
    """A layer of one's own, with weights that are made when it is called."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.units = units

    def build(self, input_shape):
        """Make the weights."""
        self.w = self.add_weight(shape=(input_shape[-1], self.units), initializer="random_normal")
        self.b = self.add_weight(shape=(self.units,), initializer="zeros")

    def call(self, x):
        """(batch_size, num_columns) -> (batch_size, units)."""
        return ops.matmul(x, self.w) + self.b


class Endpoint(layers.Layer):
    """Adds to the loss how large its input is."""

    def call(self, x):
        """The input."""
        self.add_loss(0.01 * ops.mean(ops.square(x)))
        return x


def own_layers() -> keras.Model:
    """Layers of one's own, one of which adds a loss."""
    return sequential((6,), Linear(16), Endpoint(), layers.ReLU(), Linear(1))


class HyperNetwork(layers.Layer):
    """A network whose output are the weights of another."""

    def __init__(self) -> None:
        super().__init__()
        self.writer = layers.Dense(6 * 4 + 4)

    def call(self, x):
        """(batch_size, 6) -> (batch_size, 4)."""
        written = self.writer(x)
        weights, bias = ops.reshape(written[:, :24], (-1, 6, 4)), written[:, 24:]
        return ops.einsum("bi,bij->bj", x, weights) + bias


def hyper_network() -> keras.Model:
    """One such layer."""
    return sequential((6,), HyperNetwork(), layers.Dense(1))


def radiance() -> keras.Model:
    """Sines and cosines of a place, then a network that returns colour and density there."""
    x = keras.Input((3,))
    waves = [wave(2.0**power * x) for power in range(3) for wave in (ops.sin, ops.cos)]
    hidden = layers.Concatenate()([x, *waves])
    for index in range(3):
        hidden = layers.Dense(16, "relu")(hidden)
        hidden = layers.Concatenate()([hidden, x]) if index == 1 else hidden
    return keras.Model(x, layers.Dense(4)(hidden))


def monte_carlo_dropout() -> keras.Model:
    """Dropout that is meant for uncertainty; a look takes the network without."""
    return sequential(
        (6,), layers.Dense(16, "relu"), layers.Dropout(0.5, seed=3), layers.GaussianNoise(0.1, seed=4), layers.Dense(1)
    )


CASES = [
    Case("Quantile regression", "Koenker and Bassett (1978)", lambda: network(3), COLUMNS, numbers(loss=quantiles)),
    Case(
        "Mean and deviation",
        "keras-io: Probabilistic Bayesian Neural Networks",
        lambda: network(2),
        COLUMNS,
        numbers(loss=gaussian),
    ),
    Case("Mixture density", "Bishop (1994)", mixture, COLUMNS, numbers(loss=of_mixture)),
    Case("Cox regression", "Katzman et al. (2018): DeepSurv", network, COLUMNS, Target(survivals, cox)),
    Case("Discrete survival", "Gensheimer and Narasimhan (2019)", discrete_survival, COLUMNS, yes_or_no(4)),
    Case(
        "Actor and critic",
        "keras-io: Actor Critic Method",
        actor_critic,
        normal(4),
        {"action": labels(2), "value": numbers(loss="huber")},
    ),
    Case("Own training step", FIT, own_step, COLUMNS, numbers()),
    Case("Physics-informed", "Raissi et al. (2019)", heat_equation, uniform(2), numbers()),
    Case("Distillation", "keras-io: Knowledge Distillation", distilled, COLUMNS, numbers()),
    Case(
        "Adversarial training", "TensorFlow tutorial: Adversarial example using FGSM", adversarial, COLUMNS, labels(3)
    ),
    Case("Variational autoencoder", "keras-io: Variational AutoEncoder", variational, normal(8), numbers(8)),
    Case(
        "Domain-adversarial",
        "Ganin et al. (2016)",
        domain_adversarial,
        COLUMNS,
        {"domain": yes_or_no(), "label": labels(3)},
    ),
    Case("Mixed precision", "Keras guide: Mixed precision", mixed_precision, COLUMNS, labels(3), tolerance=0.1),
    Case("Double precision", "Keras documentation: Dtype policies", double_precision, COLUMNS, numbers()),
    Case("LoRA", "keras-io: Parameter-efficient fine-tuning of GPT-2 with LoRA", low_rank, COLUMNS, numbers()),
    Case("Fine tuning", "Keras guide: Transfer learning and fine-tuning", fine_tuned, COLUMNS, numbers()),
    Case("Own layers", "Keras guide: Making new layers and models via subclassing", own_layers, COLUMNS, numbers()),
    Case("Hypernetwork", "Ha et al. (2017)", hyper_network, COLUMNS, numbers()),
    Case("NeRF", "keras-io: 3D volumetric rendering with NeRF", radiance, uniform(3), numbers(4)),
    Case("Monte Carlo dropout", "Gal and Ghahramani (2016)", monte_carlo_dropout, COLUMNS, numbers()),
]
