"""The record on which each decision rests: what is switched off, who answers for the agents, what claims were told."""

from typing import ClassVar

from pydantic import ConfigDict, Field

from core import Actor, Confidentiality, ContentRef, Effect, PrincipalId
from data import Record


class _Strict(Record):
    kind: ClassVar[str] = ""  # of those that are part of another
    model_config = ConfigDict(frozen=True, extra="forbid")


class Switch(_Strict):
    """Who switched something off, when and why."""

    by: Actor
    at: str
    reason: ContentRef


class AgentScope(_Strict):
    """What an agent may do and read at most, within what its manifest says."""

    tools: frozenset[str]
    effects: frozenset[Effect]
    collections: frozenset[str]
    confidentiality_ceiling: Confidentiality


class Sponsorship(_Strict):
    """Who at the customer answers for an agent, and what it may do for them.

    Attributes:
        sponsor: an owner or admin.
        since: when they took it on, or changed it last.
        until: when it ends by itself.
        seen_until: their role counts as theirs until then; empty for good once they were seen without it, or erased.
        revoked: set for good, until somebody takes the agent on anew.
        entra_object_id: of the agent's identity in the customer's own Entra tenant, if it has one there.
    """

    sponsor: PrincipalId
    since: str
    until: str
    seen_until: str
    scope: AgentScope
    revoked: Switch | None = None
    entra_object_id: str = ""


class SwitchesRecord(_Strict):
    """What each decision rests on, of a tenant or in the publisher's tenant for all. Key: `SWITCHES_KEY`.

    Attributes:
        off: what is switched off, by name.
        agents: the sponsorships of a tenant, by the agent's name.
        claims: of which claims the tenant was told that they do not hold, and how they stood.
    """

    kind: ClassVar[str] = "switches"
    off: dict[str, Switch] = Field(default={})
    agents: dict[str, Sponsorship] = Field(default={})
    claims: dict[str, str] = Field(default={})


SWITCHES_KEY = "current"
