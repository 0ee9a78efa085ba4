"""Where a value came from: the labels of a proposed action's arguments, one by one, and what each rests on.

The rules are deterministic and err towards distrust. The first that holds counts; where none does, an argument carries
the join of all that the model had read. Booleans never qualify, members of an enum only if the user named exactly one:
any text contains some of them by chance.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from core import PRISTINE, Confidentiality, Facts, Integrity, Json, Label, Origin, join_all
from orchestration.computing import follows_from, share_of
from orchestration.contact_points import contact_points
from orchestration.spelling import (
    amounts_in,
    names_only,
    normalised,
    shares_in,
    stands_in,
    stands_in_spelt_otherwise,
)
from tools import Leaf, Tool

OWN_WORDS = Label(integrity=Integrity.TRUSTED, confidentiality=Confidentiality.INTERNAL)
"""What a signed-in person types: theirs to say, and not for the world."""

Scalar = str | int | bool | None


@dataclass(frozen=True, slots=True)
class Traced:
    """One argument's label.

    Attributes:
        acts: something is done with it; otherwise only people inside the organisation read it.
    """

    label: Label
    origin: Origin
    acts: bool = True

    @property
    def untrusted(self) -> bool:
        return self.label.integrity is Integrity.UNTRUSTED


@dataclass(slots=True)
class Sources:
    """Everything that the model has read in a turn.

    Attributes:
        own_words: the user's messages, of this turn and of stored earlier ones; this turn's is the last.
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

    def trace(self, leaf: Leaf) -> Traced:
        """Return the label of one argument, by the first rule that holds."""
        label, origin = self._said(leaf) or self._recorded(leaf) or (self.label, Origin.READ)
        harmless = leaf.prose and isinstance(leaf.value, str) and not self._leads_astray(leaf.value)
        return Traced(label, origin, acts=not harmless)

    def chosen(self, named: Sequence[str]) -> Integrity:
        """Return who could have chosen that a tool is used.

        Args:
            named: words by which people ask for the tool: one of them in this turn's message makes it their choice.
        """
        return Integrity.TRUSTED if self.names(named) else self.label.integrity

    def names(self, named: Sequence[str]) -> bool:
        """Return whether this turn's message has one of the words by which people ask for a tool."""
        return any(stands_in_spelt_otherwise(word, text) for word in named for text in self.own_words[-1:])

    def _said(self, leaf: Leaf) -> tuple[Label, Origin] | None:
        value = leaf.value
        if leaf.closed:
            named = value in leaf.choices and names_only(str(value), leaf.choices - {value}, "\n".join(self.own_words))
            return (OWN_WORDS, Origin.NAMED_CHOICE) if named else None
        if leaf.money:
            named = any(value in amounts_in(text) for text in self.own_words)
            return (OWN_WORDS, Origin.NORMALISED) if named else None
        if any(stands_in(str(value), text) for text in self.own_words):
            return OWN_WORDS, Origin.OWN_WORDS
        if any(stands_in_spelt_otherwise(str(value), text) for text in self.own_words):
            return OWN_WORDS, Origin.NORMALISED
        return None

    def _recorded(self, leaf: Leaf) -> tuple[Label, Origin] | None:
        value = leaf.value
        if leaf.closed:
            return None
        for record, label in self.records:
            if any(type(value) is type(field) and value == field for field in scalars(record)):
                return label, Origin.RECORD
        return self._computed(value) if isinstance(value, int) else None

    def _computed(self, value: int) -> tuple[Label, Origin] | None:
        shares = {share for text in self.own_words for share in shares_in(text)}
        for record, label in self.records:
            if follows_from(value, record):
                return label, Origin.COMPUTED
            if share_of(value, record, shares):
                return label.join(OWN_WORDS), Origin.COMPUTED
        return None

    def _leads_astray(self, text: str) -> bool:
        """Return whether a text has a link, an address or an account in it that neither user nor record gave."""
        return not all(self._known(point) for point in contact_points(text))

    def _known(self, point: str) -> bool:
        ours = [normalised(field) for record, _ in self.records for field in scalars(record) if isinstance(field, str)]
        return point in ours or any(stands_in(point, normalised(text)) for text in self.own_words)


def label_arguments(leaves: Mapping[str, Leaf], sources: Sources) -> dict[str, Traced]:
    """Label each argument, by its path."""
    return {path: sources.trace(leaf) for path, leaf in leaves.items()}


def untrusted(traced: Mapping[str, Traced], *, acts: bool = True) -> tuple[str, ...]:
    """Return the arguments that an outsider may have chosen: those that act, or those that only people read."""
    return tuple(sorted(path for path, one in traced.items() if one.untrusted and one.acts is acts))


def joined(traced: Mapping[str, Traced]) -> Label:
    """Return the label of all arguments together."""
    return join_all([PRISTINE, *(one.label for one in traced.values())])


def flow(tool: Tool, traced: Mapping[str, Traced], sources: Sources) -> Facts:
    """Return, as facts for policies, from where to where a call carries what, and who could have chosen it."""
    return {
        "egress": tool.egress,
        "choice_integrity": sources.chosen(tool.named).value,
        "tool_named": sources.names(tool.named),
        "untrusted_arguments": untrusted(traced),
        "untrusted_prose": untrusted(traced, acts=False),
        "arguments_rank": joined(traced).confidentiality.rank,
        "tool_ceiling": tool.ceiling.rank,
    }


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
