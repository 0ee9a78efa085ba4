"""`mandate env` and `mandate promote`: the commands; what they do is imported when they are called."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from mandate.running import told

env = typer.Typer(help="The values of an environment: settings, flags, models, release.", no_args_is_help=True)

Name = Literal["local", "dev", "staging", "prod"]
Root = Annotated[Path | None, typer.Option(help="Folder with environments/ and agents/. Default: that of the product.")]
CandidateTo = Annotated[
    str, typer.Option(help="Only announce the candidate revision: to this ring and those before; or to `nobody`.")
]
Urgent = Annotated[bool, typer.Option("--urgent", help="With --candidate-to: wait for no tenant's windows.")]


@env.command("validate")
def env_validate(
    environment: Annotated[Name | None, typer.Argument(help="Which one. Default: all.")] = None, root: Root = None
) -> None:
    """Check the files of the environments; exits with 1 and says why if one could not be deployed as it is."""
    from mandate.releases import problems_of

    def work() -> int:
        names = (environment,) if environment else ("local", "dev", "staging", "prod")
        found = {name: problems_of(_root(root), name) for name in names}
        for name, problems in found.items():
            print("\n  ".join([f"{name}:", *problems]) if problems else f"{name}: nothing found")
        return 1 if any(found.values()) else 0

    raise typer.Exit(told(work))


@env.command("diff")
def env_diff(one: Name, other: Name, root: Root = None) -> None:
    """Print each value that two environments do not have alike."""
    from mandate.releases import differences

    def work() -> int:
        for path, here, there in differences(_root(root), one, other):
            print(f"{path}\n  {one}: {here}\n  {other}: {there}")
        return 0

    raise typer.Exit(told(work))


@env.command("pin")
def env_pin(
    image: Annotated[str, typer.Argument(help="By its digest, built from these files.")], root: Root = None
) -> None:
    """Make the release of an image for dev, with the agents, prompts, policies and models of these files."""
    from mandate.releases import made_of, write_release

    def work() -> int:
        release = made_of(_root(root), "dev", image)
        print(f"{write_release(_root(root), 'dev', release)}: {release.id}")
        return 0

    raise typer.Exit(told(work))


@env.command("load")
def env_load(
    candidate_to: CandidateTo = "",
    urgent: Urgent = False,
) -> None:
    """Write the values of MANDATE_ENVIRONMENT into its App Configuration store, MANDATE_CONFIGURATION."""
    import asyncio

    from mandate.configuration.candidate import candidate_to as announce
    from mandate.configuration.loading import load, opened
    from mandate.host import client_id
    from mandate.services import Services
    from mandate.settings import Settings

    settings = Settings()
    folder, name, store = settings.root / "environments", settings.environment, settings.configuration

    async def done() -> str:
        identity = client_id(settings, Services.load(folder).check_job("configuration").identity)
        if candidate_to:
            async with opened(store, identity, settings.ca_file) as client:
                return await announce(client, name, candidate_to, datetime.now(UTC), urgent=urgent)
        loaded = await load(folder, name, store, identity, settings.ca_file)
        return f"{loaded.written} written, {loaded.deleted} deleted, version {loaded.version}"

    def work() -> int:
        print(f"{name}: {asyncio.run(done())}")
        return 0

    raise typer.Exit(told(work))


def promote(
    source: Annotated[Name, typer.Argument(help="From where; with --to-ring, in which environment.")],
    target: Annotated[Name | None, typer.Argument(help="The environment that is next.")] = None,
    feature: Annotated[str, typer.Option(help="Of a flag, for --to-ring.")] = "",
    ring: Annotated[str, typer.Option("--to-ring", help="The tenants that get it next.")] = "",
    at: Annotated[datetime | None, typer.Option(help="From when on, in UTC. Default: now.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would change, and change nothing.")] = False,
    root: Root = None,
) -> None:
    """Move a release to the next environment as it is; or, with --to-ring, a feature to the tenants of a ring."""
    from mandate.releases import promote as move
    from mandate.releases import to_ring

    if bool(target) == bool(ring and feature):
        raise typer.BadParameter("Give the next environment, or --feature and --to-ring.")

    def work() -> int:
        if target is None:
            moment = (at or datetime.now(UTC)).replace(tzinfo=UTC, microsecond=0)
            print(to_ring(_root(root), source, feature, ring, moment))
        else:
            print("\n".join(move(_root(root), source, target, dry_run=dry_run) or ["Nothing changes."]))
        return 0

    raise typer.Exit(told(work))


def _root(given: Path | None) -> Path:
    from mandate.settings import ROOT

    return given or ROOT
