"""The command line. Each command says what it does; what it does is elsewhere, and imported only when it is called."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from mandate import DEFAULT_URL
from mandate.configuration.commands import env, promote
from mandate.entra.commands import entra
from mandate.infra.azure_commands import configure, edge, preflight, tenants
from mandate.infra.commands import infra, package
from mandate.running import run_to_end

app = typer.Typer(
    name="mandate",
    help="A governed, multi-tenant AI agent app: every effect passes one gate and is written down before it happens.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
evidence = typer.Typer(help="Look into the evidence that every run leaves.", no_args_is_help=True)
knowledge = typer.Typer(help="What the agents may read.", no_args_is_help=True)
policy = typer.Typer(help="The rules by which everything is decided.", no_args_is_help=True)
data = typer.Typer(help="What is kept, taken away and erased.", no_args_is_help=True)
app.add_typer(tenants, name="tenants")
app.add_typer(data, name="data")
app.add_typer(infra, name="infra")
app.add_typer(env, name="env")
app.add_typer(entra, name="entra")
app.command("promote")(promote)
app.add_typer(package, name="package")
app.command()(preflight)
app.command()(configure)
app.add_typer(edge, name="edge")
app.add_typer(policy, name="policy")
app.add_typer(evidence, name="evidence")
app.add_typer(knowledge, name="knowledge")

Folder = Annotated[Path | None, typer.Option(help="Where data is kept. Default: .mandate")]
Port = Annotated[int, typer.Option(help="The port for people.")]
Services = Annotated[bool, typer.Option("--services", help="Run each service of the product as a process of its own.")]
Replicas = Annotated[int, typer.Option(min=1, max=4, help="With --services: so many processes of each.")]
Store = Annotated[Literal["sqlite", "cosmos"], typer.Option(help="Where data goes: a file, or an emulated Cosmos DB.")]
Url = Annotated[str, typer.Option(help="Address of a running product.")]


@app.command()
def up(
    port: Port = 8080,
    folder: Folder = None,
    services: Services = False,
    replicas: Replicas = 1,
    store: Store = "sqlite",
) -> None:
    """Run the product and its emulators on this machine, with two demo companies, until Ctrl-C."""
    from mandate.local.up import up as run
    from mandate.settings import ROOT

    run_to_end(
        run(folder or ROOT / ".mandate", port, separate=services or replicas > 1, replicas=replicas, store=store)
    )


@app.command()
def chat(
    user: Annotated[str, typer.Option(help="Whom to sign in as. Asks if it is left out.")] = "",
    agent: Annotated[str, typer.Option(help="Whom to talk to.")] = "support",
    url: Url = DEFAULT_URL,
    message: Annotated[str, typer.Argument(help="Say this and leave; otherwise a conversation begins.")] = "",
) -> None:
    """Talk to an agent in the terminal: streamed, with its sources, and with the approvals that it asks for."""
    from mandate.chat import chat as run

    run_to_end(run(url, user, agent, message))


@app.command()
def demo(
    story: Annotated[Literal["everything", "marketplace"], typer.Argument(help="Which story.")] = "everything",
    services: Services = False,
    replicas: Replicas = 1,
    store: Store = "sqlite",
    url: Annotated[str, typer.Option(help="Drive this product rather than one of its own.")] = "",
) -> None:
    """Walk through the whole story over HTTP and check every step; exits with 1 if one is not as promised."""
    from mandate.demo import demo as run

    if url and story == "marketplace":
        raise typer.BadParameter(
            "The marketplace's story acts as the publisher too, on a product of its own: leave --url out.",
            param_hint="--url",
        )
    run_to_end(run(story, separate=services or replicas > 1, replicas=replicas, store=store, url=url))


@app.command()
def bench(
    quick: Annotated[bool, typer.Option(help="A minute at most: fewer turns, one level of concurrency.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object and nothing else.")] = False,
) -> None:
    """Measure a product of its own against a bare FastAPI and aiohttp pass-through, in turns."""
    from mandate.bench import bench as run

    run_to_end(run(quick=quick, as_json=as_json))


@app.command()
def version() -> None:
    """Print the version."""
    from mandate.version import VERSION

    print(VERSION)


@app.command()
def serve(
    service: Annotated[Literal["interaction", "control", "orchestration", "all"], typer.Argument()],
    port: Annotated[
        list[str] | None, typer.Option(help="NAME=PORT, to listen there on 127.0.0.1 rather than as declared.")
    ] = None,
) -> None:
    """Run one service, or all in one process, as `environments/services.yaml` declares it."""
    from mandate.serve import run

    run_to_end(run(service, dict(item.split("=", 1) for item in port or [])))


@app.command()
def healthy() -> None:
    """Exit with 0 if the services that listen on this machine, at their declared ports, are alive; 1 otherwise."""
    from mandate.healthy import healthy as run

    run_to_end(run())


@app.command()
def watch(
    addresses: Annotated[list[str], typer.Argument(help="Of stamps, such as https://mandate.example.")],
    seconds: Annotated[float, typer.Option(help="For how long.")] = 600,
    every: Annotated[float, typer.Option(min=0.01, help="Seconds between two questions.")] = 5,
    misses: Annotated[int, typer.Option(min=1, help="So many in a row are too many.")] = 3,
    candidate: Annotated[
        bool, typer.Option("--candidate", help="Ask for the candidate revision too, which only some tenants reach.")
    ] = False,
) -> None:
    """Ask a release again and again whether it is ready; exits with 1 as soon as it is not."""
    from mandate.watching import watch as run

    run_to_end(run(addresses, seconds, every, misses, candidate=candidate))


@app.command(hidden=True)
def emulate(
    name: Annotated[Literal["identity", "model", "backoffice", "marketplace", "cosmos"], typer.Argument()],
    port: Annotated[int, typer.Option()],
    folder: Annotated[Path, typer.Option()],
) -> None:
    """Run one emulator. `mandate up` does."""
    from mandate.local.emulate import emulate as run
    from mandate.settings import Settings

    run_to_end(run(name, port, folder, Settings()))


@app.command(hidden=True)
def ingress(
    routes: Annotated[list[str], typer.Argument(help="PORT=PORT,PORT: where to listen, and what is behind.")],
) -> None:
    """Spread requests over replicas on this machine. `mandate up --replicas` does."""
    from mandate.local.emulate import ingress as run

    ports = dict(route.split("=", 1) for route in routes)
    run_to_end(run({int(port): [int(replica) for replica in behind.split(",")] for port, behind in ports.items()}))


@evidence.command("verify")
def verify(
    folder: Folder = None,
    run: Annotated[str, typer.Option(help="Only this run.")] = "",
    store: Store = "sqlite",
    export: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="An archive or a run's evidence, not a store.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="The public key that you noted before.")
    ] = None,
) -> None:
    """Check every chain and checkpoint of a local store, or of an archive, and name what is not as it was written."""
    from mandate.exports import read_keys, verify_export

    try:
        pinned = read_keys(key) if key else []
    except ValueError:
        raise typer.BadParameter("There is no public key in it.", param_hint="--key") from None
    if export:
        run_to_end(verify_export(export, pinned))
    from mandate.evidence import verify as work
    from mandate.settings import ROOT

    run_to_end(work(folder or ROOT / ".mandate", run, store, pinned))


@evidence.command("export")
def export(
    user: Annotated[str, typer.Option(help="Whom to sign in as: an auditor, admin or owner.")],
    ocsf: Annotated[bool, typer.Option("--ocsf", help="As OCSF, for a SIEM.")] = False,
    after: Annotated[str, typer.Option(help="The cursor that the last export ended with.")] = "",
    url: Url = DEFAULT_URL,
) -> None:
    """Print all events that checkpoints cover, one JSON object a line, and at the end, on stderr, where to go on."""
    from mandate.evidence_export import export as work

    run_to_end(work(url, user, after, ocsf=ocsf))


@knowledge.command("add")
def add(
    files: Annotated[list[Path], typer.Argument(exists=True, help="Markdown, text, HTML, PDF, DOCX; or folders.")],
    collection: Annotated[str, typer.Option(help="Where they go.")],
    user: Annotated[str, typer.Option(help="Whom to sign in as.")],
    url: Url = DEFAULT_URL,
) -> None:
    """Add documents to a collection; a file that has not changed is not taken in twice."""
    from mandate.knowledge import add as work

    run_to_end(work(url, user, collection, files))


@data.command("reapply")
def reapply(
    folder: Folder = None,
    journal: Annotated[Path | None, typer.Option(help="The file kept apart. Default: erasures.jsonl there.")] = None,
) -> None:
    """Erase again, in a local store that was restored from a backup, what its journal says was erased since."""
    from mandate.erasures import reapply as work
    from mandate.settings import ROOT

    run_to_end(work(folder or ROOT / ".mandate", journal))


@policy.command("docs")
def docs() -> None:
    """Write docs/policies.md anew: all policies of the code and of the environments, in plain words."""
    from mandate.policy_docs import write
    from mandate.settings import ROOT

    run_to_end(write(ROOT))


@policy.command("replay")
def replay(
    candidate: Annotated[
        Path,
        typer.Option(
            exists=True, file_okay=False, help="Folder with publisher.cedar, environment.cedar, tenant.cedar."
        ),
    ],
    since: Annotated[str, typer.Option(help="From this day or moment on, such as 2026-11-23.")] = "",
    tenant: Annotated[str, typer.Option(help="Only this one, by its id.")] = "",
    folder: Folder = None,
    store: Store = "sqlite",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object and nothing else.")] = False,
    fail_on: Annotated[
        Literal["never", "loosened", "changed"],
        typer.Option(help="Exit with 1 if a lane would be so, or is not known."),
    ] = "never",
    environment: Annotated[
        Literal["local", "dev", "staging", "prod"], typer.Option(help="Whose policies, if the candidate has none.")
    ] = "local",
) -> None:
    """Decide everything again that a local store has on record, under other policies, and say what would change."""
    from mandate.policy_replaying import Asked
    from mandate.policy_replaying import replay as work
    from mandate.settings import ROOT

    asked = Asked(candidate, environment, since, tenant)
    run_to_end(work(folder or ROOT / ".mandate", store, asked, as_json=as_json, fail_on=fail_on))
