"""The figures for people."""

from rich.console import Console
from rich.table import Table

from mandate.bench.figures import Figures, at
from mandate.bench.turns import TURNS


def show(found: Figures) -> None:
    """Print tables of all that was measured."""
    console = Console()
    console.print(_turns(found, "Turns over the openai wire format, beside the bare pass-through"))
    azure = _part(found, "azure_ai_inference")
    reference = {"passthrough": azure["passthrough"]}
    console.print(_turns({**azure, **reference}, "The same over azure-ai-inference"))
    console.print(_parts(found, azure))
    console.print(_line(_part(found, "machine")))


def _turns(found: Figures, title: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("turn")
    for heading in (
        "at once",
        "latency ms",
        "first event ms",
        "turns/s",
        "serving CPU ms",
        "model, back office CPU ms",
    ):
        table.add_column(heading, justify="right")
    table.add_column("× pass-through: latency, turns/s, CPU", justify="right")
    table.add_column("failed", justify="right")
    levels = list(_part(found, "passthrough"))
    for level in levels:
        for name in ("passthrough", *TURNS):
            if name in found:
                table.add_row(name, level.removeprefix("c"), *_row(_part(found, name, level)))
        table.add_section()
    return table


def _row(figures: Figures) -> list[str]:
    ratio = figures.get("ratio")
    emulators = [name for name in ("model_endpoint_cpu_ms", "backoffice_cpu_ms") if name in figures]
    return [
        _spread(figures, "latency_ms"),
        _spread(figures, "time_to_first_event_ms"),
        f"{at(figures, 'turns_per_second'):.0f}",
        _spread(figures, "serving_cpu_ms"),
        ", ".join(f"{at(figures, name, 'median'):.1f}" for name in emulators),
        ", ".join(str(value) for value in ratio.values()) if isinstance(ratio, dict) else "",
        str(figures["failures"]),
    ]


def _spread(figures: Figures, name: str) -> str:
    return f"{at(figures, name, 'median'):.1f} / {at(figures, name, 'p99'):.1f}"


def _parts(found: Figures, azure: Figures) -> Table:
    table = Table("part", "figure", title="Parts (median / p99)", title_justify="left")
    for name, figures in (("openai", found), ("azure-ai-inference", azure)):
        table.add_row(
            f"model client alone, {name}", f"{_spread(_part(figures, 'model_client'), 'two_calls_cpu_ms')} CPU ms"
        )
    for level, figures in _part(found, "append").items():
        assert isinstance(figures, dict)
        rate = f"{at(figures, 'events_per_second'):,.0f} events/s on disk, {_spread(figures, 'append_ms')} ms an append"
        table.add_row(f"append, {level.removeprefix('c')} at once", rate)
    for figures in _part(found, "decision").values():
        assert isinstance(figures, dict)
        table.add_row(
            f"decision by {figures['policies']} policies", f"{figures['median_us']:} / {figures['p99_us']} µs"
        )
    start = _part(found, "start_up")
    table.add_row("product ready after, with data", f"{start['seconds']} s")
    table.add_row("`mandate version`", f"{start['command_seconds']} s")
    return table


def _line(machine: Figures) -> str:
    return (
        f"{machine['cores']} cores of {machine['processor']}, {machine['kernel']}, Python {machine['python']}, "
        f"Mandate {machine['mandate']}; load average before: {machine['load_average']}. Pairs are median / p99."
    )


def _part(found: Figures, *path: str) -> Figures:
    for key in path:
        part = found[key]
        assert isinstance(part, dict)
        found = part
    return found
