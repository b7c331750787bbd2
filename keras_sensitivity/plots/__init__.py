"""Axes in, axes out: every function draws on matplotlib axes, its own or the caller's, and returns them.

Colours are those of Okabe and Ito (2008), distinct to colour-blind readers; what matters is also said by position
and by text, and survives a grey printer. Each picture brings its own white ground, so that it reads the same on a
dark page.
"""

from keras_sensitivity.plots._style import value
from keras_sensitivity.plots.bars import local_bars, ranking
from keras_sensitivity.plots.beeswarms import beeswarm
from keras_sensitivity.plots.comparison import side_by_side
from keras_sensitivity.plots.effects import effect
from keras_sensitivity.plots.figures import html, pixels, svg
from keras_sensitivity.plots.images import image_map, image_overlay, overlays
from keras_sensitivity.plots.interactions import interaction_map
from keras_sensitivity.plots.lags import heat_map, lag_profile, local_heat_map
from keras_sensitivity.plots.samples import overview
from keras_sensitivity.plots.selections import rounds
from keras_sensitivity.plots.trajectories import trajectory, trajectory_heat_map

__all__ = [
    "beeswarm",
    "effect",
    "heat_map",
    "html",
    "image_map",
    "image_overlay",
    "interaction_map",
    "lag_profile",
    "local_bars",
    "local_heat_map",
    "overlays",
    "overview",
    "pixels",
    "ranking",
    "rounds",
    "side_by_side",
    "svg",
    "trajectory",
    "trajectory_heat_map",
    "value",
]
