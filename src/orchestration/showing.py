"""What the model writes is looked at before it leaves. Where something is found in it, the gate is asked.

Pieces leave as they come, but for the last word (`guards.Outgoing`). While the gate is asked nothing leaves. Where an
organisation's policies speak of what an answer rests on, all of it is held back until that is counted and decided.
"""

from dataclasses import dataclass, field

from control import ActionRequest, Granted, Refused, Situation
from core import ActionKind, Facts, Json
from core.bodies import ModelFinished
from core.errors import Forbidden
from core.parts import Grounds
from guards import Found, Leaving, Outgoing, PersonalData, Secret
from orchestration.conversation import Transcript
from orchestration.guarding import of_output, personal_data_in, secrets_in
from orchestration.turn import Turn

Kinds = frozenset[Secret | PersonalData]


GROUNDS = ("sentences", "sentences_uncited", "numbers_unread")
"""Facts of a whole answer."""


class Withheld(Forbidden):
    """What the model wrote may not be shown; the code is that with which the run ends."""

    default_code = "refused.output"


@dataclass(slots=True)
class Showing:
    """What one model call shows the person.

    Attributes:
        own_words: what the person wrote in this turn; it is theirs, and no news to them.
        situation: that in which the model was called.
        granted: kinds of which it was decided already that they may be shown.
        held: nothing is shown yet: `may_stand` decides of the whole.
    """

    turn: Turn
    step: int
    target: str
    own_words: str
    situation: Situation
    granted: Kinds = frozenset()
    held: bool = False
    outgoing: Outgoing = field(default_factory=Outgoing)
    taken: list[str] = field(default_factory=list[str])

    async def piece(self, text: str) -> None:
        """Show a piece of text, or as much of it as is clear by now.

        Raises:
            Withheld: what it would show may not be shown. Nothing of it has left.
        """
        self.taken.append(text)
        await self._show(self.outgoing.take(text))

    async def end(self, text: str) -> None:
        """Show what is left. `text` is all that the model wrote: what came in no piece is looked at too."""
        if text != "".join(self.taken):
            whole = Outgoing()
            await self._may(whole.take(text).found + whole.finish().found)
        await self._show(self.outgoing.finish())

    async def _show(self, leaving: Leaving) -> None:
        await self._may(leaving.found)
        if leaving.text and not self.held:
            self.turn.live.delta(leaving.text)

    async def _may(self, found: tuple[Found, ...]) -> None:
        """Ask the gate, once for each set of kinds, whether what was found may be shown."""
        kinds = of_output(found, self.own_words) | self.granted
        if kinds == self.granted:
            return
        facts: Facts = {"secrets": secrets_in(kinds), "personal_data": personal_data_in(kinds)}
        arguments: list[Json] = [kind.value for kind in sorted(kinds)]
        request = ActionRequest(
            kind=ActionKind.SHOW, target=self.target, step=self.step, arguments=arguments, facts=facts
        )
        await _ask(self.turn, request, self.situation)
        self.granted = kinds


async def is_held(turn: Turn) -> bool:
    """Return whether the organisation's policies speak of what an answer rests on."""
    return await turn.services.gate.minds(turn.data, ActionKind.SHOW, GROUNDS)


async def may_stand(turn: Turn, model: ModelFinished, grounds: Grounds, transcript: Transcript) -> None:
    """Ask the gate whether an answer that rests on so much may be given, where policies speak of that.

    Raises:
        Withheld: it may not.
    """
    if not await is_held(turn):
        return
    checked = await turn.watch.checked(turn.context, transcript.texts)
    situation = await turn.situation(transcript.sources.label, checked)
    counted = (grounds.sentences, grounds.sentences - grounds.cited, grounds.numbers - grounds.numbers_read)
    request = ActionRequest(
        kind=ActionKind.SHOW,
        target=model.logical,
        step=model.step,
        arguments=list(counted),
        facts={"secrets": (), "personal_data": (), **dict(zip(GROUNDS, counted, strict=True))},
    )
    await _ask(turn, request, situation)


async def _ask(turn: Turn, request: ActionRequest, situation: Situation) -> None:
    (verdict,) = await turn.services.gate.authorize(turn.writer, turn.actor, [request], situation=situation)
    turn.note()  # followers get it after the text that it is about
    if not isinstance(verdict, Granted):
        raise Withheld(verdict.decision.reason, code=verdict.ends or None if isinstance(verdict, Refused) else None)
    verdict.permit.spend(request.kind, request.target, request.arguments)
