"""Each statement on a tenant's rows names the tenant, and each query of Azure Cosmos DB also its partition."""

import ast
import re
from collections.abc import Iterator

from mandate.lint.sources import Finding, Source, called, text_of

RULE = "tenant-statement"

TABLES = (
    *("events", "content", "records", "passages", "passage_versions", "view_rows"),
    *("barred", "holds", "retention"),
)
"""The tables of `data/sqlite/schema.sql` that have a column `tenant`; a test compares."""

_ON_TABLE = re.compile(rf"\b(?:FROM|UPDATE|INTO)\s+(?:{'|'.join(TABLES)})\b")
_SELECTS = re.compile(r"^\s*(?:WHERE\b|SELECT\b.*\bFROM\s+c\b)", re.DOTALL)
_NAMES_TENANT = re.compile(r"\btenant = \?|\bc\.tenant = @tenant|INTO \w+ \((?:view, )?tenant\b")

_TEXT = "A statement on tenants' rows names the tenant (`tenant = ?`, `c.tenant = @tenant`): or it reaches all of them."
_PARTITION = "A query of one tenant's data names its partition, tenant first: or it is asked of all partitions."


def without_tenant(source: Source) -> Iterator[Finding]:
    """Yield the statements in the adapters that name no tenant, and the queries over all partitions."""
    if not source.within("data/sqlite/", "data/cosmos/"):
        return
    constants = _constants(source.tree)
    inner = {id(part) for node in ast.walk(source.tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in inner:
            text = text_of(node, constants) or ""
            if (_ON_TABLE.search(text) or _SELECTS.search(text)) and not _NAMES_TENANT.search(text):
                yield source.finding(node, RULE, _TEXT)
        elif isinstance(node, ast.Call) and called(node) in ("across", "query_items") and not _has_partition(node):
            yield source.finding(node, RULE, _PARTITION)


def _constants(tree: ast.Module) -> dict[str, str]:
    """Return the texts that the file gives names to, by these."""
    found: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(name := node.targets[0], ast.Name):
            found[name.id] = text_of(node.value, found) or "{}"
    return found


def _has_partition(call: ast.Call) -> bool:
    return any(keyword.arg == "partition_key" for keyword in call.keywords)
