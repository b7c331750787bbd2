"""Models of KerasHub from a config, without weights; none where KerasHub is not installed."""

import importlib.util
from typing import Any

import keras

from models.case import Case, Draw, integers, labels, together

HAS_HUB = importlib.util.find_spec("keras_hub") is not None
SIZES = {
    "vocabulary_size": 20,
    "num_layers": 1,
    "num_heads": 2,
    "hidden_dim": 8,
    "intermediate_dim": 16,
    "max_sequence_length": 6,
}
TOKENS: Draw = integers(20, 6, low=1)
ALL_VALID: Draw = integers(2, 6, low=1)
CLASS_LOGITS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def made(name: str, backbone: str, sizes: dict[str, Any], **how: Any) -> Any:
    """How to make a task of KerasHub behind a backbone of these sizes."""

    def build() -> keras.Model:
        import keras_hub

        return getattr(keras_hub.models, name)(backbone=getattr(keras_hub.models, backbone)(**sizes), **how)

    return build


def classifier(family: str, inputs: Draw, codes: dict[str, list[str]], **sizes: Any) -> Case:
    """A classifier of texts."""
    name = f"{family}TextClassifier"
    build = made(name, f"{family}Backbone", SIZES | sizes, num_classes=2)
    return Case(name, f"keras-hub: {name}", build, inputs, labels(2, loss=CLASS_LOGITS), codes=codes)


def language_model(family: str) -> Case:
    """What the next word is."""
    name = f"{family}CausalLM"
    build = made(name, f"{family}Backbone", SIZES, preprocessor=None)
    target = labels(20, 6, loss=CLASS_LOGITS)
    return Case(name, f"keras-hub: {name}", build, VALID, target, "many-to-many", EMBEDDED)


VALID = together(padding_mask=ALL_VALID, token_ids=TOKENS)
WITH_SEGMENTS = together(padding_mask=ALL_VALID, segment_ids=integers(2, 6), token_ids=TOKENS)
EMBEDDED = {"token_ids": ["token_embedding"]}
BOTH = EMBEDDED | {"segment_ids": ["segment_embedding"]}
MODELS = [
    classifier("Bert", WITH_SEGMENTS, BOTH),
    classifier("DistilBert", VALID, EMBEDDED),
    classifier("Roberta", VALID, EMBEDDED),
    classifier("Albert", WITH_SEGMENTS, BOTH, embedding_dim=4),
    language_model("GPT2"),
    language_model("OPT"),
]
CASES = MODELS if HAS_HUB else []
