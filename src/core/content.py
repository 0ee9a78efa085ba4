"""Content: whatever people, documents, models and tools say. It lives in the content store and nowhere else."""

from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from core.canonical import commitment, new_commitment_key
from core.ids import ContentId, PrincipalId, new_id
from core.labels import Confidentiality


class ContentClass(StrEnum):
    """What a piece of content is; retention is set per class."""

    PROMPT = "prompt"
    ANSWER = "answer"
    ARGUMENTS = "arguments"
    RESULT = "result"
    PASSAGES = "passages"
    REASON = "reason"
    DOCUMENT = "document"
    PROFILE = "profile"
    TITLE = "title"


class ContentRef(BaseModel):
    """What an event may hold of a piece of content: where it is, and a keyed commitment to its bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: ContentId
    commitment: str
    kind: ContentClass


@dataclass(frozen=True, slots=True)
class Content:
    """A piece of content on its way into the store.

    `key` is random and kept beside the bytes: destroying both leaves a commitment that nothing can be guessed from.
    """

    ref: ContentRef
    data: bytes
    key: bytes
    owner: PrincipalId
    confidentiality: Confidentiality

    @classmethod
    def new(
        cls,
        data: bytes,
        *,
        kind: ContentClass,
        owner: PrincipalId,
        confidentiality: Confidentiality = Confidentiality.CONFIDENTIAL,
    ) -> "Content":
        key = new_commitment_key()
        ref = ContentRef(id=ContentId(new_id("cnt")), commitment=commitment(key, data), kind=kind)
        return cls(ref=ref, data=data, key=key, owner=owner, confidentiality=confidentiality)
