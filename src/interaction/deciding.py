"""How people decide on approvals: how long it takes, and how often somebody approves at once. Counted from the inbox.

A quick approval is no proof of anything: the case may have been clear. It says where to look.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import median

from core import Clock, parse_timestamp, timestamp
from data import APPROVALS, ApprovalSummary, Views
from interaction.answers import Told
from interaction.people import NameOf

QUICK_SECONDS = 10
MOST_APPROVALS = 5000
FEWEST = 10
"""Of fewer decisions nothing is said about a habit."""

_PAGE = 500


class Deciding(Told):
    """Counts of decisions.

    Attributes:
        quick: approvals within `QUICK_SECONDS` of being asked, or of the same person's decision before.
        median_seconds: from being asked to the decision, half took less; null where there is none.
        longest_seconds: the longest of these.
    """

    approved: int
    denied: int
    quick: int
    median_seconds: int | None
    longest_seconds: int | None


class ByPerson(Deciding):
    """What one person decided; `always_quickly` if it was `FEWEST` times or more, always yes and mostly quickly."""

    person: str
    name: str | None
    always_quickly: bool


class ByTool(Deciding):
    """Decisions on one tool.

    Attributes:
        asked: how often somebody was asked; several who have to approve are one.
        expired: nobody decided in time.
        escalated: half of the time was over before it was decided.
    """

    tool: str
    asked: int
    expired: int
    escalated: int


class DecidingReport(Told):
    """How people decided on what was asked in the last days.

    Attributes:
        complete: whether all of it was looked at; otherwise the earliest was left out.
        quick_seconds: what counts as quick.
    """

    days: int
    complete: bool
    quick_seconds: int
    people: list[ByPerson]
    tools: list[ByTool]


@dataclass(frozen=True, slots=True)
class Said:
    """One person's word on one approval, and how long after they were asked, and after their own decision before."""

    person: str
    tool: str
    approved: bool
    at: str
    seconds: float
    since_last: float

    @property
    def quick(self) -> bool:
        return self.approved and min(self.seconds, self.since_last) < QUICK_SECONDS


async def deciding_report(views: Views, name: NameOf, clock: Clock, *, days: int) -> DecidingReport:
    """Count how people decided on what was asked within `days`."""
    since = timestamp(clock.now() - timedelta(days=days))
    found, cursor = list[ApprovalSummary](), None
    while True:
        page = await views.list(APPROVALS.view, since=since, cursor=cursor, limit=_PAGE)
        found += [ApprovalSummary.model_validate_json(row.body) for row in page.items]
        cursor = page.cursor
        if cursor is None or len(found) >= MOST_APPROVALS:
            break
    said = list(words_in(found))
    people = [_person(person, theirs, await name(person)) for person, theirs in _by(said, "person").items()]
    tools = [_tool(tool, asked, _by(said, "tool").get(tool, [])) for tool, asked in _asked(found).items()]
    return DecidingReport(
        days=days,
        complete=cursor is None,
        quick_seconds=QUICK_SECONDS,
        people=sorted(people, key=lambda one: -(one.approved + one.denied)),
        tools=sorted(tools, key=lambda one: -one.asked),
    )


def words_in(asked: Iterable[ApprovalSummary]) -> Iterator[Said]:
    """Yield what people said, in the order in which they did."""
    last: dict[str, str] = {}
    for person, tool, approved, requested_at, at in sorted(_words(asked), key=lambda word: word[-1]):
        before = last.get(person)
        last[person] = at
        yield Said(
            person=person,
            tool=tool,
            approved=approved,
            at=at,
            seconds=_seconds(requested_at, at),
            since_last=_seconds(before, at) if before else float("inf"),
        )


def _words(asked: Iterable[ApprovalSummary]) -> Iterator[tuple[str, str, bool, str, str]]:
    for one in asked:
        for given in one.given:
            yield given.by, one.tool, True, one.requested_at, given.at
        if one.approver and one.verdict in ("approved", "denied"):
            at = one.decided_at or one.resolved_at
            yield one.approver.id, one.tool, one.verdict == "approved", one.requested_at, at


def _by(said: Iterable[Said], name: str) -> Mapping[str, list[Said]]:
    groups: defaultdict[str, list[Said]] = defaultdict(list)
    for one in said:
        groups[one.person if name == "person" else one.tool].append(one)
    return groups


def _asked(found: Iterable[ApprovalSummary]) -> Mapping[str, list[ApprovalSummary]]:
    groups: defaultdict[str, list[ApprovalSummary]] = defaultdict(list)
    for one in found:
        groups[one.tool].append(one)
    return groups


def _person(person: str, said: Sequence[Said], name: str | None) -> ByPerson:
    counts = _counts(said)
    all_yes = len(said) >= FEWEST and counts.denied == 0
    return ByPerson(
        **counts.model_dump(),
        person=person,
        name=name,
        always_quickly=all_yes and counts.quick * 2 > counts.approved,
    )


def _tool(tool: str, asked: Sequence[ApprovalSummary], said: Sequence[Said]) -> ByTool:
    return ByTool(
        **_counts(said).model_dump(),
        tool=tool,
        asked=len(asked),
        expired=sum(one.verdict == "expired" for one in asked),
        escalated=sum(one.escalated for one in asked),
    )


def _counts(said: Sequence[Said]) -> Deciding:
    seconds = [one.seconds for one in said]
    return Deciding(
        approved=sum(one.approved for one in said),
        denied=sum(not one.approved for one in said),
        quick=sum(one.quick for one in said),
        median_seconds=round(median(seconds)) if seconds else None,
        longest_seconds=round(max(seconds)) if seconds else None,
    )


def _seconds(start: str, end: str) -> float:
    return (parse_timestamp(end) - parse_timestamp(start)).total_seconds()
