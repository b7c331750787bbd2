"""Models of images, and of whatever else has entries in two or three dimensions."""

import functools

import keras
from keras import layers, ops

from models.case import Case, Draw, chain, labels, listed, numbers, sequential, uniform, yes_or_no

PICTURE: Draw = uniform(8, 8, 1)
COLOURS: Draw = uniform(8, 8, 3)
SMALL: Draw = uniform(32, 32, 3)
MODERN, TUTORIAL = "keras-io: Image classification with modern MLP models", "TensorFlow tutorial:"


# --- convolution ----------------------------------------------------------------------------------------------------


def quickstart() -> keras.Model:
    """Pictures without an axis of channels, flattened."""
    hidden = [layers.Flatten(), layers.Dense(16, "relu"), layers.Dropout(0.2)]
    return sequential((8, 8), *hidden, layers.Dense(3, "softmax"))


def convolutional() -> keras.Model:
    """Two convolutions with pooling."""
    hidden = [
        layer
        for width in (4, 8)
        for layer in (layers.Conv2D(width, 3, padding="same", activation="relu"), layers.MaxPooling2D(2))
    ]
    return sequential((8, 8, 1), *hidden, layers.Flatten(), layers.Dropout(0.5), layers.Dense(3, "softmax"))


def augmented() -> keras.Model:
    """Pictures are turned and moved at random while training."""
    change = [
        layers.RandomFlip("horizontal", seed=1),
        layers.RandomRotation(0.1, seed=2),
        layers.RandomZoom(0.1, seed=3),
    ]
    hidden = [layers.Rescaling(2.0), layers.Conv2D(4, 3, activation="relu"), layers.MaxPooling2D(), layers.Dropout(0.2)]
    return sequential((8, 8, 3), *change, *hidden, layers.Flatten(), layers.Dense(3))


