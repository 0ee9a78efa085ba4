"""Flagged answers as cases for evaluating an agent: what was asked, what it read and answered, and what was wrong."""

from core import ActionKind, FlagId, RunId
from core.parts import FlagKind
from data import FlagSummary, TenantData, read_run
from interaction.answers import Told
from interaction.decisions import decisions_of, text_of
from interaction.explanation import Source, sources_of
from interaction.run_view import message_text, view_answer
from orchestration import Fetch, fold
from tools import Registry


class EvaluationCase(Told):
    """One flagged answer. Texts are `(erased)` where they are gone.

    Attributes:
        version: the agent's name and version, such as `support@1.2.0`.
        asked: what the person wrote.
        sources: what the agent was shown, with what it cited.
        actions: what it did or wanted to do with tools, in plain words.
        wrong: what the reader holds against the answer, and `resolution` what was done about it; null while it is open.
    """

    flag: FlagId
    run: RunId
    agent: str
    version: str
    kind: FlagKind
    wrong: str
    resolution: str | None
    asked: str | None
    answer: str | None
    sources: list[Source]
    actions: list[str]


class CasePage(Told):
    """`lag` is how many events the list of flags is behind the log."""

    items: list[EvaluationCase]
    cursor: str | None
    lag: int


async def case_of(flag: FlagSummary, data: TenantData, fetch: Fetch, registry: Registry) -> EvaluationCase:
    """Return a flagged answer with all that it takes to judge it, and to ask the same again."""
    events = await read_run(data, flag.run)
    progress = fold(events)
    told = await view_answer(progress, progress.answer, fetch) if progress.answer else None
    decisions = await decisions_of(events, fetch, registry)
    actions = [one.consequence or one.target for one in decisions if one.kind is ActionKind.CALL_TOOL]
    return EvaluationCase(
        flag=flag.flag,
        run=flag.run,
        agent=flag.agent,
        version=progress.run.versions.agent,
        kind=flag.kind,
        wrong=await text_of(flag.reason, fetch),
        resolution=await text_of(flag.resolution, fetch) if flag.resolution else None,
        asked=await message_text(progress, fetch),
        answer=told.text if told else None,
        sources=await sources_of(events, fetch),
        actions=list(dict.fromkeys(actions)),
    )
