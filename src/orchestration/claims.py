"""Telling organisations that a claim about an agent holds no more, or holds again: an event in each one's own log."""

from collections.abc import Mapping

from control import AccessLog, AgentManifest, Switches, SwitchesRecord, changed
from core import Clock
from data import TenantData

KIND = "claim"


class Claims:
    """Compares how the claims stand with what a tenant was told. Several processes may do so: one of them writes."""

    def __init__(
        self, switches: Switches, access: AccessLog, agents: Mapping[str, AgentManifest], clock: Clock
    ) -> None:
        self._switches = switches
        self._access = access
        self._agents = agents
        self._clock = clock

    async def tell(self, data: TenantData) -> int:
        """Write down in the tenant's log what changed since it was told last; returns how many claims that are."""
        now = self.standing((await self._switches.thrown(data)).everywhere)
        news: dict[str, str] = {}

        def told(record: SwitchesRecord) -> SwitchesRecord:
            news.clear()
            news.update({name: state for name, state in now.items() if record.claims.get(name) != state})
            news.update(dict.fromkeys(record.claims.keys() - now.keys(), "in_force"))
            return record.model_copy(update={"claims": now}) if news else record

        await changed(data, told)
        for name, state in news.items():
            await self._access.admin(data.context, KIND, name, state)
        return len(news)

    def standing(self, marked: Mapping[str, object]) -> dict[str, str]:
        """Return the claims that have switched something off, and how they stand."""
        today = self._clock.now().date()
        claims = [claim for agent in self._agents.values() for claim in agent.claimed.claims]
        states = {claim.id: claim.state(marked, today) for claim in claims}
        return {name: state.value for name, state in states.items() if state.stops}
