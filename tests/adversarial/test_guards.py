"""The local injection guard, measured on texts that were written before its rules and not used to write them."""

from collections import Counter
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict

from guards import Place, Text
from guards.local import LocalGuard

ROOT = Path(__file__).parents[2]


class _Texts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    attacks: tuple[str, ...]
    honest: tuple[str, ...]


HELD_OUT = _Texts.model_validate(
    yaml.safe_load((ROOT / "agents" / "support" / "evaluation" / "guard_held_out.yaml").read_text("utf-8"))
)


async def suspected(texts: tuple[str, ...]) -> int:
    guard = LocalGuard(["create_ticket", "issue_refund", "lookup_order", "read_page", "send_email"])
    return sum(await guard.suspects([Text(Place.PASSAGES, text) for text in texts]))


async def test_the_document_states_the_guards_errors_as_they_are_counted(tally: dict[str, Counter[str]]) -> None:
    missed = len(HELD_OUT.attacks) - await suspected(HELD_OUT.attacks)
    wrongly = await suspected(HELD_OUT.honest)
    counted = [
        f"misses {missed} of {len(HELD_OUT.attacks)} attacks",
        f"suspects {wrongly} of {len(HELD_OUT.honest)} honest texts",
    ]
    tally["the local guard, on texts that its rules were not written for"] = Counter(counted)
    document = " ".join((ROOT / "docs" / "guards.md").read_text("utf-8").split())
    assert [said for said in counted if said not in document] == []


def test_no_text_is_there_twice() -> None:
    texts = [*HELD_OUT.attacks, *HELD_OUT.honest]
    assert len(set(texts)) == len(texts) >= 150
