"""What was decided of each class of content: `environments/governance.yaml`, read and checked at the start."""

from collections.abc import Mapping
from pathlib import Path
from typing import Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from core import Confidentiality, ContentClass
from core.errors import Defect


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ClassRule(_Strict):
    """See `environments/governance.yaml`; `retention_days` 0 is until it is erased."""

    owner: str = Field(min_length=1)
    classification: Confidentiality
    purpose: str = Field(min_length=1)
    retention_days: int = Field(ge=0, le=36_500, strict=True)
    region: str = Field(min_length=1)


class Governance(_Strict):
    """The rules of every class of content."""

    classes: Mapping[ContentClass, ClassRule]

    @property
    def retention(self) -> Mapping[ContentClass, int]:
        """For how many days content of a class stays, 0 for ever."""
        return {kind: rule.retention_days for kind, rule in self.classes.items()}

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if missing := [kind.value for kind in ContentClass if kind not in self.classes]:
            raise ValueError(f"these classes are missing: {', '.join(missing)}")
        title, document = (self.retention[kind] for kind in (ContentClass.TITLE, ContentClass.DOCUMENT))
        if title and (not document or title < document):
            raise ValueError("titles must stay at least as long as documents")
        return self


def load_governance(path: Path) -> Governance:
    """Read the file at `path`; raises `Defect` (`defect.governance`) if it is not there, not whole or wrong."""
    try:
        raw: object = yaml.safe_load(path.read_text())
        return Governance.model_validate(raw)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        raise _broken(path, "it cannot be read as YAML; is it there?") from None
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, item['loc'])) or 'it'}: {item['msg']}" for item in error.errors())
        raise _broken(path, found) from None


def _broken(path: Path, what: str) -> Defect:
    return Defect(f"{path.name} cannot be used: {what}.", code="defect.governance")
