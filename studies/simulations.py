"""Data with known truth: which columns matter, and of what kind those are that do not."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

Array = np.ndarray


@dataclasses.dataclass(frozen=True)
class Simulation:
    """Data with known truth.

    Attributes:
        draw: From a random generator and a number of rows to x and y.
        irrelevant: The features that y does not depend on, and what kind of columns they are.
        ignored: Features that are counted as neither.
        classes: Whether y is a class, 0 or 1.
        groups: Columns that are one feature.
    """

    draw: Callable[[np.random.Generator, int], tuple[Array, Array]]
    irrelevant: Mapping[str, str]
    ignored: tuple[str, ...] = ()
    classes: bool = False
    groups: Mapping[str, list[str]] | None = None


def paper(rng: np.random.Generator, n: int) -> tuple[Array, Array]:
    """Horel et al. (2018), section 3, and three irrelevant columns."""
    x = rng.normal(size=(n, 8))
    y = np.cos(x[:, 0]) + np.sin(x[:, 1]) + 2 * x[:, 2] + x[:, 3] + x[:, 4] / 100
    return x, y + rng.normal(scale=0.1, size=n)


def jmlr(rng: np.random.Generator, n: int) -> tuple[Array, Array]:
    """Horel and Giesecke (2020), arXiv 1902.06021."""
    x = rng.uniform(-1, 1, size=(n, 8))
    y = x[:, 0] ** 2 + x[:, 1] * x[:, 2] + np.cos(x[:, 3]) + np.exp(x[:, 4] * x[:, 5]) + x[:, 6] / 10
    return x, y + rng.normal(scale=0.01, size=n)


def friedman(rng: np.random.Generator, n: int) -> tuple[Array, Array]:
    """Friedman (1991), the first benchmark."""
    x = rng.uniform(size=(n, 10))
    y = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]
    return x, y + rng.normal(size=n)


def aico(rng: np.random.Generator, n: int) -> tuple[Array, Array]:
    """The 19 features of arXiv 2506.23396: correlated, binary, counts, heavy tails."""
    x = rng.normal(size=(n, 19))
    x[:, 5] = mixed(x[:, 0], x[:, 5], 0.85)
    x[:, 7] = rng.uniform(-1, 1, size=n)
    x[:, 8] = x[:, 1] > 0
    x[:, 9] = rng.poisson(3, size=n)
    x[:, [10, 11, 16, 17, 18]] = rng.standard_t(5, size=(n, 5))
    x[:, 13] = mixed(x[:, 12], x[:, 13], 0.85)
    y = 3 + 4 * x[:, 0] + x[:, 0] * x[:, 1] + 3 * x[:, 2] ** 2 + 2 * x[:, 3] * x[:, 4] + 6 * x[:, 5]
    y += 2 * np.sin(x[:, 6]) + np.exp(x[:, 7]) + 5 * x[:, 8] + 3 * x[:, 9] + 4 * x[:, 10] + 5 * x[:, 11]
    return x, y + rng.normal(size=n)


def shell(rng: np.random.Generator, n: int) -> tuple[Array, Array]:
    """Hastie, Tibshirani, Friedman (2009), equation 10.2: outside of a ball or not; and five irrelevant columns."""
    x = rng.normal(size=(n, 15))
    return x, np.sum(x[:, :10] ** 2, axis=1) > 9.34


def sequence(rng: np.random.Generator, n: int) -> tuple[Array, Array]:
    """Ten steps of six channels, of which one matters three steps ago, another now, and four never."""
    x = rng.normal(size=(n, 10, 6))
    return x, x[:, -4, 0] + 0.5 * x[:, -1, 1] + rng.normal(scale=0.1, size=n)


def twins(rng: np.random.Generator, n: int) -> tuple[Array, Array]:
    """Six useful columns; irrelevant ones correlated with three of these, and others in pairs."""
    x = rng.normal(size=(n, 15))
    for useful, r in enumerate(STRENGTHS):
        x[:, 6 + useful] = mixed(x[:, useful], x[:, 6 + useful], r)
        one, other = 9 + 2 * useful, 10 + 2 * useful
        x[:, other] = mixed(x[:, one], x[:, other], r)
    y = x[:, 0] + x[:, 1] + x[:, 2] + 1.5 * np.sin(x[:, 3]) + x[:, 4] ** 2 / 2 + x[:, 4] * x[:, 5]
    return x, y + rng.normal(scale=0.3, size=n)


def kinds(rng: np.random.Generator, n: int) -> tuple[Array, Array]:
    """Columns of many kinds, one of each that matters and one that does not, and two one-hot groups of six."""

    def columns() -> Array:
        binary = rng.random((n, 3)) < [0.5, 0.1, 0.02]
        rest = [rng.poisson(3, size=n), rng.standard_t(3, size=n), rng.lognormal(size=n)]
        return np.column_stack([binary, *rest])

    def one_hot() -> Array:
        return np.eye(6)[rng.integers(6, size=n)]

    useful, irrelevant, category, other = columns(), columns(), one_hot(), one_hot()
    y = useful @ [2, 2.5, 5, 0.6, 0.6, 0.5] + category @ [0, 1, -1, 2, 0, 0.5]
    return np.column_stack([useful, irrelevant, category, other]), y + rng.normal(scale=0.5, size=n)


def mixed(x: Array, noise: Array, correlation: float) -> Array:
    """A column that is correlated with another one, both standard normal."""
    return correlation * x + np.sqrt(1 - correlation**2) * noise


def named(first: int, *kinds_of_columns: str) -> dict[str, str]:
    """Columns x<first>, and so on, by name."""
    return {f"x{index}": kind for index, kind in enumerate(kinds_of_columns, first)}


STRENGTHS = (0.85, 0.95, 0.99)
BESIDE_USEFUL = [f"correlated with a useful one, {r}" for r in STRENGTHS]
IN_PAIRS = [f"correlated with another one, {r}" for r in STRENGTHS for _ in range(2)]
OF_KINDS = ["binary, 0.5", "binary, 0.1", "binary, 0.02", "Poisson", "t3", "lognormal"]

SIMULATIONS = {
    "paper": Simulation(paper, named(5, *["normal"] * 3), ignored=("x4",)),
    "jmlr": Simulation(jmlr, named(7, "uniform")),
    "friedman": Simulation(friedman, named(5, *["uniform"] * 5)),
    "aico": Simulation(aico, named(12, *IN_PAIRS[:2], "normal", "normal", "t5", "t5", "t5")),
    "shell": Simulation(shell, named(10, *["normal"] * 5), classes=True),
    "sequence": Simulation(sequence, named(2, *["channel"] * 4)),
    "twins": Simulation(twins, named(6, *BESIDE_USEFUL, *IN_PAIRS)),
    "kinds": Simulation(
        kinds,
        named(6, *OF_KINDS) | {"other": "one-hot group of 6"},
        groups={"category": [f"x{j}" for j in range(12, 18)], "other": [f"x{j}" for j in range(18, 24)]},
    ),
}
