"""`/policies`: the organisation's own policies: what is in force, a draft checked and tried, and earlier versions."""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import orjson
from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import Field, StringConstraints

from control import PolicyRecord, RuleWords, words_of
from core import ActionKind, Json, Lane, Role, TenantContext
from core.errors import MandateError, NotFound, Unprocessable
from data import Versioned
from interaction.answers import Given, problems
from interaction.authority import Admin, Overseer
from interaction.console.forms import form_of
from interaction.console.navigation import Entry
from interaction.console.rendering import PageView
from interaction.dependencies import Deps, InteractionDependencies
from interaction.people import names_in
from interaction.routes.policies import SavedPolicies, saved
from interaction.routes.policy_trying import Question, TriedPolicies, TriedText, tried
from interaction.routes.policy_versions import NumberPath, Why, restored, version_of, versions_of

router = APIRouter(prefix="/policies", tags=["console"], default_response_class=HTMLResponse)

ENTRY = Entry(
    name="policies", path="/policies", icon="scales", position=70, roles=(Role.OWNER, Role.ADMIN, Role.AUDITOR)
)

_SEE_OTHER = 303
_BACK = {303: {"description": "To the page"}}

_Word = Annotated[str, StringConstraints(max_length=200)]


class Draft(Given):
    """What the editor sends; the question is asked if it has a target."""

    text: Annotated[str, StringConstraints(max_length=90_000)] = ""
    act: Literal["check", "try"]
    days: Annotated[int, Field(ge=0, le=90, strict=False)] = 7
    kind: Annotated[ActionKind, Field(strict=False)] = ActionKind.CALL_TOOL
    target: _Word = ""
    agent: _Word = ""
    facts: Annotated[str, StringConstraints(max_length=4000)] = ""


class Kept(SavedPolicies):
    """What is put in force, and the ETag of what was in force when the draft was checked."""

    text: Annotated[str, StringConstraints(max_length=90_000)] = ""
    etag: _Word = ""


class Restored(Why):
    etag: _Word = ""


@dataclass(frozen=True, slots=True)
class ShownRule:
    layer: str
    name: str
    lane: Lane
    approvers: int
    reason: str
    words: RuleWords


@dataclass(frozen=True, slots=True)
class DiffLine:
    """`change` is `+`, `-`, `@` for a place, or a space."""

    change: str
    text: str


@router.get("", responses=problems(422))
async def policies_page(me: Overseer, deps: Deps, page: PageView) -> Response:
    """Show the policies in force, and an editor. Roles: owner, admin, auditor."""
    stored = await deps.policies.read(deps.store.tenant(me))
    draft = Draft(text=stored.value.text if stored else "", act="check")
    return await page.show("policies.html", 200, **await _surroundings(me, deps, stored), draft=draft, checked=False)


@router.post("/draft", responses=problems(422))
async def check_draft(request: Request, me: Overseer, deps: Deps, page: PageView) -> Response:
    """Check a draft, and try it: nothing is put in force. Roles: owner, admin, auditor."""
    draft = await form_of(request, Draft)
    stored = await deps.policies.read(deps.store.tenant(me))
    wrong = await deps.policies.lint(draft.text)
    found: TriedPolicies | None = None
    refused = ""
    if draft.act == "try" and not wrong:
        try:
            found = await tried(me, deps, TriedText(text=draft.text, days=draft.days, question=_question(draft)))
        except MandateError as error:
            refused = error.message
    return await page.show(
        "policies.html",
        200,
        **await _surroundings(me, deps, stored),
        draft=draft,
        checked=True,
        wrong=wrong,
        tried=found,
        refused=refused,
        diff=list(_diff(stored.value.text if stored else "", draft.text)),
    )


@router.post("", responses={**_BACK, **problems(412, 422, 504)})
async def put_in_force(request: Request, me: Admin, deps: Deps) -> Response:
    """Put a draft in force, with a reason. Roles: owner, admin."""
    kept = await form_of(request, Kept)
    await saved(me, deps, {"text": kept.text, "reason": kept.reason}, kept.etag or None)
    return RedirectResponse("/policies#versions", _SEE_OTHER)


@router.get("/versions/{number}", responses=problems(404))
async def version_page(number: NumberPath, me: Overseer, deps: Deps, page: PageView) -> Response:
    """Show an earlier version, and what it has otherwise than the one in force. Roles: owner, admin, auditor."""
    data = deps.store.tenant(me)
    stored, version = await deps.policies.read(data), await version_of(me, deps, number)
    if stored is None:
        raise NotFound("There is no such version of the policies.")
    return await page.show(
        "policy_version.html",
        version=version,
        diff=list(_diff(stored.value.text, version.text)),
        in_force=stored.value.number,
        etag=stored.etag,
        may=me.has(Role.ADMIN, Role.OWNER),
    )


@router.post("/versions/{number}", responses={**_BACK, **problems(404, 412, 422, 504)})
async def restore(number: NumberPath, request: Request, me: Admin, deps: Deps) -> Response:
    """Put an earlier version in force again, with a reason. Roles: owner, admin."""
    asked = await form_of(request, Restored)
    await restored(me, deps, number, asked.reason, asked.etag or None)
    return RedirectResponse("/policies#versions", _SEE_OTHER)


async def _surroundings(
    me: TenantContext, deps: InteractionDependencies, stored: Versioned[PolicyRecord] | None
) -> dict[str, object]:
    data = deps.store.tenant(me)
    rules, names = await deps.policies.ruleset(data), names_in(data)
    versions = await versions_of(me, deps)
    return {
        "rules": [
            ShownRule(rule.layer, rule.id.partition("/")[2], rule.lane, rule.approvers, rule.reason, words_of(rule))
            for rule in rules.rules.values()
        ],
        "in_force": rules.version,
        "etag": stored.etag if stored else "",
        "versions": versions,
        "people": {one.by.id: await names(one.by.id) or one.by.id for one in versions if one.by},
        "kinds": list(ActionKind),
        "tools": sorted({tool for agent in deps.agents.values() for tool in agent.tools}),
        "agents": list(deps.agents),
        "may": me.has(Role.ADMIN, Role.OWNER),
    }


def _question(draft: Draft) -> Question | None:
    """Return the question of a draft.

    Raises:
        Unprocessable: a line of its facts is not `name = value`, the value as in JSON.
    """
    if not draft.target:
        return None
    facts: dict[str, Json] = {}
    for line in filter(None, map(str.strip, draft.facts.splitlines())):
        name, equals, value = line.partition("=")
        try:
            facts[name.strip()] = orjson.loads(value.strip())
        except orjson.JSONDecodeError:
            equals = ""
        if not equals:
            raise Unprocessable(f'Write each fact as `name = value`, such as `effect = "write"`: {line}')
    asked: dict[str, object] = {"kind": draft.kind, "target": draft.target, "agent": draft.agent, "facts": facts}
    return Question.model_validate(asked)


def _diff(before: str, after: str) -> Iterator[DiffLine]:
    lines: Sequence[str] = list(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=2))
    for line in lines[2:]:
        yield DiffLine(line[0], line[1:] if line[0] != "@" else line)
