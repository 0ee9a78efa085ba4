"""`mandate infra` and `mandate package`: the commands; what they do is imported when they are called."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from mandate.running import told

infra = typer.Typer(help="Build and check what is deployed to Azure.", no_args_is_help=True)
package = typer.Typer(help="Make what is published.", no_args_is_help=True)

Environment = Annotated[Literal["dev", "staging", "prod", "all"], typer.Argument(help="Of which environment.")]
Validate = Annotated[bool, typer.Option("--validate", help="Compare with the files rather than write them.")]


@infra.command("lint")
def infra_lint() -> None:
    """Name everything that the Bicep linter finds; exits with 1 if it finds anything, warnings included."""
    from mandate.infra.building import lint

    raise typer.Exit(told(lint))


@infra.command("build")
def infra_build(
    out: Annotated[Path, typer.Option(file_okay=False, help="Where the templates go.")] = Path(".mandate/infra"),
) -> None:
    """Compile what is deployed to ARM templates."""
    from mandate.infra.building import build

    raise typer.Exit(told(lambda: build(out)))


@infra.command("snapshot")
def infra_snapshot(environment: Environment = "all", validate: Validate = False) -> None:
    """Write every resource that would be deployed into the environments' main.snapshot.json, for review."""
    from mandate.infra.building import snapshot

    raise typer.Exit(told(lambda: snapshot(() if environment == "all" else (environment,), validate=validate)))


@infra.command("check")
def infra_check(
    paths: Annotated[list[Path], typer.Argument(help="Templates, parameters, createUiDefinition.json; or folders.")],
    warnings: Annotated[bool, typer.Option(help="Name also what blocks no certification.")] = True,
    today: Annotated[str, typer.Option(help="The day from which the age of API versions counts.")] = "",
) -> None:
    """Check JSON files by the rules of certification, each finding under its rule's published name."""
    from mandate.infra.checking import check

    raise typer.Exit(told(lambda: check(paths, _day(today) or _today(), warnings=warnings)))


@infra.command("egress")
def infra_egress() -> None:
    """Write docs/egress.md anew: everything that is called from within a stamp."""
    from mandate.outbound import write

    raise typer.Exit(told(write))


@package.command("managed-app")
def package_managed_app(
    image: Annotated[str, typer.Option(help="The image, by its digest, that anybody may pull.")],
    out: Annotated[Path, typer.Option(dir_okay=False, help="The file to write.")] = Path(".mandate/managed-app.zip"),
    same_tenant: Annotated[
        bool, typer.Option("--same-tenant", help="For a trial in the publisher's own tenant.")
    ] = False,
    just_in_time: Annotated[
        bool, typer.Option("--just-in-time", help="You have access only when the customer allows it, for a while.")
    ] = False,
    publisher: Annotated[
        tuple[str, str],
        typer.Option(
            metavar="ADDRESS AUDIENCE",
            help="Your public address and API: the customer is asked whether the stamp may tell them its version.",
        ),
    ] = ("", ""),
) -> None:
    """Make the package of the managed application for Partner Center, if it passes the rules of certification."""
    from mandate.infra.packaging import Release
    from mandate.infra.packaging import package as work

    def make() -> int:
        release = Release(image, cross_tenant=not same_tenant, just_in_time=just_in_time, publisher=publisher)
        return work(out, release, _today())

    raise typer.Exit(told(make))


def _today() -> date:
    return datetime.now(UTC).date()


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise typer.BadParameter("This is no day such as 2026-11-23.") from None
