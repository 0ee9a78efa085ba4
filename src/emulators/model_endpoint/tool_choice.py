"""Which of the offered tools a request asks for, decided by words alone: no tool is known here by name."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from emulators.model_endpoint.arguments import Filled, Sources, fill, names_argument
from emulators.model_endpoint.conversation import Tool
from emulators.model_endpoint.requests import Clause, clauses, trim
from emulators.model_endpoint.schema import fields
from emulators.model_endpoint.words import name_words, stem, stems, word_set

_SYNONYMS = (
    "get look lookup find fetch show check view track retrieve read list search display see tell know inspect query",
    "create open raise file log make add register start",
    "delete erase remove purge wipe",
    "send write compose",
    "cancel stop terminate end",
    "update change modify edit correct",
    "refund reimburse repay",
    "email mail",
    "book reserve schedule",
    "buy purchase",
)
_GROUP = {stem(word): frozenset(stem(w) for w in group.split()) for group in _SYNONYMS for word in group.split()}
_READING = _GROUP["get"]
_LIGHT = frozenset(
    map(
        stem,
        word_set(
            "issue create make do perform process send submit request open raise give add execute run start file log "
            "place grant initiate trigger register"
        ),
    )
)
"""Verbs that leave the meaning to the noun: who wants "a refund" asks for `issue_refund`."""

_ARTICLES = word_set("a an the one some this that all any by for to from of in on with given existing new")
_VERBS_OF_DESCRIPTION = 4
_OWN = re.compile(r"\b(?:my|our)\b", re.IGNORECASE)
_NAME_WEIGHT, _DESCRIPTION_WEIGHT, _PARAMETER_WEIGHT = 3.0, 1.0, 0.5


@dataclass(frozen=True, slots=True)
class Proposal:
    """A tool that the request asks for.

    Attributes:
        ordered: the user gives an order, rather than asking something that the tool could tell.
    """

    tool: Tool
    filled: Filled
    ordered: bool

    @property
    def ready(self) -> bool:
        return not self.filled.missing


@dataclass(frozen=True, slots=True)
class _Profile:
    """A tool's words: what one does with it, what it acts upon, and all that describes it."""

    tool: Tool
    verbs: frozenset[str]
    nouns: frozenset[str]
    described: frozenset[str]
    parameters: frozenset[str]

    @property
    def reads(self) -> bool:
        return bool(self.verbs & _READING)

    @property
    def orders(self) -> frozenset[str]:
        """Words that order this tool when they stand where an order stands."""
        return self.verbs | self.nouns if self.verbs & _LIGHT else self.verbs


def propose(tools: Sequence[Tool], sources: Sources) -> list[Proposal]:
    """Return what the request asks for, in its order, at most one tool for each of its clauses."""
    profiles = [_profile(tool) for tool in tools]
    count = Counter(word for p in profiles for word in p.verbs | p.nouns | p.described)
    parts = _merge(clauses(sources.request, _union(p.orders for p in profiles)), profiles, sources)
    proposals: list[Proposal] = []
    sources = replace(sources, preamble=_preamble(parts, sources.request))
    for clause in parts:
        fitting = [p for p in profiles if _fits(p, clause)]
        if not fitting:
            continue
        said = frozenset(stems(clause.text))
        best = max(fitting, key=lambda p: _score(p, said, count))
        filled = fill(best.tool.parameters, replace(sources, clause=clause.text))
        ordered = bool(clause.head) if not best.reads else _about_own(clause, best)
        proposals.append(Proposal(best.tool, filled, ordered))
    return proposals


def best_effort(tools: Sequence[Tool], sources: Sources) -> Proposal:
    """Return the tool nearest to the request, for a client that insists on a call."""
    profiles = [_profile(tool) for tool in tools]
    said = frozenset(stems(sources.request))
    best = max(profiles, key=lambda p: _score(p, said, Counter[str]()))
    return Proposal(best.tool, fill(best.tool.parameters, sources), ordered=True)


def _preamble(parts: Sequence[Clause], request: str) -> str:
    first = next((clause for clause in parts if clause.head), None)
    return trim(request[: first.start]) if first and first is parts[0] else ""


def _merge(parts: list[Clause], profiles: Sequence[_Profile], sources: Sources) -> list[Clause]:
    """Join a clause whose order fits no tool to the one before it: it belongs to what that one says.

    Statements without an order count only where the request holds no order at all: then they only explain it.
    """
    kept: list[Clause] = []
    ends = [clause.start for clause in parts[1:]] + [len(sources.request)]
    for clause, end in zip(parts, ends, strict=True):
        if clause.head and kept and kept[-1].head and not any(_fits(p, clause) for p in profiles):
            kept[-1] = replace(kept[-1], text=trim(sources.request[kept[-1].start : end]))
        else:
            kept.append(clause)
    ordered = any(clause.head for clause in kept)
    return [clause for clause in kept if clause.head or clause.question or not ordered]


def _about_own(clause: Clause, profile: _Profile) -> bool:
    """Return whether a clause is about nothing but something of the user's own: `where is my order?`."""
    return bool(_OWN.search(clause.text)) and frozenset(stems(clause.text)) <= profile.nouns | _READING


def _fits(profile: _Profile, clause: Clause) -> bool:
    said = frozenset(stems(clause.text))
    if clause.head and clause.head not in _READING:
        return _ordered(profile, clause, said)
    if clause.head and clause.head in profile.verbs and profile.nouns & said - {clause.head}:
        return True
    return profile.reads and (bool(profile.nouns & said) or names_argument(profile.tool.parameters, clause.text))


def _ordered(profile: _Profile, clause: Clause, said: frozenset[str]) -> bool:
    if clause.head not in profile.orders:
        return False
    if clause.head in profile.nouns or clause.head not in profile.verbs:
        return True
    if profile.nouns & said - {clause.head}:
        return True
    objects = profile.described & said - {clause.head}
    if clause.head in _LIGHT:
        return not profile.nouns and bool(objects)
    return bool(objects) or names_argument(profile.tool.parameters, clause.text)


def _score(profile: _Profile, said: frozenset[str], count: Counter[str]) -> float:
    def weigh(words: frozenset[str]) -> float:
        return sum(1 / max(1, count[word]) for word in words & said)

    return (
        _NAME_WEIGHT * (weigh(profile.verbs) + weigh(profile.nouns))
        + _DESCRIPTION_WEIGHT * weigh(profile.described)
        + _PARAMETER_WEIGHT * weigh(profile.parameters)
    )


def _profile(tool: Tool) -> _Profile:
    first, *rest = name_words(tool.name) or [""]
    verbs = {stem(first)}
    for word in tool.description.lower().split()[:_VERBS_OF_DESCRIPTION]:
        if word in _ARTICLES:
            break
        verbs.add(stem(word.strip(",.;:()")))
    rest = [word for word in rest if word not in _ARTICLES and word not in ("up", "out")]
    wanted = fields(tool.parameters)
    return _Profile(
        tool=tool,
        verbs=_union(_GROUP.get(verb, frozenset()) | {verb} for verb in verbs),
        nouns=frozenset(stem(word) for word in rest),
        described=frozenset(stems(tool.description)) - verbs,
        parameters=_union(f.words | f.described for f in wanted),
    )


def _union(sets: Iterable[frozenset[str]]) -> frozenset[str]:
    return frozenset[str]().union(*sets)
