"""Our own lint finds what it is for, lets pass what is in order, and the product is in order."""

import re
from pathlib import Path

import pytest

from mandate.lint import check, check_source
from mandate.lint.handles import UNBOUND
from mandate.lint.statements import TABLES
from mandate.settings import ROOT

SRC = ROOT / "src"


def rules(file: str, *lines: str) -> list[str]:
    return [finding.rule for finding in check_source(file, "\n".join(lines))]


def test_the_product_keeps_all_rules() -> None:
    assert [str(finding) for finding in check(SRC)] == []


BAD = [
    ("tenant-context", "orchestration/x.py", "context = TenantContext(tenant)"),
    ("tenant-context", "mandate/x.py", "context = core.TenantContext(tenant)"),
    ("tenant-context", "control/x.py", "from core import TenantContext as Context"),
    ("tenant-context", "control/x.py", "class Mine(TenantContext): ..."),
    ("tenant-context", "control/x.py", "other = replace(context, tenant=tenant)"),
    ("tenant-context", "control/x.py", "other = dataclasses.replace(context, **changes)"),
    ("tenant-context", "interaction/x.py", "object.__setattr__(context, tenant=tenant)"),
    ("effect-permit", "orchestration/x.py", "permit = Permit(tenant=tenant)"),
    ("tenant-from-request", "interaction/routes/x.py", "@router.get('/x')\nasync def read(tenant_id: str): ..."),
    ("tenant-from-request", "orchestration/app.py", "@router.post('/x')\nasync def read(*, tid: str): ..."),
    ("tenant-from-request", "interaction/x.py", "tenant = request.headers.get('X-Tenant-Id')"),
    ("tenant-from-request", "interaction/x.py", "tenant = request.path_params['tenant']"),
    ("tenant-from-request", "control/routes/x.py", "tenant = request.query_params.getlist('organization')"),
    ("tenant-from-request", "interaction/x.py", "T = Annotated[str, Header(alias='X-Tenant')]"),
    ("tenant-from-request", "interaction/routes/x.py", "class NewRun(Given):\n    tenant: str"),
    ("tenant-from-request", "orchestration/app.py", "class StartBody(_Body):\n    tenant_id: str"),
    ("tenant-from-request", "control/routes/x.py", "class NewPolicy(BaseModel):\n    tenant: str"),
    ("tenant-handle", "interaction/routes/x.py", "rows = await deps.store.platform.rows('runs', keys)"),
    ("tenant-handle", "orchestration/x.py", "platform = self._store.platform"),
    ("tenant-handle", "interaction/x.py", "await deps.store.governed.bar(tenant)"),
    ("tenant-handle", "control/x.py", "import apsw"),
    ("tenant-handle", "data/x.py", "from apsw import Connection"),
    ("tenant-handle", "orchestration/x.py", "from azure.cosmos.aio import CosmosClient"),
    ("tenant-handle", "data/sqlite/x.py", "import azure.cosmos"),
    ("tenant-statement", "data/sqlite/x.py", "sql = 'SELECT data FROM events WHERE run = ?'"),
    ("tenant-statement", "data/sqlite/x.py", "sql = 'DELETE FROM passages WHERE number = ?'"),
    ("tenant-statement", "data/sqlite/x.py", "sql = f'UPDATE records SET body = ? WHERE {which}'"),
    ("tenant-statement", "data/sqlite/x.py", "sql = 'INSERT INTO content (id, data) VALUES (?, ?)'"),
    ("tenant-statement", "data/sqlite/x.py", "rows = select_rows(connection, 'WHERE view = ?', values)"),
    ("tenant-statement", "data/cosmos/x.py", "sql = 'SELECT TOP 1 c.data FROM c WHERE c.run = @run'"),
    ("tenant-statement", "data/cosmos/x.py", "found = container.query_items(sql)"),
    ("tenant-statement", "data/cosmos/x.py", "found = items.across(sql)"),
    ("effect-permit", "models/x.py", "async def ask(self, text):\n    await self._session.post(url)"),
    ("effect-permit", "tools/x.py", "def ask(c):\n    return _ask(c)\ndef _ask(client):\n    return client.post(url)"),
    ("effect-permit", "models/x.py", "async def ask(permit: Permit):\n    await session.post(url)"),
    ("effect-permit", "data/sqlite/knowledge.py", "async def search(self, query):\n    return matching(query)"),
    ("effect-permit", "data/cosmos/knowledge.py", "async def index(permit: Permit):\n    await upsert_all(items)"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "file", "code"), BAD)
