"""The demo companies of `environments/local/demo`, as data."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, StringConstraints

from core import ID_PATTERN, Confidentiality, Integrity, Role, TenantId

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{1,40}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Group(_Strict):
    id: Slug
    object_id: str
    name: str


class User(_Strict):
    username: str
    name: str
    object_id: str
    roles: tuple[Role, ...]
    groups: tuple[Slug, ...] = ()


class Collection(_Strict):
    id: Slug
    title: str
    owner: str
    confidentiality: Confidentiality
    integrity: Integrity
    readers: tuple[Slug, ...] = ()
    purpose: str


class _File(_Strict):
    name: str
    slug: Slug
    id: Annotated[TenantId, StringConstraints(pattern=rf"^{ID_PATTERN}$")]
    entra_tenant_id: str
    plan: str
    region: str
    groups: tuple[Group, ...]
    users: tuple[User, ...]
    collections: tuple[Collection, ...]


@dataclass(frozen=True, slots=True)
class Document:
    collection: str
    name: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Company:
    """One demo company. `tenant` is the id under which it is onboarded."""

    folder: Path
    about: _File

    @property
    def tenant(self) -> TenantId:
        return self.about.id

    @property
    def admin(self) -> User:
        """Return who sets the company up: its first owner."""
        return next(user for user in self.about.users if Role.OWNER in user.roles)

    @property
    def policies(self) -> str:
        return (self.folder / "tenant_policies.cedar").read_text()

    def documents(self) -> Iterator[Document]:
        for path in sorted((self.folder / "documents").glob("*/*.md")):
            header, text = _front_matter(path.read_text())
            yield Document(path.parent.name, path.stem, str(header["title"]), text)

    def object_ids(self, groups: Sequence[str]) -> list[str]:
        known = {group.id: group.object_id for group in self.about.groups}
        return [known[group] for group in groups]


def load_companies(root: Path) -> list[Company]:
    folders = sorted((root / "environments" / "local" / "demo").glob("*/tenant.yaml"))
    return [Company(path.parent, _File.model_validate(yaml.safe_load(path.read_text()))) for path in folders]


def _front_matter(text: str) -> tuple[dict[str, object], str]:
    _, header, body = text.split("---\n", 2)
    return yaml.safe_load(header), body.strip()
