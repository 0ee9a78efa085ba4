"""What a check finds, and which rule says so."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Generic, TypeVar

from mandate.infra.documents import Object, Template

MOST_DAYS = 730
"""Days: certification wants no older version of an API."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be.

    Attributes:
        rule: its published name.
        blocking: whether a package is not certified with it.
        place: where: the file, and the deployments within.
    """

    rule: str
    blocking: bool
    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {'error' if self.blocking else 'warning'} {self.rule}: {self.message}"


@dataclass(frozen=True, slots=True)
class Asked:
    """What checks compare with.

    Attributes:
        today: the day from which the age of API versions counts.
        accepted: API versions that are accepted in spite of their age or of being a preview, as `type@version`.
        template: beside a createUiDefinition.json, the template that it fills in.
    """

    today: date
    accepted: frozenset[str] = frozenset()
    template: Object | None = None


Rule = TypeVar("Rule")
TemplateRule = Callable[[Template, Asked], Iterator[str]]
FormRule = Callable[[Object, Asked], Iterator[str]]


@dataclass(frozen=True, slots=True)
class Named(Generic[Rule]):
    """A rule under the name that it is published by."""

    name: str
    check: Rule
    blocking: bool = True
