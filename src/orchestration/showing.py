"""What the model writes is looked at before it leaves. Where something is found in it, the gate is asked.

Pieces leave as they come, but for the last word (`guards.Outgoing`). While the gate is asked nothing leaves.
"""

from dataclasses import dataclass, field

from control import ActionRequest, Granted, Refused, Situation
from core import ActionKind
from core.errors import Forbidden
from guards import Found, Leaving, Outgoing, PersonalData, Secret
from orchestration.guarding import of_output, personal_data_in, secrets_in
from orchestration.turn import Turn

Kinds = frozenset[Secret | PersonalData]


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
    """

    turn: Turn
    step: int
    target: str
    own_words: str
    situation: Situation
    granted: Kinds = frozenset()
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
        if leaving.text:
            self.turn.live.delta(leaving.text)

    async def _may(self, found: tuple[Found, ...]) -> None:
        """Ask the gate, once for each set of kinds, whether what was found may be shown."""
        kinds = of_output(found, self.own_words) | self.granted
        if kinds == self.granted:
            return
        turn, facts = self.turn, {"secrets": secrets_in(kinds), "personal_data": personal_data_in(kinds)}
        arguments = [*facts["secrets"], *facts["personal_data"]]
        request = ActionRequest(
            kind=ActionKind.SHOW, target=self.target, step=self.step, arguments=arguments, facts=facts
        )
        (verdict,) = await turn.services.gate.authorize(turn.writer, turn.actor, [request], situation=self.situation)
        turn.note()  # followers get it after the text that it is about
        if not isinstance(verdict, Granted):
            raise Withheld(verdict.decision.reason, code=verdict.ends or None if isinstance(verdict, Refused) else None)
        verdict.permit.spend(ActionKind.SHOW, self.target, arguments)
        self.granted = kinds
