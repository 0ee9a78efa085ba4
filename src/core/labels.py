"""Information-flow labels: who could have written a value, and who may read it."""

from collections.abc import Iterable
from enum import StrEnum
from functools import reduce
from typing import Self

from pydantic import BaseModel, ConfigDict


class Integrity(StrEnum):
    TRUSTED = "trusted"
    UNTRUSTED = "untrusted"


class Confidentiality(StrEnum):
    PUBLIC = "public"
    INTERNAL = "internal"
    CONFIDENTIAL = "confidential"
    RESTRICTED = "restricted"

    @property
    def rank(self) -> int:
        """0 for public up to 3 for restricted."""
        return _RANKS[self]


_RANKS = {level: rank for rank, level in enumerate(Confidentiality)}


class Origin(StrEnum):
    """How it was established where a value comes from, from the surest to the least."""

    OWN_WORDS = "own_words"
    """It stands in the user's own message as it is."""
    NORMALISED = "normalised"
    """It stands there in another spelling: an amount in cents, another dash, another case."""
    NAMED_CHOICE = "named_choice"
    """A member of an enumeration that the user named, and no other."""
    RECORD = "record"
    """It is a field of a trusted record."""
    COMPUTED = "computed"
    """It follows from the fields of one trusted record by a closed rule."""
    READ = "read"
    """None of these: it is as trusted as all that the model had read."""


class Label(BaseModel):
    """The pair that travels with every piece of context."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    integrity: Integrity = Integrity.UNTRUSTED
    confidentiality: Confidentiality = Confidentiality.INTERNAL

    def join(self, other: Self) -> "Label":
        """Return the label of something made from both: as little trusted, as confidential as the worse of them."""
        if self == other:
            return self
        untrusted = Integrity.UNTRUSTED in (self.integrity, other.integrity)
        return Label(
            integrity=Integrity.UNTRUSTED if untrusted else Integrity.TRUSTED,
            confidentiality=max(self.confidentiality, other.confidentiality, key=lambda c: c.rank),
        )


PRISTINE = Label(integrity=Integrity.TRUSTED, confidentiality=Confidentiality.PUBLIC)
"""The label of nothing at all: the identity of `join`."""


def join_all(labels: Iterable[Label]) -> Label:
    return reduce(Label.join, labels, PRISTINE)
