"""Models of text: codes of words, or the words themselves."""

import keras
import numpy as np
from keras import layers, ops

from models.case import (
    Case,
    Draw,
    adapted,
    chain,
    integers,
    labels,
    normal,
    numbers,
    sentences,
    sequential,
    together,
    yes_or_no,
)

WORDS = ["bad", "dull", "fine", "good", "great", "long", "slow", "witty"]
TOKENS: Draw = integers(12, 6, low=1)
REVIEWS: Draw = sentences(WORDS, 5)
VECTORS = {"": ["vectors"]}
SEVERAL, MANY = "many-to-one", "many-to-many"


def vectors(width: int = 6, **how) -> layers.Embedding:
    """What each of twelve codes is looked up as."""
    return layers.Embedding(12, width, name="vectors", **how)


def tokens(name: str | None = None) -> keras.KerasTensor:
    """Six codes a row."""
    return keras.Input((6,), dtype="int32", name=name)


# --- classifiers ----------------------------------------------------------------------------------------------------


def averaged() -> keras.Model:
    """The mean of the vectors."""
    return sequential(
        (6,), vectors(), layers.Dropout(0.2), layers.GlobalAveragePooling1D(), layers.Dense(1, "sigmoid"), dtype="int32"
    )


def from_scratch() -> keras.Model:
    """Convolutions over the vectors."""
    convolution = layers.Conv1D(8, 3, activation="relu", strides=2)
    hidden = [layers.GlobalMaxPooling1D(), layers.Dense(8, "relu"), layers.Dropout(0.5)]
    return sequential(
        (6,), vectors(), layers.Dropout(0.5), convolution, *hidden, layers.Dense(1, "sigmoid"), dtype="int32"
    )


def bidirectional() -> keras.Model:
    """Recurrent layers that read from both ends."""
    both = [layers.Bidirectional(layers.LSTM(4, return_sequences=True)), layers.Bidirectional(layers.LSTM(4))]
    return sequential((6,), vectors(), *both, layers.Dense(1, "sigmoid"), dtype="int32")


def known_vectors() -> keras.Model:
    """Vectors that were learnt elsewhere and stay as they are."""
    known = keras.initializers.Constant(np.random.default_rng(3).normal(size=(12, 6)))
    hidden = [layers.Conv1D(8, 3, activation="relu"), layers.MaxPooling1D(2), layers.Conv1D(8, 2, activation="relu")]
    return sequential(
        (6,),
        vectors(embeddings_initializer=known, trainable=False),
        *hidden,
        layers.GlobalMaxPooling1D(),
        layers.Dense(3, "softmax"),
        dtype="int32",
    )


def positioned(x: keras.KerasTensor, width: int = 8, length: int = 6):
    """The vectors of the words and of their places."""
    return vectors(width)(x) + layers.Embedding(length, width)(ops.arange(length))


