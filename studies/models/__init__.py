"""Models that public pages describe, in small and written anew, a file a kind."""

from models import choices, hub, images, sequences, tables, texts, trainings
from models.case import Case

KINDS: dict[str, list[Case]] = {
    "Tables": tables.CASES,
    "Sequences": sequences.CASES,
    "Texts": texts.CASES,
    "Images": images.CASES,
    "Recommendations": choices.CASES,
    "Ways to train": trainings.CASES,
    "KerasHub": hub.CASES,
}
CASES = {case.name: case for cases in KINDS.values() for case in cases}
