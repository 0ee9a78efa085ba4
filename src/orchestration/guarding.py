"""What guards say of all that the model reads, of what a tool is given, and of what leaves: facts, and no decisions.

Each text is looked at once in a turn. A guard that gave no answer is asked again at the next step. Nothing is kept
beyond the turn.
"""

import asyncio
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from control import Checked
from core import Facts, Json, TenantContext
from core.errors import MandateError
from guards import Found, Guard, PersonalData, Secret, Text, found_in
from orchestration.labelling import scalars
from telemetry import log

SECONDS = 3.0
"""Longest that a guard is waited for at one step; its own bound may be shorter."""

MOST = 400_000
"""Characters beyond which nobody looks at a text: it counts as one that no guard looked at."""


@dataclass(slots=True)
class _Seen:
    """What is known of one text; `by` are the guards that answered."""

    kinds: frozenset[Secret | PersonalData]
    suspicious: bool = False
    by: set[str] = field(default_factory=set[str])


class Watch:
    """The guards of one turn, and what they have said in it."""

    def __init__(self, guards: Sequence[Guard]) -> None:
        self._guards = guards
        self._seen: dict[Text, _Seen] = {}

    async def checked(self, context: TenantContext, texts: Sequence[Text]) -> Checked:
        """Return what is found in `texts`; all guards are asked at once about what they have not answered for yet."""
        for text in texts:
            if text not in self._seen:
                self._seen[text] = _Seen(kinds_of(text.text[:MOST]))
        wanted = [(guard, found) for guard in self._guards if (found := self._wanted(guard, texts))]
        if len(wanted) == 1:  # without a task of its own, which costs as much as the look
            await self._ask(context, *wanted[0])
        elif wanted:
            await asyncio.gather(*(self._ask(context, guard, found) for guard, found in wanted))
        seen = [(text.place, self._seen[text]) for text in texts]
        kinds = frozenset[Secret | PersonalData]().union(*(one.kinds for _, one in seen))
        names = [guard.name for guard in self._guards] or ["local"]
        looked = tuple(sorted(name for name in names if all(name in one.by for _, one in seen)))
        return Checked(
            injection_in=tuple(sorted({place.value for place, one in seen if one.suspicious})),
            secrets=secrets_in(kinds),
            personal_data=personal_data_in(kinds),
            guards=looked,
            silent=tuple(sorted(set(names) - set(looked))),
        )

    def _wanted(self, guard: Guard, texts: Sequence[Text]) -> list[Text]:
        """Return what a guard has not answered for yet."""
        new = dict.fromkeys(text for text in texts if guard.name not in self._seen[text].by)
        return [text for text in new if len(text.text) <= MOST]

    async def _ask(self, context: TenantContext, guard: Guard, wanted: Sequence[Text]) -> None:
        try:
            async with asyncio.timeout(SECONDS):
                answers = list(await guard.suspects(wanted))
            found = dict(zip(wanted, answers, strict=True))
        except Exception as error:  # noqa: BLE001 - however a guard breaks, it gave no answer
            code = error.code if isinstance(error, MandateError) else "dependency.guard"
            log(logging.WARNING, "A guard gave no answer", context=context, code=code)
            return
        for text, suspicious in found.items():
            seen = self._seen[text]
            seen.by.add(guard.name)
            seen.suspicious = seen.suspicious or suspicious is not False  # what is no clear no counts as a yes


def kinds_of(text: str) -> frozenset[Secret | PersonalData]:
    return frozenset(found.kind for found in found_in(text))


def secrets_in(kinds: Iterable[Secret | PersonalData]) -> tuple[str, ...]:
    return tuple(sorted(kind.value for kind in kinds if isinstance(kind, Secret)))


def personal_data_in(kinds: Iterable[Secret | PersonalData]) -> tuple[str, ...]:
    return tuple(sorted(kind.value for kind in kinds if isinstance(kind, PersonalData)))


def of_arguments(arguments: Json) -> Facts:
    """Return, as facts, the secrets and personal data in what a tool is given."""
    kinds = kinds_of("\n".join(_texts(arguments)))
    return {"secrets": secrets_in(kinds), "personal_data": personal_data_in(kinds)}


def _texts(arguments: Json) -> Iterator[str]:
    yield from (str(value) for value in scalars(arguments) if isinstance(value, str | int))


def of_output(found: Iterable[Found], own_words: str) -> frozenset[Secret | PersonalData]:
    """Return the kinds found in what the model wrote, without what the person wrote themselves in this turn."""
    return frozenset(one.kind for one in found if one.value not in own_words)
