"""Data is reached through a handle that is bound to a tenant, and its databases by their adapters alone."""

import ast
from collections.abc import Iterator

from mandate.lint.sources import Finding, Source

RULE = "tenant-handle"

UNBOUND = {
    "control/routes/tenants.py": "has a tenant erased, for the publisher",
    "interaction/routes/inventory.py": "counts what is kept of the caller's tenant, and asks what is held",
    "orchestration/holds.py": "sets, lists and releases the holds of the caller's tenant",
    "orchestration/checkpointing.py": "reads how far all tenants' runs have come, to vouch for each tenant's",
    "orchestration/sweeping.py": "destroys what has expired of all tenants",
    "orchestration/retention.py": "says how long one tenant's content stays",
    "orchestration/exporting.py": "lists the runs of one tenant, for its archive",
    "orchestration/erasing.py": "erases all of one tenant",
    "interaction/changes.py": "tells all who listen, each of their own tenant",
    "interaction/routes/runs.py": "says how far the views are behind, which is one number, and brings them up to date",
    "orchestration/erasure.py": "brings the views up to date, from which it is read where a document was used",
    "orchestration/store_driver.py": "finds the runs of all tenants that somebody must carry on",
    "control/marketplace/ledger.py": "brings the views up to date, from which it is counted what each tenant used",
    "mandate/compose.py": "gives it to the projector",
}
"""Who may use `store.platform` and `store.governed`, which are bound to no tenant, and for what."""

DRIVERS = {
    "apsw": ("data/sqlite/",),
    "sqlite3": ("data/sqlite/",),
    "azure.cosmos": ("data/cosmos/",),
    "azure.storage": ("data/cosmos/", "data/journals/", "data/kept_blobs", "data/notary/"),
}
"""The packages that speak to a database, and the adapters of each."""

_PLATFORM = (
    "`store.platform` and `store.governed` are bound to no tenant. Use `store.tenant(context)`, or declare this file in"
    " mandate/lint/handles.py with the reason."
)
_DRIVER = "A database is spoken to by its adapter alone, which puts the tenant into each statement: use `store.tenant`."


def past_the_handle(source: Source) -> Iterator[Finding]:
    """Yield where data is reached other than through a tenant's handle."""
    for node in ast.walk(source.tree):
        match node:
            case ast.Attribute(attr="platform" | "governed", value=store) if _is_store(store) and not _may(source):
                yield source.finding(node, RULE, _PLATFORM)
            case ast.Import(names=names):
                yield from (source.finding(node, RULE, _DRIVER) for name in names if _is_foreign(source, name.name))
            case ast.ImportFrom(module=str(module)) if _is_foreign(source, module):
                yield source.finding(node, RULE, _DRIVER)
            case _:
                pass


def _is_store(node: ast.expr) -> bool:
    return ast.unparse(node).rpartition(".")[2].lstrip("_") == "store"


def _may(source: Source) -> bool:
    return source.file in UNBOUND or source.within("data/", "mandate/bench/", "mandate/demo/")


def _is_foreign(source: Source, module: str) -> bool:
    return any(
        (module == name or module.startswith(f"{name}.")) and not source.within(*folders)
        for name, folders in DRIVERS.items()
    )
