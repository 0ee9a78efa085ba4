"""Honest tasks, read from an agent's evaluation data."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict

FILE = Path(__file__).parents[2] / "agents" / "support" / "evaluation" / "benign.yaml"
_FIELD = re.compile(r"\{(\w+)\}")


class _Family(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    words: str
    message: str
    calls: str = ""
    first: str = ""
    letter: str = ""
    page: str = ""
    person: str = ""
    tasks: tuple[dict[str, str], ...]


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    families: dict[str, _Family]


@dataclass(frozen=True)
class Task:
    """One case.

    Attributes:
        first: what the person said in an earlier turn.
        person: why a colleague has to say yes; empty if nobody has to.
        values: what the templates are filled in with.
    """

    id: str
    family: str
    words: str
    message: str
    calls: str
    first: str
    letter: str
    page: str
    person: str
    values: Mapping[str, str]

    def filled(self, template: str, page: str) -> str:
        """Fill in what the task says; what it does not say stays, for the model to take from what tools returned."""
        values = {**self.values, "page": page}
        return _FIELD.sub(lambda match: values.get(match[1], match[0]), template)


def tasks() -> list[Task]:
    file = _File.model_validate(yaml.safe_load(FILE.read_text("utf-8")))
    return [
        Task(
            id=f"{name}/{number}",
            family=name,
            words=family.words,
            message=family.message,
            calls=family.calls,
            first=family.first,
            letter=family.letter,
            page=family.page,
            person=family.person,
            values=values,
        )
        for name, family in file.families.items()
        for number, values in enumerate(family.tasks, 1)
    ]