def test_what_breaks_a_rule_is_found(rule: str, file: str, code: str) -> None:
    assert rules(file, code) == [rule]


GOOD = [
    ("control/contexts.py", "context = TenantContext(tenant)"),
    ("control/gate.py", "permit = Permit(tenant=tenant)"),
    ("control/x.py", "from core import TenantContext\nother = replace(record, name=name)"),
    ("interaction/routes/x.py", "@router.get('/x')\nasync def read(me: Me): return me.tenant"),
    ("interaction/routes/x.py", "class Told(Answer):\n    tenant: str"),
    ("control/routes/x.py", "class TenantView(BaseModel):\n    tenant: str"),
    ("interaction/x.py", "value = request.headers.get('user-agent')"),
    ("interaction/routes/x.py", "data = deps.store.tenant(me)\nother = sys.platform"),
    (next(iter(UNBOUND)), "platform = self._store.platform"),
    ("data/sqlite/x.py", "import apsw\nsql = 'SELECT data FROM events WHERE tenant = ? AND run = ?'"),
    ("data/sqlite/x.py", "sql = 'INSERT INTO content (tenant, id) VALUES (?, ?)'"),
    ("data/sqlite/x.py", "sql = 'SELECT position FROM checkpoints WHERE name = ?'"),
    ("data/cosmos/x.py", "import azure.cosmos\nsql = 'SELECT c.data FROM c WHERE c.tenant = @tenant'"),
    ("data/cosmos/x.py", "found = container.query_items(sql, partition_key=key)"),
    ("models/x.py", "async def ask(permit: Permit):\n    permit.spend(kind)\n    await session.post(url)"),
    ("models/x.py", "async def ask(permit: Permit):\n    await spend(permit)\n    await session.post(url)"),
    ("tools/x.py", "async def look(call: ToolCall):\n    return await call.http.request('GET', url)"),
    ("models/x.py", "def plain(values):\n    return values.get('x')"),
    ("data/sqlite/knowledge.py", "async def get(self, passage):\n    return find_passage(passage)"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "code"), GOOD)
def test_what_is_in_order_passes(file: str, code: str) -> None:
    assert rules(file, code) == []


SAMPLE = "context = TenantContext(tenant)"


def test_a_marker_with_a_reason_allows_the_rule_that_it_names_on_its_line_or_the_next() -> None:
    marker = "# mandate: allow[tenant-context] - a test of the rule"
    assert rules("control/x.py", f"{SAMPLE}  {marker}") == []
    assert rules("control/x.py", marker, SAMPLE) == []
    assert rules("control/x.py", marker, "", SAMPLE) == ["tenant-context", "marker"]
    other = "# mandate: allow[tenant-handle] - for another rule"
    assert rules("control/x.py", other, SAMPLE) == ["tenant-context", "marker"]


def test_a_marker_without_a_reason_or_without_need_is_reported() -> None:
    assert rules("control/x.py", f"{SAMPLE}  # mandate: allow[tenant-context]") == ["marker"]
    assert rules("control/x.py", "x = 1  # mandate: allow[tenant-context] - for nothing") == ["marker"]


def test_each_finding_says_where_it_is_why_and_what_to_do() -> None:
    (finding,) = check_source("control/x.py", SAMPLE)
    assert str(finding).startswith("src/control/x.py:1: tenant-context: ")
    assert ": add a function there" in str(finding)


def test_the_tables_of_tenants_are_those_of_the_schema() -> None:
    schema = (SRC / "data" / "sqlite" / "schema.sql").read_text()
    tables = dict(re.findall(r"CREATE TABLE (\w+) \((.*?)\) STRICT", schema, re.DOTALL))
    assert {name for name, columns in tables.items() if re.search(r"^\s*tenant\b", columns, re.MULTILINE)} == set(
        TABLES
    )


def test_who_is_declared_to_use_the_platform_does() -> None:
    assert [
        file for file in UNBOUND if not re.search(r"store\.(platform|governed)", Path(SRC / file).read_text())
    ] == []
