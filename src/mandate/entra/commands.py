"""`mandate entra`: the commands; what they do is imported when they are called."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mandate.running import told

if TYPE_CHECKING:
    from mandate.entra.wanted import Place

entra = typer.Typer(help="The app registrations in the publisher's Entra tenant.", no_args_is_help=True)

Environment = Annotated[Literal["dev", "staging", "prod"], typer.Argument(help="Of which environment.")]
Stamp = Annotated[str, typer.Option(help="Whose identities have roles, such as mandate-dev-weu.")]
Tid = Annotated[str, typer.Option(help="Id of the publisher's Entra tenant.")]
Address = Annotated[str, typer.Option(help="Where people reach the product, with https.")]
Prune = Annotated[bool, typer.Option("--prune", help="Also take away trust and roles that are not wanted any more.")]


@entra.command("plan")
def entra_plan(environment: Environment, stamp: Stamp, tid: Tid, address: Address, prune: Prune = False) -> None:
    """Print what is other in Entra than in infra/entra, and change nothing; exits with 2 if anything is."""
    raise typer.Exit(told(lambda: _work(environment, stamp, tid, address, apply=False, prune=prune)))


@entra.command("apply")
def entra_apply(environment: Environment, stamp: Stamp, tid: Tid, address: Address, prune: Prune = False) -> None:
    """Make Entra as infra/entra says, and print each step; deletes nothing without --prune."""
    raise typer.Exit(told(lambda: _work(environment, stamp, tid, address, apply=True, prune=prune)))


def _work(environment: str, stamp: str, tid: str, address: str, *, apply: bool, prune: bool) -> int:
    from mandate.entra.wanted import Place

    said = asyncio.run(_reconciled(Place(environment, stamp, tid, address.rstrip("/")), apply=apply, prune=prune))
    print("\n".join(said or ["Nothing is other."]))
    return 2 if said and not apply else 0


async def _reconciled(place: "Place", *, apply: bool, prune: bool) -> list[str]:
    import aiohttp

    from mandate.entra.graph import Graph
    from mandate.entra.reconciling import reconcile
    from mandate.entra.wanted import wanted_of
    from mandate.settings import ROOT
    from web import AzureServiceTokens

    tokens = AzureServiceTokens(None)
    try:
        async with aiohttp.ClientSession(trust_env=True) as session:
            graph, wanted = Graph(session, tokens.token), wanted_of(ROOT, place)
            return await reconcile(graph, wanted, place, apply=apply, prune=prune)
    finally:
        await tokens.aclose()
