"""Where a document was used: a line for each run that was shown passages of it, folded from the run's events."""

from collections.abc import Sequence

from core import DocumentId, RunId
from core.bodies import AnswerGiven, PassagesRetrieved
from core.events import Event
from core.parts import RunKind
from data.ports import Row
from data.run_views import Projection, RunSummary, Summary, body_of


class UseSummary(Summary):
    """One line of where a document was used: the body of a row of `USES`, whose `state` is the document.

    Attributes:
        at: when the passages were last found.
        shown: ids of the document's passages that the run was shown.
        cited: those that its answer cites.
    """

    document: DocumentId
    run: RunId
    kind: RunKind
    agent: str
    requester: str
    at: str
    shown: tuple[str, ...] = ()
    cited: tuple[str, ...] = ()


def _keys(event: Event, _: Row | None) -> Sequence[str]:
    match event.body:
        case PassagesRetrieved(passages=uses) | AnswerGiven(citations=uses):
            return [f"{document}/{event.run}" for document in dict.fromkeys(use.document for use in uses)]
        case _:
            return ()


def _fold(key: str, row: Row | None, events: Sequence[Event], run: Row | None) -> Row | None:
    summary = UseSummary.model_validate_json(row.body) if row else _first(key, events[0], run)
    if summary is None:
        return None
    for event in events:
        summary = _after(summary, event)
    return Row(
        tenant=events[-1].tenant,
        key=key,
        sort=f"{summary.at} {summary.run}",
        owner=summary.requester,
        state=summary.document,
        run=summary.run,
        seq=events[-1].seq,
        body=body_of(summary),
    )


def _first(key: str, event: Event, run: Row | None) -> UseSummary | None:
    if run is None:
        return None
    opened = RunSummary.model_validate_json(run.body)
    return UseSummary(
        document=DocumentId(key.partition("/")[0]),
        run=event.run,
        kind=opened.kind,
        agent=opened.agent,
        requester=opened.requester,
        at=event.at,
    )


def _after(summary: UseSummary, event: Event) -> UseSummary:
    match event.body:
        case PassagesRetrieved(passages=uses):
            shown = [use.passage for use in uses if use.document == summary.document]
            return summary.model_copy(update={"shown": _with(summary.shown, shown), "at": event.at})
        case AnswerGiven(citations=citations):
            cited = [citation.passage for citation in citations if citation.document == summary.document]
            return summary.model_copy(update={"cited": _with(summary.cited, cited)})
        case _:
            return summary


def _with(known: Sequence[str], more: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*known, *more)))


USES = Projection(view="uses", keys=_keys, fold=_fold)
