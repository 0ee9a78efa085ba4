"""The figures for people."""

from rich.console import Console
from rich.table import Table

from mandate.bench.figures import Figures, at
from mandate.bench.turns import TURNS

_WIDTH = 150


def show(found: Figures) -> None:
    """Print tables of all that was measured; pairs are median / 99th percentile."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH)
    azure = _part(found, "azure_ai_inference")
    console.print(_turns(found, "Turns over the openai wire format. Pairs are median / p99."))
    console.print(_turns(azure, "The same over azure-ai-inference"))
    console.print(_parts(found, azure))
    console.print(_line(_part(found, "machine")), soft_wrap=True)


def _turns(found: Figures, title: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("turn", no_wrap=True)
    headings = ("at once", "latency ms", "first event ms", "turns/s", "serving CPU ms", "model CPU ms", "× latency")
    for heading in (*headings, "× turns/s", "× CPU", "failed"):
        table.add_column(heading, justify="right")
    for level in _part(found, "passthrough"):
        for name in ("passthrough", *TURNS):
            if name in found:
                table.add_row(name, level.removeprefix("c"), *_row(_part(found, name, level)))
        table.add_section()
    return table


def _row(figures: Figures) -> list[str]:
    ratio = figures.get("ratio")
    return [
        _pair(figures, "latency_ms"),
        _pair(figures, "time_to_first_event_ms"),
        f"{at(figures, 'turns_per_second'):.0f}",
        _pair(figures, "serving_cpu_ms"),
        f"{at(figures, 'model_endpoint_cpu_ms', 'median'):.1f}",
        *([str(value) for value in ratio.values()] if isinstance(ratio, dict) else ["1", "1", "1"]),
        str(figures["failures"]),
    ]


def _pair(figures: Figures, name: str) -> str:
    return f"{at(figures, name, 'median'):.1f} / {at(figures, name, 'p99'):.1f}"


def _parts(found: Figures, azure: Figures) -> Table:
    table = Table("part", "figure", title="Parts", title_justify="left")
    for name, figures in (("openai", found), ("azure-ai-inference", azure)):
        cpu = _pair(_part(figures, "model_client"), "two_calls_cpu_ms")
        table.add_row(f"two model calls, {name} client alone", f"{cpu} ms CPU")
    for level, figures in _part(found, "append").items():
        assert isinstance(figures, dict)
        rate = f"{at(figures, 'events_per_second'):,.0f} events/s on disk; {_pair(figures, 'append_ms')} ms an append"
        table.add_row(f"append, {level.removeprefix('c')} at once", rate)
    for figures in _part(found, "decision").values():
        assert isinstance(figures, dict)
        time = f"{figures['median_us']} / {figures['p99_us']} µs"
        table.add_row(f"decision by {figures['policies']} policies", time)
    gate, guards = _part(found, "gate"), _part(found, "guards")
    time = f"{gate['median_us']} / {gate['p99_us']} µs; on disk {_pair(gate, 'append_alone_ms')} ms alone"
    more = f"{_pair(gate, 'append_together_ms')} ms with 16 at once"
    table.add_row(f"decision by {gate['policies']} policies, facts gathered", f"{time}, {more}")
    table.add_row("each of eight such in one step", f"{_pair(gate, 'each_of_eight_us')} µs")
    table.add_row("guards, all looks of a two-step turn", f"{_pair(guards, 'turn_cpu_us')} µs CPU")
    for figures in _part(found, "retrieval").values():
        assert isinstance(figures, dict)
        times = f"{_pair(figures, 'search_ms')} ms; the first after a write {figures['first_search_ms']} ms"
        table.add_row(f"search in {figures['passages']:,} passages, synthetic vectors", times)
    for name, figures in _part(found, "cosmos").items() if "cosmos" in found else ():
        assert isinstance(figures, dict)
        sorts = ", ".join(f"{operation} {times}" for operation, times in _part(figures, "operations").items())
        table.add_row(f"{name} on Cosmos DB", f"{figures['requests']} requests, {figures['kilobytes']} KB: {sorts}")
    start = _part(found, "start_up")
    table.add_row("product ready, with data there", f"{start['seconds']} s")
    table.add_row("`mandate version`", f"{start['command_seconds']} s")
    return table


def _line(machine: Figures) -> str:
    return (
        f"{machine['cores']} cores of {machine['processor']}, {machine['kernel']}, Python {machine['python']}, "
        f"Mandate {machine['mandate']}; load average before: {machine['load_average']}."
    )


def _part(found: Figures, *path: str) -> Figures:
    for key in path:
        part = found[key]
        assert isinstance(part, dict)
        found = part
    return found
