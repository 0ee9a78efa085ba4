"""Where a value came from: the labels of a proposed action's arguments, one by one.

The rule is deterministic and errs towards distrust. An argument carries the join of all that the model had read,
unless its value, whole and typed, stands in the user's own message of a stored turn or is a field of a trusted record.
Booleans and members of an enum never qualify: any text contains some of them by chance.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from core import PRISTINE, Confidentiality, Integrity, Json, Label, join_all
from tools import Leaf

OWN_WORDS = Label(integrity=Integrity.TRUSTED, confidentiality=Confidentiality.INTERNAL)
"""What a signed-in person types: theirs to say, and not for the world."""

_TOKEN = re.compile(r"-?\w+(?:(?:[.@\-+'_:/]|(?<=\d),(?=\d))\w+)*")
"""A word, a number with its sign and all its digits, an address, a reference."""

Scalar = str | int | bool | None


@dataclass(slots=True)
class Sources:
    """Everything that the model has read in a turn.

    Attributes:
        own_words: the user's messages, of this turn and of stored earlier ones.
        records: parsed results of tools whose results are trusted, with their labels.
        others: labels of all the rest: passages, untrusted results, earlier answers, what a program sent along.
    """

    own_words: list[str] = field(default_factory=list[str])
    records: list[tuple[Json, Label]] = field(default_factory=list[tuple[Json, Label]])
    others: list[Label] = field(default_factory=list[Label])

    @property
    def label(self) -> Label:
        """The join of everything: the label of whatever the model writes."""
        own = [OWN_WORDS] if self.own_words else []
        return join_all([PRISTINE, *own, *(label for _, label in self.records), *self.others])

    def label_of(self, value: Scalar, *, choice: bool) -> Label:
        """Return the label of one argument; `choice` says that it is a boolean or a member of an enum."""
        if not choice and value is not None:
            if any(_stands_in(str(value), text) for text in self.own_words):
                return OWN_WORDS
            for record, label in self.records:
                if any(type(value) is type(leaf) and value == leaf for leaf in scalars(record)):
                    return label
        return self.label


def label_arguments(leaves: Mapping[str, Leaf], sources: Sources) -> dict[str, Label]:
    """Label each argument, by its path."""
    return {path: sources.label_of(leaf.value, choice=leaf.closed) for path, leaf in leaves.items()}


def untrusted(labels: Mapping[str, Label]) -> tuple[str, ...]:
    return tuple(sorted(path for path, label in labels.items() if label.integrity is Integrity.UNTRUSTED))


def scalars(value: Json) -> Iterator[Scalar]:
    """Yield the scalars of a JSON value."""
    if isinstance(value, Mapping):
        for item in value.values():
            yield from scalars(item)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for item in value:
            yield from scalars(item)
    else:
        yield value


def _stands_in(value: str, text: str) -> bool:
    """Return whether `value`, white space aside, stands in `text` as it is, and cuts through none of its tokens."""
    value, text = " ".join(value.split()), " ".join(text.split())
    if value not in text or not _TOKEN.search(value):
        return False
    inside = {place for token in _TOKEN.finditer(text) for place in range(token.start() + 1, token.end())}
    start = text.find(value)
    while start >= 0:
        if inside.isdisjoint((start, start + len(value))):
            return True
        start = text.find(value, start + 1)
    return False
