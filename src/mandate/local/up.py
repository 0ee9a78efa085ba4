"""`mandate up`: everything on this machine, until Ctrl-C."""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table

from mandate import DEFAULT_URL
from mandate.local.seeding import seed
from mandate.local.stack import Stack, StoreKind, running
from mandate.local.world import Company, load_companies
from mandate.services import Services
from mandate.settings import ROOT

console = Console()


async def up(folder: Path, port: int, *, separate: bool, replicas: int, store: StoreKind) -> int:
    """Start, set up, say where to go, and stay until the person or a part of the product ends it."""
    began = time.monotonic()
    stack = Stack(folder, port, separate=separate, replicas=replicas, store=store)
    companies = load_companies(ROOT)
    console.print("Starting the product and its emulators ...")
    async with running(stack):
        await seed_with_progress(stack, companies)
        _welcome(stack, companies, time.monotonic() - began)
        return await _stay(stack)


async def seed_with_progress(stack: Stack, companies: list[Company]) -> None:
    """Bring the demo companies in, with a bar for each."""
    columns = (TextColumn("{task.description:28}"), BarColumn(), MofNCompleteColumn(), TextColumn("documents"))
    with Progress(*columns, console=console, transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def tell(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=total)
            bars.update(tasks[name], completed=done)

        await seed(stack, Services.load(ROOT / "environments"), companies, tell)


def _welcome(stack: Stack, companies: list[Company], seconds: float) -> None:
    console.print(f"\n[bold]Mandate is up[/bold] at {stack.url} after {seconds:.0f} s. Data: {stack.folder}\n")
    for company in companies:
        table = Table("sign in as", "name", "roles", title=company.about.name, title_justify="left", min_width=72)
        for user in company.about.users:
            table.add_row(user.username, user.name, ", ".join(user.roles))
        console.print(table)
    first = companies[0].about.users[-2].username
    command = os.path.relpath(sys.argv[0])
    where = "" if stack.url == DEFAULT_URL else f" --url {stack.url}"
    console.print(f"\nAsk the support agent:  [bold]{command} chat --user {first}{where}[/bold]")
    console.print(f"Buy it as a customer:   {stack.url}/shop")
    console.print(f"API description:        {stack.url}/openapi.json")
    console.print("Stop with Ctrl-C; everything is kept.\n")


async def _stay(stack: Stack) -> int:
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, asked.set)
    while part := await _ended(stack, asked):
        console.print(f"[red]{part} ended by itself.[/red] Its log: {stack.log_file(part)}")
        if stack.replicas == 1 or part not in stack.parts:
            return 1
        await stack.start_part(part)  # as the platform does with a replica
    console.print("Stopping ...")
    return 0


async def _ended(stack: Stack, asked: asyncio.Event) -> str:
    """Return which part ended by itself; nothing once the person asks for the end."""
    ended, stop = asyncio.create_task(stack.wait()), asyncio.create_task(asked.wait())
    done, pending = await asyncio.wait({ended, stop}, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    return "" if stop in done else ended.result()
