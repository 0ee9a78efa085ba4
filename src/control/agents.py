"""Agents as data: `agents/<name>/agent.yaml` and the prompt files beside it, read strictly when the program starts."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from control.asking import AgentFacts
from control.register import SEARCH, WHOLE_AGENT, Register
from core import Confidentiality, Effect, PrincipalId, TenantId, canonical, derived_id, digest
from core.errors import Defect
from core.parts import Limits

_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]
_Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
_FileName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*\.(md|txt)$")]
_Version = Annotated[str, StringConstraints(pattern=r"^\d+\.\d+\.\d+$")]

_M = TypeVar("_M", bound=BaseModel)

MAX_FILE_BYTES = 100_000


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Owner(_Strict):
    """Who answers for the agent: a role or a team at each side, not a person's name."""

    publisher: _Text
    customer: _Text


class DataUse(_Strict):
    collections: tuple[_Name, ...]
    confidentiality_ceiling: Confidentiality


class Identity(_Strict):
    """The agent as a principal.

    Attributes:
        purpose: one word for what it is for, which policies read.
        valid_until: the last day of this version, in UTC.
    """

    purpose: _Name
    valid_until: date


class PromptFiles(_Strict):
    system: _FileName


class Retrieval(_Strict):
    passages: Annotated[int, Field(ge=1, le=50)]


class History(_Strict):
    turns: Annotated[int, Field(ge=0, le=100)]


def _positive(limits: Limits) -> Limits:
    """A limit of nothing is a mistake, except that an agent may go without tools."""
    values: dict[str, int] = limits.model_dump()
    if any(value < (name != "tool_calls") for name, value in values.items()):
        raise ValueError("every limit must be greater than 0")
    return limits


class _Agent(_Strict):
    name: _Name
    version: _Version
    title: _Text
    owner: Owner
    identity: Identity
    purpose: _Text
    intended_use: Annotated[tuple[_Text, ...], Field(min_length=1)]
    prohibited_use: Annotated[tuple[_Text, ...], Field(min_length=1)]
    data: DataUse
    tools: tuple[_Name, ...]
    effects: tuple[Effect, ...]
    model: _Name
    retrieval: Retrieval
    limits: Annotated[Limits, AfterValidator(_positive)]
    history: History
    disclosure: _Text
    objection: _Text
    examples: Annotated[tuple[_Text, ...], Field(max_length=6)] = ()


class _File(_Agent):
    prompts: PromptFiles


class Prompt(_Strict):
    """A prompt as the model gets it, and the SHA-256 of its UTF-8 text in hex."""

    file: str
    text: str
    sha256: str


class AgentManifest(_Agent):
    """All that makes an agent.

    Attributes:
        tools: names of registered tools; it can call no other.
        effects: what these may do at most.
        model: logical name, as in the environment's catalogue.
        disclosure: what people are told they talk to.
        objection: how somebody affected by the agent can object.
        examples: questions to begin with, for people who do not know yet what to ask.
        claimed: its entry in the register: claims and known errors.
        digest: SHA-256 in hex over the manifest, its prompts and its register.
    """

    system: Prompt
    claimed: Register
    digest: str

    @property
    def prompts(self) -> dict[str, str]:
        """Prompt file name to SHA-256, as a run's first event has it."""
        return {self.system.file: self.system.sha256}

    def principal(self, tenant: TenantId) -> PrincipalId:
        """Return the pseudonym under which this version acts in a tenant."""
        return PrincipalId(derived_id("agt", tenant, self.name, self.version))

    def facts(self, tenant: TenantId) -> AgentFacts:
        """Return the agent as the gate is told of it: with all that its manifest gives it."""
        return AgentFacts(
            name=self.name,
            id=self.principal(tenant),
            purpose=self.identity.purpose,
            valid_until=datetime.combine(self.identity.valid_until, time.max, UTC),
            tools=frozenset(self.tools),
            effects=frozenset(self.effects),
            collections=frozenset(self.data.collections),
            confidentiality_ceiling=self.data.confidentiality_ceiling,
            claims=self.claimed.claims,
        )


def load_agents(folder: Path) -> Mapping[str, AgentManifest]:
    """Return all agents in `folder` by name. Reads files: call it when the program starts.

    Raises:
        Defect: a manifest or a prompt is missing or wrong (code `defect.agent`); names the file and the keys.
    """
    agents = [_load(path) for path in sorted(folder.glob("*/agent.yaml"))]
    if not agents:
        raise _broken(folder, "there is no <name>/agent.yaml in it")
    return MappingProxyType({agent.name: agent for agent in agents})


def _load(path: Path) -> AgentManifest:
    manifest = _parsed(path, _File)
    if manifest.name != path.parent.name:
        raise _broken(path, f"name: it must be that of its folder, `{path.parent.name}`")
    text = _read(path.parent / manifest.prompts.system)
    system = Prompt(file=manifest.prompts.system, text=text, sha256=digest(text.encode()))
    if not text.strip():
        raise _broken(path.parent / system.file, "it is empty")
    register = _register(path.parent / "register.yaml", manifest)
    parts = [manifest.model_dump(mode="json"), {system.file: system.sha256}, register.model_dump(mode="json")]
    fields = manifest.model_dump(exclude={"prompts"})
    return AgentManifest.model_validate(
        {**fields, "system": system, "claimed": register, "digest": digest(canonical(parts))}
    )


def _register(path: Path, manifest: _File) -> Register:
    register = _parsed(path, Register)
    names = [claim.id for claim in register.claims]
    if len(set(names)) < len(names) or not all(name.startswith(f"{manifest.name}-") for name in names):
        raise _broken(path, f"claims: each needs an id of its own that begins with `{manifest.name}-`")
    known = (WHOLE_AGENT, SEARCH, *(f"tool/{tool}" for tool in manifest.tools))
    if unknown := [claim.id for claim in register.claims if claim.switches_off not in known]:
        raise _broken(path, f"claims: {', '.join(unknown)} would switch off what the agent was not given")
    return register


def _parsed(path: Path, model: type[_M]) -> _M:
    try:
        raw: object = yaml.safe_load(_read(path))
        return model.model_validate(raw)
    except yaml.YAMLError:
        raise _broken(path, "it is not valid YAML") from None
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, item['loc'])) or 'it'}: {item['msg']}" for item in error.errors())
        raise _broken(path, found) from None


def _read(path: Path) -> str:
    try:
        data = path.read_bytes()
        if len(data) > MAX_FILE_BYTES:
            raise _broken(path, f"it is longer than {MAX_FILE_BYTES} bytes")
        return data.decode()
    except OSError:
        raise _broken(path, "it cannot be read; is it there?") from None
    except UnicodeDecodeError:
        raise _broken(path, "it is not UTF-8 text") from None


def _broken(path: Path, what: str) -> Defect:
    return Defect(f"The agent in {path.parent.name}/{path.name} cannot be used: {what}.", code="defect.agent")