def block(x, *, width: int = 8, causal: bool = False):
    """Attention and a network, with ways round them."""
    attended = layers.Dropout(0.1)(layers.MultiHeadAttention(2, width // 2)(x, x, use_causal_mask=causal))
    x = layers.LayerNormalization(epsilon=1e-6)(x + attended)
    fed = chain(x, layers.Dense(16, "relu"), layers.Dense(width), layers.Dropout(0.1))
    return layers.LayerNormalization(epsilon=1e-6)(x + fed)


def transformer() -> keras.Model:
    """A block of a transformer, averaged."""
    x = tokens()
    pooled = layers.GlobalAveragePooling1D()(block(positioned(x)))
    hidden = [layers.Dropout(0.1), layers.Dense(8, "relu"), layers.Dropout(0.1)]
    return keras.Model(x, chain(pooled, *hidden, layers.Dense(2, "softmax")))


def f_net() -> keras.Model:
    """Fourier transforms in the place of attention."""
    x = tokens()
    hidden = positioned(x)
    mixed, _ = ops.fft2((hidden, ops.zeros_like(hidden)))
    hidden = layers.LayerNormalization()(hidden + mixed)
    hidden = layers.LayerNormalization()(hidden + chain(hidden, layers.Dense(16, "relu"), layers.Dense(8)))
    return keras.Model(
        x, chain(layers.GlobalAveragePooling1D()(hidden), layers.Dropout(0.5), layers.Dense(1, "sigmoid"))
    )


def switch_transformer() -> keras.Model:
    """Each word goes to the expert that a router likes best."""
    x = tokens()
    hidden = positioned(x)
    hidden = layers.LayerNormalization()(hidden + layers.MultiHeadAttention(2, 4)(hidden, hidden))
    chances = layers.Dense(3, "softmax")(hidden)
    best = ops.one_hot(ops.argmax(chances, axis=-1), 3) * chances
    experts = ops.stack([chain(hidden, layers.Dense(8, "relu"), layers.Dense(8)) for _ in range(3)], axis=-2)
    hidden = layers.LayerNormalization()(hidden + ops.sum(best[..., None] * experts, axis=-2))
    return keras.Model(
        x, chain(layers.GlobalAveragePooling1D()(hidden), layers.Dense(8, "relu"), layers.Dense(2, "softmax"))
    )


# --- words themselves -----------------------------------------------------------------------------------------------


def vectorized() -> keras.Model:
    """Reviews as they were written: the model cuts them into words."""
    cut = adapted(layers.TextVectorization(max_tokens=12, output_sequence_length=5), REVIEWS)
    hidden = [layers.Dropout(0.2), layers.GlobalAveragePooling1D(), layers.Dropout(0.2)]
    return sequential((1,), cut, vectors(), *hidden, layers.Dense(1, "sigmoid"), dtype="string")


def recurrent_words() -> keras.Model:
    """Reviews of any length, masked where they end."""
    cut = adapted(layers.TextVectorization(max_tokens=12), REVIEWS)
    hidden = [layers.Bidirectional(layers.LSTM(6)), layers.Dense(8, "relu")]
    return sequential((1,), cut, vectors(mask_zero=True), *hidden, layers.Dense(1), dtype="string")


def weighted_words() -> keras.Model:
    """How often each word occurs, the rare ones counting more; several labels may be right."""
    cut = adapted(layers.TextVectorization(max_tokens=12, output_mode="tf_idf", name="vectors"), REVIEWS)
    hidden = [layers.Dense(16, "relu"), layers.Dense(8, "relu")]
    return sequential((1,), cut, *hidden, layers.Dense(4, "sigmoid"), dtype="string")


# --- a label, or a word, for each word ------------------------------------------------------------------------------


def named_entities() -> keras.Model:
    """What kind of name each word is."""
    x = tokens()
    hidden = chain(block(positioned(x)), layers.Dropout(0.1), layers.Dense(8, "relu"), layers.Dropout(0.1))
    return keras.Model(x, layers.Dense(3, "softmax")(hidden))


def miniature_gpt() -> keras.Model:
    """The next word from those before."""
    x = tokens()
    return keras.Model(x, layers.Dense(12)(block(positioned(x), causal=True)))


def characters() -> keras.Model:
    """The next letter from those before, by a recurrent layer."""
    return sequential((6,), vectors(), layers.GRU(8, return_sequences=True), layers.Dense(12), dtype="int32")


def letters() -> keras.Model:
    """Two LSTM layers over letters as columns of zeros and a one."""
    hidden = [layers.LSTM(8, return_sequences=True), layers.LSTM(8)]
    return sequential((6, 12), *hidden, layers.Dense(12, "softmax"))


def letter_by_letter() -> keras.Model:
    """An encoder whose states start a decoder; both are given letters."""
    source, target = keras.Input((5, 4), name="source"), keras.Input((4, 4), name="target")
    _, *states = layers.LSTM(6, return_state=True)(source)
    written = layers.LSTM(6, return_sequences=True)(target, initial_state=states)
    return keras.Model({"source": source, "target": target}, layers.Dense(4, "softmax")(written))


def translation() -> keras.Model:
    """A transformer that reads one language and writes the other."""
    source, target = tokens("source"), tokens("target")
    read = block(layers.Embedding(12, 8, name="source_vectors")(source))
    written = block(layers.Embedding(12, 8, name="target_vectors")(target), causal=True)
    written = layers.LayerNormalization()(written + layers.MultiHeadAttention(2, 4)(written, read))
    return keras.Model({"source": source, "target": target}, layers.Dense(6, "softmax")(layers.Dropout(0.5)(written)))


# --- two texts ------------------------------------------------------------------------------------------------------


def memory() -> keras.Model:
    """A question is matched with a story, and both are read."""
    story, question = tokens("story"), keras.Input((3,), dtype="int32", name="question")
    kept = layers.Dropout(0.3)(layers.Embedding(12, 6, name="memory")(story))
    asked = layers.Dropout(0.3)(layers.Embedding(12, 6, name="question_vectors")(question))
    match = layers.Softmax()(layers.Dot(axes=(2, 2))([kept, asked]))
    answer = layers.Permute((2, 1))(match + layers.Embedding(12, 3, name="answers")(story))
    read = layers.LSTM(8)(layers.Concatenate()([answer, asked]))
    return keras.Model({"question": question, "story": story}, layers.Dense(4, "softmax")(layers.Dropout(0.3)(read)))


def alike() -> keras.Model:
    """One LSTM reads both questions; how far apart are they?"""
    one, two = tokens("one"), tokens("two")
    embedding, read = vectors(), layers.LSTM(6)
    apart = ops.sum(ops.abs(read(embedding(one)) - read(embedding(two))), axis=1, keepdims=True)
    return keras.Model({"one": one, "two": two}, ops.exp(-apart))


class SkipGram(keras.Model):
    """Which of the words stand in the neighbourhood of another."""

    def __init__(self) -> None:
        super().__init__()
        self.target = layers.Embedding(12, 6, name="targets")
        self.context = layers.Embedding(12, 6, name="contexts")

    def call(self, pair):
        """Codes of shape (batch_size, 1) and (batch_size, 5) -> (batch_size, 5)."""
        return ops.einsum("bie,bce->bc", self.target(pair["target"]), self.context(pair["context"]))


def skip_gram() -> keras.Model:
    """Built by a call."""
    model = SkipGram()
    model({"context": np.zeros((1, 5), "int32"), "target": np.zeros((1, 1), "int32")})
    return model


LOGITS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
YES_LOGITS = keras.losses.BinaryCrossentropy(from_logits=True)
CLASSIFICATION = "keras-io: Text classification"

CASES = [
    Case(
        "Averaged vectors",
        "TensorFlow tutorial: Basic text classification",
        averaged,
        TOKENS,
        yes_or_no(),
        codes=VECTORS,
    ),
    Case("Text convolution", f"{CLASSIFICATION} from scratch", from_scratch, TOKENS, yes_or_no(), codes=VECTORS),
    Case(
        "Bidirectional text", "keras-io: Bidirectional LSTM on IMDB", bidirectional, TOKENS, yes_or_no(), codes=VECTORS
    ),
    Case(
        "Known vectors", "keras-io: Using pre-trained word embeddings", known_vectors, TOKENS, labels(3), codes=VECTORS
    ),
    Case("Text transformer", f"{CLASSIFICATION} with Transformer", transformer, TOKENS, labels(2), SEVERAL, VECTORS),
    Case("FNet", "Lee-Thorp et al. (2021)", f_net, TOKENS, yes_or_no(), codes=VECTORS),
    Case(
        "Switch Transformer",
        f"{CLASSIFICATION} with Switch Transformer",
        switch_transformer,
        TOKENS,
        labels(2),
        codes=VECTORS,
    ),
    Case(
        "TextVectorization",
        "TensorFlow tutorial: Basic text classification",
        vectorized,
        REVIEWS,
        yes_or_no(),
        codes=VECTORS,
    ),
    Case(
        "Text of any length",
        "TensorFlow tutorial: Text classification with an RNN",
        recurrent_words,
        REVIEWS,
        yes_or_no(loss=YES_LOGITS),
        codes=VECTORS,
    ),
    Case(
        "Weighted words",
        "keras-io: Large-scale multi-label text classification",
        weighted_words,
        REVIEWS,
        yes_or_no(4),
        codes=VECTORS,
    ),
    Case(
        "Named entities",
        "keras-io: Named Entity Recognition using Transformers",
        named_entities,
        TOKENS,
        labels(3, 6),
        MANY,
        VECTORS,
    ),
    Case(
        "Miniature GPT",
        "keras-io: Text generation with a miniature GPT",
        miniature_gpt,
        TOKENS,
        labels(12, 6, loss=LOGITS),
        MANY,
        VECTORS,
    ),
    Case(
        "Character RNN",
        "TensorFlow tutorial: Text generation with an RNN",
        characters,
        TOKENS,
        labels(12, 6, loss=LOGITS),
        MANY,
        VECTORS,
    ),
    Case(
        "Character LSTM",
        "keras-io: Character-level text generation with LSTM",
        letters,
        normal(6, 12),
        labels(12),
        SEVERAL,
    ),
    Case(
        "Letter by letter",
        "keras-io: Character-level recurrent sequence-to-sequence model",
        letter_by_letter,
        together(source=normal(5, 4), target=normal(4, 4)),
        labels(4, 4),
        MANY,
    ),
    Case(
        "Translation",
        "keras-io: English-to-Spanish translation with a sequence-to-sequence Transformer",
        translation,
        together(source=TOKENS, target=TOKENS),
        labels(6, 6),
        codes={"source": ["source_vectors"], "target": ["target_vectors"]},
    ),
    Case(
        "Memory network",
        "keras-io: Question answering on bAbI",
        memory,
        together(question=integers(12, 3), story=TOKENS),
        labels(4),
        codes={"question": ["question_vectors"], "story": ["memory", "answers"]},
    ),
    Case(
        "Siamese LSTM",
        "Mueller and Thyagarajan (2016)",
        alike,
        together(one=TOKENS, two=TOKENS),
        numbers(),
        codes={"one": ["vectors/1"], "two": ["vectors"]},
    ),
    Case(
        "Word2Vec",
        "TensorFlow tutorial: word2vec",
        skip_gram,
        together(context=integers(12, 5), target=integers(12, 1)),
        yes_or_no(5, loss=YES_LOGITS),
        codes={"context": ["contexts"], "target": ["targets"]},
    ),
]
