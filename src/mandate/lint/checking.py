"""All rules over all files, without what a marker allows; and the markers that allow nothing."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from mandate.lint.contexts import made_elsewhere, named_by_caller
from mandate.lint.effects import without_permit
from mandate.lint.handles import past_the_handle
from mandate.lint.sources import Finding, Source
from mandate.lint.statements import without_tenant

RULES: Sequence[Callable[[Source], Iterator[Finding]]] = (
    made_elsewhere,
    named_by_caller,
    past_the_handle,
    without_permit,
    without_tenant,
)

_MARKER = re.compile(r"#\s*mandate:\s*allow\[([a-z-]+)\](?:\s*-\s*(\S.*))?")
_NOT_PRODUCT = ("emulators/", "mandate/lint/")


def check(folder: Path) -> list[Finding]:
    """Return what is wrong in the sources below `folder`."""
    found: list[Finding] = []
    for path in sorted(folder.rglob("*.py")):
        file = path.relative_to(folder).as_posix()
        if not file.startswith(_NOT_PRODUCT):
            found += check_source(file, path.read_text("utf-8"))
    return found


def check_source(file: str, text: str) -> list[Finding]:
    """Return what is wrong in one file, `file` being its name below `src`."""
    source = Source.of(file, text)
    found = sorted({finding for rule in RULES for finding in rule(source)}, key=lambda finding: finding.line)
    markers = list(_markers(text))
    kept = [finding for finding in found if not any(_allows(marker, finding) for marker in markers)]
    for line, rule, reason in markers:
        if not reason:
            kept.append(Finding(file, line, "marker", f"A marker says why: `# mandate: allow[{rule}] - reason`."))
        elif not any(_allows((line, rule, reason), finding) for finding in found):
            kept.append(Finding(file, line, "marker", f"Nothing here breaks `{rule}`: remove the marker."))
    return kept


def _markers(text: str) -> Iterator[tuple[int, str, str]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if match := _MARKER.search(line):
            yield number, match[1], match[2] or ""


def _allows(marker: tuple[int, str, str], finding: Finding) -> bool:
    line, rule, _ = marker
    return rule == finding.rule and finding.line in (line, line + 1)
