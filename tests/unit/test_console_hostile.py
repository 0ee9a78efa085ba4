"""Names that somebody hostile chose: in every page that shows one they are text."""

from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from babel import Locale

from control import SessionLine, TenantRecord, contexts
from core import PrincipalId, Role, TenantId, derived_id, new_id
from interaction.console.formats import Reader
from interaction.console.navigation import entries
from interaction.console.rendering import environment
from interaction.routes.people import Myself, Organisation
from web import Problem

HOSTILE = '</title><script>alert(1)</script><img src=x onerror=\'alert(2)\'>"><b onclick="x">'
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


class Tags(HTMLParser):
    """What a browser makes of a page: the names of its elements and attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.scripts += tag == "script"


def drawn(template: str, **values: object) -> str:
    tenant = TenantRecord(id=TenantId(derived_id("ten", "t")), name=HOSTILE, plan="team", region="local")
    me = contexts.from_directory(tenant, PrincipalId(new_id("prn")), roles=Role, groups=[HOSTILE], correlation="c")
    shared = {"me": me, "person": HOSTILE, "organisation": HOSTILE, "menu": entries(me), "waiting": {"approvals": 12}}
    reader = Reader(Locale("en"), UTC, NOON, "EUR")
    shared |= {"path": f"/{HOSTILE}", "csrf": "token", "theme": "", "reader": reader, "environment": "local"}
    shared |= {"is_staff": False, "from_publisher": [{"what": "message", "text": HOSTILE}]}
    return environment().get_template(template).render({**shared, **values})


def account() -> dict[str, object]:
    organisation = Organisation(id="ten_x", name=HOSTILE)
    myself = Myself(
        id="prn_x",
        roles=[*Role],
        groups=[HOSTILE],
        tenant=organisation,
        plan=HOSTILE,
        region=HOSTILE,
        environment="local",
    )
    line = SessionLine("key", HOSTILE, "2026-11-24T08:00:00.000Z", "2026-11-24T08:00:00.000Z")
    return {"myself": myself, "username": HOSTILE, "sessions": [line], "current": "key"}


def problem() -> dict[str, object]:
    return {"problem": Problem(type="t", title=HOSTILE, status=418, detail=HOSTILE, code=HOSTILE, correlation=HOSTILE)}


@pytest.mark.parametrize(("template", "values"), [("account.html", account()), ("error.html", problem())])
def test_a_hostile_name_is_text_wherever_it_stands(template: str, values: dict[str, object]) -> None:
    html = drawn(template, **values)
    assert "&lt;script&gt;" in html
    found = Tags()
    found.feed(html)
    assert not found.names & {"img", "b"}
    assert found.scripts == 1, "the console's own"
    assert not {name for name in found.attributes if name.startswith("on") or name == "style"}
