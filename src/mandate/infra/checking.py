"""`mandate infra check`: the rules over any file, each finding under the rule's published name."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import yaml

from core.errors import NotFound
from mandate.infra.documents import Object, entries, fields, parse, templates, text
from mandate.infra.findings import Asked, Finding
from mandate.infra.form_rules import FORM_RULES
from mandate.infra.template_rules import TEMPLATE_RULES
from mandate.settings import ROOT

VALID = "JSONFiles-Should-Be-Valid"
ACCEPTED = ROOT / "infra" / "accepted-api-versions.yaml"
FORM = "createUiDefinition.json"
_PARAMETERS = re.compile(r"deploymentParameters\.json", re.IGNORECASE)
_TEMPLATE = re.compile(r"deploymentTemplate\.json", re.IGNORECASE)


def check(paths: Sequence[Path], today: date, *, warnings: bool) -> int:
    """Check files, and all JSON files in folders; print what is found; return 1 if anything blocks certification."""
    found = [finding for path in paths for finding in found_in(path, today)]
    for finding in found:
        if warnings or finding.blocking:
            print(finding)
    blocking = sum(finding.blocking for finding in found)
    print(f"{blocking} errors, {len(found) - blocking} warnings")
    return 1 if blocking else 0


def found_in(path: Path, today: date) -> Iterator[Finding]:
    """Yield what is not as it should be in a file, or in the JSON files of a folder.

    Raises:
        NotFound: there is no such file.
    """
    if not path.exists():
        raise NotFound(f"There is no {path}.")
    accepted = frozenset(yaml.safe_load(ACCEPTED.read_text()) if ACCEPTED.exists() else ())
    for file in sorted(path.rglob("*.json")) if path.is_dir() else [path]:
        try:
            document = parse(file.read_text("utf-8-sig"))
        except ValueError:
            yield Finding(VALID, blocking=True, place=str(file), message="This is no JSON object.")
            continue
        yield from found_in_document(document, file, Asked(today, accepted))


def found_in_document(document: Object, file: Path, asked: Asked) -> Iterator[Finding]:
    """Yield the same for what a file holds. A form is compared with the mainTemplate.json beside it."""
    schema = text(document, "$schema")
    if file.name.lower() == FORM.lower() or "CreateUIDefinition" in schema:
        beside = file.with_name("mainTemplate.json")
        if asked.template is None and beside.exists():
            asked = replace(asked, template=parse(beside.read_text("utf-8-sig")))
        for rule in FORM_RULES:
            yield from (Finding(rule.name, rule.blocking, str(file), said) for said in rule.check(document, asked))
    elif _PARAMETERS.search(schema):
        yield from _of_parameters(document, file)
    elif _TEMPLATE.search(schema) or ("resources" in document and "contentVersion" in document):
        for template in templates(document):
            place = f"{file}#{template.place}" if template.place else str(file)
            for rule in TEMPLATE_RULES:
                yield from (Finding(rule.name, rule.blocking, place, said) for said in rule.check(template, asked))


def _of_parameters(document: Object, file: Path) -> Iterator[Finding]:
    """Yield what four rules of arm-ttk say of a parameter file."""

    def finding(rule: str, said: str) -> Finding:
        return Finding(rule, blocking=True, place=str(file), message=said)

    if not re.search(r"schemas/\d{4}-\d{2}-\d{2}/", text(document, "$schema")):
        yield finding("DeploymentParameters-Should-Have-Schema", "The schema has no date.")
    if not re.fullmatch(r"\d+\.\d+\.\d+\.\d+", text(document, "contentVersion")):
        yield finding(
            "DeploymentParameters-Should-Have-ContentVersion", "contentVersion is no version such as 1.0.0.0."
        )
    if not isinstance(document.get("parameters"), dict):
        yield finding("DeploymentParameters-Should-Have-Parameters", "There are no parameters.")
    for name, value in fields(document, "parameters").items():
        if not {"value", "reference"} & set(fields(value)) and not entries(value):
            yield finding("DeploymentParameters-Should-Have-Value", f"{name} has neither a value nor a reference.")
