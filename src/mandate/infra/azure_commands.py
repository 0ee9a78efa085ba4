"""`mandate preflight`, `edge`, `configure`, `tenants`: for who operates stamps; imports are made when one is called."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mandate.configuration.commands import CandidateTo, Urgent
from mandate.infra.commands import told

if TYPE_CHECKING:
    from mandate.infra.arm import Arm

edge = typer.Typer(help="The way in to a stamp.", no_args_is_help=True)
tenants = typer.Typer(
    help="The organisations that the product serves, as the publisher's operator.", no_args_is_help=True
)

Subscription = Annotated[
    str, typer.Option(envvar="AZURE_SUBSCRIPTION_ID", help="Id of the subscription. Default: AZURE_SUBSCRIPTION_ID.")
]
Address = Annotated[str, typer.Option(help="Of Azure Resource Manager, in another cloud than the public one.")]
PUBLIC = "https://management.azure.com"


def preflight(
    environment: Annotated[str, typer.Argument(help="dev, staging, prod; or `azd`, for infra/main.bicepparam.")],
    subscription: Subscription,
    what_if: Annotated[
        bool, typer.Option("--what-if", help="Then say what would change, resource by resource.")
    ] = False,
    address: Address = PUBLIC,
) -> None:
    """Ask a subscription whether it takes a deployment, before anything is created; exits with 1 if it does not."""
    from mandate.infra.building import parameter_file
    from mandate.infra.needs import needs_of
    from mandate.infra.preflight import run
    from mandate.settings import ROOT

    file = ROOT / "infra" / "main.bicepparam" if environment == "azd" else parameter_file(environment)

    def work() -> int:
        needs = needs_of(_there(file))
        return asyncio.run(_with(subscription, address, lambda arm: run(arm, needs, what_if=what_if)))

    raise typer.Exit(told(work))


@edge.command("approve")
def edge_approve(
    stamps: Annotated[list[str], typer.Argument(help="Names of stamps, such as mandate-dev-weu.")],
    subscription: Subscription,
    listing: Annotated[bool, typer.Option("--list", help="Only say what was asked for.")] = False,
    address: Address = PUBLIC,
) -> None:
    """Let Front Door in to stamps, which a template can only ask for; nothing that anybody else asked for."""
    from mandate.infra.edge import approve

    async def each(arm: "Arm") -> int:
        return max([await approve(arm, stamp, listing=listing) for stamp in stamps])

    def work() -> int:
        return asyncio.run(_with(subscription, address, each))

    raise typer.Exit(told(work))


def configure(
    stamps: Annotated[list[str], typer.Argument(help="Names of stamps, such as mandate-dev-weu.")],
    subscription: Subscription,
    candidate_to: CandidateTo = "",
    urgent: Urgent = False,
    address: Address = PUBLIC,
) -> None:
    """Run the job `configuration` in stamps, which is `mandate env load` there, and wait; exits with 1 if one fails."""
    from mandate.infra.configuring import configure as run

    arguments = [f"--candidate-to={candidate_to}"] if candidate_to else []
    arguments += ["--urgent"] if urgent else []

    async def each(arm: "Arm") -> int:
        return max([await run(arm, stamp, arguments) for stamp in stamps])

    raise typer.Exit(told(lambda: asyncio.run(_with(subscription, address, each))))


@tenants.command("add")
def add_tenant(
    name: Annotated[str, typer.Option(envvar="MANDATE_ADD_NAME", help="What it is called.")],
    entra_tenant: Annotated[
        str,
        typer.Option(
            envvar="MANDATE_ADD_ENTRA_TENANT", help="Id of its Entra tenant: who signs in from there belongs to it."
        ),
    ],
    plan: Annotated[str, typer.Option(envvar="MANDATE_ADD_PLAN", help="A plan of environments/plans.yaml.")],
    region: Annotated[
        str,
        typer.Option(
            envvar="MANDATE_ADD_REGION", help="Where its data is kept and processed: the stamp's `geography`."
        ),
    ],
    stamp: Annotated[str, typer.Option(envvar="MANDATE_ADD_STAMP", help="Name of the stamp.")],
    group: Annotated[list[str] | None, typer.Option(help="OBJECT_ID=NAME of an Entra group, for readers.")] = None,
    tenant: Annotated[str, typer.Option("--id", help="Id of the tenant. Default: the one that belongs to it.")] = "",
) -> None:
    """Take an organisation on; the same once more changes nothing. Runs where the operator's identity is.

    Options may be environment variables, as a job of Azure is told.
    """
    from mandate.tenants import Organisation, add

    groups = dict(_pair(item) for item in group or [])
    organisation = Organisation(name, entra_tenant, plan, region, stamp, groups, tenant)
    raise typer.Exit(told(lambda: asyncio.run(add(organisation))))


@tenants.command("list")
def list_tenants() -> None:
    """Print all organisations. Runs where the operator's identity is."""
    from mandate.tenants import everyone

    raise typer.Exit(told(lambda: asyncio.run(everyone())))


def _pair(item: str) -> tuple[str, str]:
    first, equals, second = item.partition("=")
    if not equals:
        raise typer.BadParameter("Write it as OBJECT_ID=NAME.", param_hint="--group")
    return first, second


def _there(file: Path) -> Path:
    if not file.exists():
        raise typer.BadParameter("Name dev, staging, prod or azd.", param_hint="ENVIRONMENT")
    return file


async def _with(subscription: str, address: str, work: "Callable[[Arm], Awaitable[int]]") -> int:
    from mandate.infra.arm import open_arm

    async with open_arm(subscription, address) as arm:
        return await work(arm)
