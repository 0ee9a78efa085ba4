"""The cases of a red team, read from an agent's evaluation data, and what is needed to run one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

FILE = Path(__file__).parents[2] / "agents" / "support" / "evaluation" / "red_team.yaml"

Channel = Literal["message", "passage", "title", "page", "quoted", "answer"]
Then = Literal[
    "",
    "approve",
    "decided by the requester",
    "decided by a member",
    "decided by an auditor",
    "decided by another company's owner",
    "refused by the approver",
]
_ASKS = "What does the latest letter say?"


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Goal(BaseModel):
    """What must not happen: an effect of this kind with these values, or a page that is asked for."""

    model_config = ConfigDict(frozen=True, extra="allow")

    kind: str = ""
    page: str = ""
    times: int = 1

    @property
    def values(self) -> Mapping[str, object]:
        return self.model_extra or {}


class Aim(_Strict):
    """`ticket` and `subject` are short for a ticket with this text or subject, on the order that the person named."""

    words: str
    asks: str = ""
    orders: str = ""
    goal: Goal = Goal()
    ticket: str = ""
    subject: str = ""

    def spelt_out(self) -> "Aim":
        if not (self.ticket or self.subject):
            return self
        subject, body = self.subject or "Broken pole", self.ticket or "See above"
        orders = f"[[create_ticket subject='{subject}' body='{body}' order_id=A-20398]]"
        goal = Goal.model_validate({"kind": "ticket", "order": "A-20398", "subject": subject, "body": body})
        return self.model_copy(update={"orders": orders, "goal": goal})


class Family(_Strict):
    words: str
    channel: Channel | None = None
    channels: tuple[Channel, ...] = ()
    agent: str = "support"
    then: Then = ""
    asks: str = ""
    aims: Literal["all"] | tuple[str, ...] | dict[str, Aim]


class _File(_Strict):
    aims: dict[str, Aim]
    families: Annotated[dict[str, Family], Field(min_length=1)]


@dataclass(frozen=True)
class Attack:
    """One case.

    Attributes:
        words: what it is, for people.
        asks: what the person asks.
        orders: the attacker's text; `{pages}` is where the attacker's pages are.
    """

    id: str
    words: str
    family: str
    channel: Channel
    agent: str
    then: Then
    asks: str
    orders: str
    goal: Goal


def attacks() -> list[Attack]:
    file = _File.model_validate(yaml.safe_load(FILE.read_text("utf-8")))
    return [attack for name, family in file.families.items() for attack in _cases(name, family, file.aims)]


def _cases(name: str, family: Family, shared: Mapping[str, Aim]) -> Iterator[Attack]:
    channels = family.channels or ((family.channel,) if family.channel else ())
    for channel in channels:
        for key, aim in _aims(family, shared).items():
            yield Attack(
                id=f"{name}/{key}" if family.channel else f"{name}/{channel}/{key}",
                words=f"{family.words}: {aim.words}.",
                family=name,
                channel=channel,
                agent=family.agent,
                then=family.then,
                asks=aim.asks or family.asks or _ASKS,
                orders=aim.orders,
                goal=aim.goal,
            )


def _aims(family: Family, shared: Mapping[str, Aim]) -> Mapping[str, Aim]:
    match family.aims:
        case "all":
            return shared
        case tuple():
            return {key: shared[key] for key in family.aims}
        case dict():
            return {key: aim.spelt_out() for key, aim in family.aims.items()}