def residual() -> keras.Model:
    """Blocks of convolutions with a way round them."""
    x = keras.Input((8, 8, 3))
    hidden = layers.Conv2D(4, 3, padding="same")(x)
    for strides in (1, 2):
        block = chain(
            hidden,
            layers.Conv2D(4, 3, strides=strides, padding="same"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2D(4, 3, padding="same"),
            layers.BatchNormalization(),
        )
        straight = layers.Conv2D(4, 1, strides=strides)(hidden) if strides > 1 else hidden
        hidden = layers.ReLU()(layers.Add()([straight, block]))
    return keras.Model(x, chain(hidden, layers.GlobalAveragePooling2D(), layers.Dense(3, "softmax")))


def separable() -> keras.Model:
    """Convolutions of each channel by itself and then of the channels, as in a small Xception."""
    x = keras.Input((8, 8, 3))
    hidden = chain(
        x, layers.Rescaling(2.0), layers.Conv2D(4, 3, padding="same"), layers.BatchNormalization(), layers.ReLU()
    )
    block = chain(
        hidden,
        layers.SeparableConv2D(8, 3, padding="same"),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.MaxPooling2D(3, strides=2, padding="same"),
    )
    hidden = layers.Add()([block, layers.Conv2D(8, 1, strides=2, padding="same")(hidden)])
    return keras.Model(
        x, chain(hidden, layers.GlobalAveragePooling2D(), layers.Dropout(0.25), layers.Dense(1, "sigmoid"))
    )


def dilated() -> keras.Model:
    """Convolutions of several reaches beside each other; a class for each pixel."""
    x = keras.Input((6, 6, 3))
    reaches = [layers.Conv2D(3, 3, dilation_rate=rate, padding="same", activation="relu")(x) for rate in (1, 2, 3)]
    pooled = layers.UpSampling2D(6, interpolation="bilinear")(layers.AveragePooling2D(6)(x))
    return keras.Model(x, layers.Conv2D(2, 1, activation="softmax")(layers.Concatenate()([*reaches, pooled])))


def u_net() -> keras.Model:
    """Down to a quarter and up again, with ways across; a class for each pixel."""
    x = keras.Input((4, 4, 3))
    first = layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    deep = chain(
        layers.MaxPooling2D()(first), layers.Conv2D(6, 3, padding="same"), layers.BatchNormalization(), layers.ReLU()
    )
    up = layers.Conv2DTranspose(4, 3, strides=2, padding="same", activation="relu")(deep)
    return keras.Model(x, layers.Conv2D(2, 3, padding="same", activation="softmax")(layers.Concatenate()([first, up])))


def denoising() -> keras.Model:
    """Squeezes a picture and draws it again."""
    return sequential(
        (6, 6, 1),
        layers.Conv2D(4, 3, activation="relu", padding="same"),
        layers.MaxPooling2D(2, padding="same"),
        layers.Conv2DTranspose(4, 3, strides=2, activation="relu", padding="same"),
        layers.Conv2D(1, 3, activation="sigmoid", padding="same"),
    )


def super_resolution() -> keras.Model:
    """Four channels become the four pixels of each pixel."""
    x = keras.Input((4, 4, 1))
    hidden = chain(x, layers.Conv2D(6, 5, padding="same", activation="relu"), layers.Conv2D(4, 3, padding="same"))
    rows = ops.reshape(hidden, (-1, 4, 4, 2, 2))
    return keras.Model(x, ops.reshape(ops.transpose(rows, (0, 1, 3, 2, 4)), (-1, 8, 8, 1)))


def volume() -> keras.Model:
    """Convolutions in three dimensions, over the slices of a scan."""
    return sequential(
        (6, 6, 6, 1),
        layers.Conv3D(4, 3, activation="relu"),
        layers.MaxPooling3D(2),
        layers.BatchNormalization(),
        layers.GlobalAveragePooling3D(),
        layers.Dense(8, "relu"),
        layers.Dropout(0.3),
        layers.Dense(1, "sigmoid"),
    )


# --- patches --------------------------------------------------------------------------------------------------------


def patches(x, width: int = 8):
    """Vectors of patches of 4 by 4 pixels, and of their places."""
    vectors = layers.Reshape((4, width))(layers.Conv2D(width, 4, strides=4)(x))
    return vectors + layers.Embedding(4, width)(ops.arange(4))


def vision_transformer() -> keras.Model:
    """A transformer over patches."""
    x = keras.Input((8, 8, 3))
    hidden = patches(x)
    for _ in range(2):
        normal = layers.LayerNormalization(epsilon=1e-6)(hidden)
        hidden = layers.Add()([hidden, layers.MultiHeadAttention(2, 8, dropout=0.1)(normal, normal)])
        fed = chain(
            hidden,
            layers.LayerNormalization(epsilon=1e-6),
            layers.Dense(16, "gelu"),
            layers.Dropout(0.1),
            layers.Dense(8),
        )
        hidden = layers.Add()([hidden, fed])
    hidden = chain(hidden, layers.LayerNormalization(epsilon=1e-6), layers.Flatten(), layers.Dropout(0.5))
    return keras.Model(x, layers.Dense(3)(layers.Dense(16, "gelu")(hidden)))


def mlp_mixer() -> keras.Model:
    """Networks over the patches and over the channels, in turn."""
    x = keras.Input((8, 8, 3))
    hidden = patches(x)
    for _ in range(2):
        mixed = layers.Permute((2, 1))(layers.LayerNormalization(epsilon=1e-6)(hidden))
        hidden += layers.Permute((2, 1))(chain(mixed, layers.Dense(8, "gelu"), layers.Dense(4)))
        hidden += chain(hidden, layers.LayerNormalization(epsilon=1e-6), layers.Dense(16, "gelu"), layers.Dense(8))
    return keras.Model(x, layers.Dense(3)(layers.Dropout(0.2)(layers.GlobalAveragePooling1D()(hidden))))


def gated_mlp() -> keras.Model:
    """A half of the channels, mixed over the patches, opens the gate of the other half."""
    x = keras.Input((8, 8, 3))
    hidden = patches(x)
    one, two = ops.split(layers.Dense(16, "gelu")(layers.LayerNormalization()(hidden)), 2, axis=-1)
    mixed = layers.Permute((2, 1))(layers.LayerNormalization()(two))
    gate = layers.Permute((2, 1))(layers.Dense(4, bias_initializer="ones")(mixed))
    hidden = layers.Add()([hidden, layers.Dense(8)(one * gate)])
    return keras.Model(x, layers.Dense(3)(layers.GlobalAveragePooling1D()(hidden)))


def conv_mixer() -> keras.Model:
    """Depthwise and pointwise convolutions over patches."""
    x = keras.Input((8, 8, 3))
    hidden = chain(x, layers.Conv2D(8, 2, strides=2), layers.Activation("gelu"), layers.BatchNormalization())
    deep = chain(
        hidden, layers.DepthwiseConv2D(3, padding="same"), layers.Activation("gelu"), layers.BatchNormalization()
    )
    hidden = layers.Add()([hidden, deep])
    hidden = chain(hidden, layers.Conv2D(8, 1), layers.Activation("gelu"), layers.BatchNormalization())
    return keras.Model(x, chain(hidden, layers.GlobalAveragePooling2D(), layers.Dense(3, "softmax")))


def perceiver() -> keras.Model:
    """A few vectors of its own read the picture, and then each other."""
    x = keras.Input((8, 8, 3))
    seen = patches(x)
    latent = layers.Embedding(3, 8)(ops.arange(3)) + ops.zeros_like(seen[:, :1])  # the same for every picture
    for _ in range(2):
        latent = layers.LayerNormalization()(latent + layers.MultiHeadAttention(2, 4)(latent, seen))
        latent = layers.LayerNormalization()(latent + layers.MultiHeadAttention(2, 4)(latent, latent))
    return keras.Model(x, layers.Dense(3)(layers.GlobalAveragePooling1D()(latent)))


# --- pairs, parts of generators -------------------------------------------------------------------------------------


def siamese() -> keras.Model:
    """How far apart are two pictures?"""
    one, two = keras.Input((8, 8, 1), name="one"), keras.Input((8, 8, 1), name="two")
    look = sequential(
        (8, 8, 1),
        layers.BatchNormalization(),
        layers.Conv2D(4, 5, activation="tanh"),
        layers.AveragePooling2D(2),
        layers.Flatten(),
        layers.BatchNormalization(),
        layers.Dense(4, "tanh"),
    )
    squared = ops.sum(ops.square(look(one) - look(two)), axis=1, keepdims=True)
    apart = layers.BatchNormalization()(ops.sqrt(ops.maximum(squared, 1e-7)))
    return keras.Model([one, two], layers.Dense(1, "sigmoid")(apart))


def contrastive(y, apart):
    """Close where alike, and a margin apart where not."""
    return ops.mean((1 - y) * ops.square(apart) + y * ops.square(ops.maximum(1 - apart, 0)))


def encoder() -> keras.Model:
    """Mean and variance of what stands for a picture."""
    x = keras.Input((8, 8, 1))
    hidden = chain(
        x, layers.Conv2D(4, 3, activation="relu", strides=2, padding="same"), layers.Flatten(), layers.Dense(8, "relu")
    )
    return keras.Model(
        x, {"mean": layers.Dense(2, name="mean")(hidden), "log_variance": layers.Dense(2, name="log_variance")(hidden)}
    )


def discriminator() -> keras.Model:
    """Is the picture real?"""
    hidden = [
        layer
        for width in (4, 8)
        for layer in (layers.Conv2D(width, 4, strides=2, padding="same"), layers.LeakyReLU(0.2))
    ]
    return sequential((8, 8, 1), *hidden, layers.Flatten(), layers.Dropout(0.2), layers.Dense(1, "sigmoid"))


# --- keras.applications ---------------------------------------------------------------------------------------------


def application(name: str, **how) -> Case:
    """An architecture of keras.applications, without weights, for small pictures of three classes."""
    make = getattr(keras.applications, name)
    build = functools.partial(make, weights=None, input_shape=(32, 32, 3), classes=3, **how)
    return Case(name, f"keras.applications: {name}", build, SMALL, labels(3))


APPLICATIONS = ["MobileNetV2", "MobileNetV3Small", "ResNet50V2", "ConvNeXtTiny"]
CLASS_LOGITS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

CASES = [
    Case(
        "Quickstart",
        f"{TUTORIAL} TensorFlow 2 quickstart for beginners",
        quickstart,
        uniform(8, 8),
        labels(3),
        "many-to-one",
    ),
    Case("Simple convnet", "keras-io: Simple MNIST convnet", convolutional, PICTURE, labels(3)),
    Case("Augmented pictures", f"{TUTORIAL} Image classification", augmented, COLOURS, labels(3, loss=CLASS_LOGITS)),
    Case("ResNet", "He et al. (2016)", residual, COLOURS, labels(3)),
    Case("Small Xception", "keras-io: Image classification from scratch", separable, COLOURS, yes_or_no()),
    Case(
        "Dilated convolutions",
        "keras-io: Multiclass semantic segmentation using DeepLabV3+",
        dilated,
        uniform(6, 6, 3),
        labels(2, 6, 6),
    ),
    Case(
        "U-Net", "keras-io: Image segmentation with a U-Net-like architecture", u_net, uniform(4, 4, 3), labels(2, 4, 4)
    ),
    Case(
        "Denoising autoencoder",
        "keras-io: Convolutional autoencoder for image denoising",
        denoising,
        uniform(6, 6, 1),
        numbers(6, 6, 1, loss="binary_crossentropy"),
    ),
    Case(
        "Super-resolution",
        "keras-io: Image Super-Resolution using an Efficient Sub-Pixel CNN",
        super_resolution,
        uniform(4, 4, 1),
        numbers(8, 8, 1),
    ),
    Case(
        "Scan of slices",
        "keras-io: 3D image classification from CT scans",
        volume,
        uniform(6, 6, 6, 1),
        yes_or_no(),
        "many-to-one",
    ),
    Case(
        "ViT",
        "keras-io: Image classification with Vision Transformer",
        vision_transformer,
        COLOURS,
        labels(3, loss=CLASS_LOGITS),
    ),
    Case("MLP-Mixer", MODERN, mlp_mixer, COLOURS, labels(3, loss=CLASS_LOGITS)),
    Case("gMLP", MODERN, gated_mlp, COLOURS, labels(3, loss=CLASS_LOGITS)),
    Case("ConvMixer", "keras-io: Image classification with ConvMixer", conv_mixer, COLOURS, labels(3)),
    Case(
        "Perceiver", "keras-io: Image classification with Perceiver", perceiver, COLOURS, labels(3, loss=CLASS_LOGITS)
    ),
    Case(
        "Siamese convnet",
        "keras-io: Image similarity estimation using a Siamese Network with a contrastive loss",
        siamese,
        listed(PICTURE, PICTURE),
        yes_or_no(loss=contrastive),
    ),
    Case(
        "VAE encoder",
        "keras-io: Variational AutoEncoder",
        encoder,
        PICTURE,
        {"mean": numbers(2), "log_variance": numbers(2)},
    ),
    Case("GAN discriminator", "keras-io: DCGAN to generate face images", discriminator, PICTURE, yes_or_no()),
    *map(application, APPLICATIONS),
]
