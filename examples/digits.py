"""Where a convolutional network looks: 1,797 handwritten digits of 8 by 8 pixels, as scikit-learn brings them.

Trains the network with the callback, prints how well it does, and draws runs/digits/digits.png: the importance of each
pixel over all digits, and the pixels that moved ten single predictions.
"""

import pathlib

import keras
import matplotlib.pyplot as plt
import numpy as np
from keras import layers
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import keras_sensitivity as ks

FOLDER = pathlib.Path("runs/digits")

# What goes into the softmax: the probabilities of a sure network hardly move.
DEFINITION = ks.Definition(logits=True, scale=None)


def load():
    """Training and test digits, pixels from 0 to 1, shape (num_samples, 8, 8, 1)."""
    digits = load_digits()
    images = (digits.images[..., None] / 16).astype("float32")
    return train_test_split(images, digits.target, test_size=0.25, random_state=0, stratify=digits.target)


def network():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(10, activation="softmax"),
        ]
    )


def train(model, x, y, epochs=15, log_dir=FOLDER):
    """Fit, and look at 1,000 digits after every epoch; of 64 pixels, dead ones are no surprise and not reported."""
    watch = ks.SensitivityCallback(
        x, definition=DEFINITION, num_samples=1000, log_dir=log_dir, dead_feature_monitor=None
    )
    model.compile(keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, batch_size=32, epochs=epochs, callbacks=[watch], verbose=0)
    return watch


def one_of_each(y):
    """The position of the first 0, the first 1, ... the first 9."""
    return [int(np.argmax(y == digit)) for digit in range(10)]


def picture(importance, explanation):
    """The importance of the pixels over all digits, and which pixels moved the right answer for each of ten."""
    figure = plt.figure(figsize=(15, 4.4), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[1, 3.2])
    importance.plot(ax=left.subplots()).set_title("all digits")
    for digit, ax in enumerate(right.subplots(2, 5).ravel()):
        explanation.plot(digit, unit=digit, ax=ax).set_title(f"why a {digit}?")
    return figure


def main():
    keras.utils.set_random_seed(0)
    x, x_test, y, y_test = load()
    model = network()
    watch = train(model, x, y)
    print(f"accuracy on {len(x_test)} test digits: {model.evaluate(x_test, y_test, verbose=0)[1]:.1%}")
    print("\nimportance of each pixel, percent:")
    for line in watch.importance.map[..., 0]:
        print("  " + " ".join(f"{share:4.1f}" for share in line))
    chosen = one_of_each(y_test)
    explanation = ks.explain(model, x_test[chosen], definition=DEFINITION, log_dir=FOLDER)
    FOLDER.mkdir(parents=True, exist_ok=True)
    picture(watch.importance, explanation).savefig(FOLDER / "digits.png", dpi=110)
    print(f"\nPicture: {FOLDER}/digits.png    Logs: tensorboard --logdir {FOLDER}, tabs Images and Text")


if __name__ == "__main__":
    main()
