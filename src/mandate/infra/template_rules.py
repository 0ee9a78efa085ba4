"""What certification looks for in a template: places, addresses, API versions, parameters. Names are arm-ttk's."""

import re
from collections.abc import Iterator, Sequence
from datetime import date

from mandate.infra.documents import DEPLOYMENT, Object, Template, at, entries, fields, objects, strings, text
from mandate.infra.findings import MOST_DAYS, Asked, Named, TemplateRule
from mandate.infra.secret_rules import SECRET_RULES

_HARD_CODED = (
    *("management.azure.com", "management.core.windows.net", "gallery.azure.com", "database.windows.net"),
    *("core.windows.net", "login.microsoftonline.com", "graph.windows.net", "vault.azure.net", "datalake.azure.net"),
    *("azuredatalakestore.net", "azuredatalakeanalytics.net", "api.loganalytics.io", "asazure.windows.net"),
    "batch.core.windows.net",
)
"""Hosts of one cloud. `environment()` names them for whichever cloud it is."""

_WHERE = re.compile(r"(resourceGroup|deployment)\s*\(\s*\)\s*\.\s*location", re.IGNORECASE)
_WHERE_ALONE = re.compile(r"\[\s*(resourceGroup|deployment)\s*\(\s*\)\s*\.\s*location\s*\]", re.IGNORECASE)
_VERSION = re.compile(r"(\d{4}-\d{2}-\d{2})(-[a-z0-9.]+)?", re.IGNORECASE)
_RESOURCE_ID = re.compile(r"(?<![a-z])resourceId\s*\(([^()]*)\)", re.IGNORECASE)
_SCHEMA = re.compile(r"https://schema\.management\.azure\.com/schemas/[\w-]+/\w*[dD]eploymentTemplate\.json#?")
_PARAMETER = re.compile(r"parameters\(\s*'([^']+)'\s*\)", re.IGNORECASE)
_VARIABLE = re.compile(r"variables\(\s*'([^']+)'\s*\)", re.IGNORECASE)


def _is_expression(value: str) -> bool:
    return value.startswith("[") and value.endswith("]") and not value.startswith("[[")


def _location_is_not_hard_coded(template: Template, _asked: Asked) -> Iterator[str]:
    declared = template.parameters.get("location", {})
    if declared and text(declared, "type").lower() != "string":
        yield "The parameter location must be a string."
    default = text(declared, "defaultValue")
    allowed = bool(_WHERE_ALONE.fullmatch(default)) or (default == "global" and template.parent is None)
    if "defaultValue" in declared and not allowed:
        yield f"The parameter location defaults to {default!r}: give it [resourceGroup().location], or none."
    for found in template.working:
        if _is_expression(found) and _WHERE.search(found):
            yield f"{found} stands outside of the parameters: pass the location as one."


def _resources_have_location(template: Template, _asked: Asked) -> Iterator[str]:
    for resource in template.resources:
        location = text(resource, "location").strip()
        if location and not _is_expression(location) and location.lower() != "global":
            yield f"{text(resource, 'type')} is put into {location!r}: use an expression, or global."


def _no_hard_coded_address(template: Template, _asked: Asked) -> Iterator[str]:
    for found in template.working:
        for host in _HARD_CODED:
            if host in found.lower():
                yield f"{host} is hard-coded: take it from environment()."


def _bounds_are_numbers(template: Template, _asked: Asked) -> Iterator[str]:
    for name, parameter in template.parameters.items():
        for bound in ("minValue", "maxValue"):
            value = at(parameter, bound)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
                yield f"{bound} of the parameter {name} is no number."


def _no_debugging(template: Template, _asked: Asked) -> Iterator[str]:
    for resource in template.resources:
        if text(resource, "type").lower() == DEPLOYMENT:
            level = text(resource, "properties", "debugSetting", "detailLevel")
            if level and level.lower() != "none":
                yield f"The deployment {text(resource, 'name')} is debugged, which keeps what it is given."


def _parameter_types_agree(template: Template, _asked: Asked) -> Iterator[str]:
    if template.parent is None or template.deployment is None:
        return
    for name, given in fields(template.deployment, "properties", "parameters").items():
        expected = text(template.parameters.get(name, {}), "type").lower().removeprefix("secure")
        whole = re.fullmatch(r"\[parameters\('([^']+)'\)\]", text(given, "value"))
        if whole and expected:
            outer = text(template.parent.parameters.get(whole[1], {}), "type").lower().removeprefix("secure")
            if outer and outer != expected:
                yield f"{name} is a {expected} there and {whole[1]} a {outer} here."


def _ids_name_their_resource(template: Template, _asked: Asked) -> Iterator[str]:
    for found in template.working:
        for match in _RESOURCE_ID.finditer(found) if _is_expression(found) else ():
            parts = [part.strip() for part in match[1].split(",")]
            kinds = [part.strip("'") for part in parts if part.startswith("'") and "/" in part]
            if not kinds:
                continue
            if kinds[0].endswith("/"):
                yield f"The type of a resource ends with a slash: {kinds[0]}"
            after = len(parts) - parts.index(f"'{kinds[0]}'") - 1
            if after < kinds[0].strip("/").count("/"):
                yield f"An id of {kinds[0]} lacks a part of its name."


def _parameters_are_used(template: Template, _asked: Asked) -> Iterator[str]:
    declared = [found for parameter in template.parameters.values() for found in strings(parameter)]
    used = {name.lower() for found in [*template.working, *declared] for name in _PARAMETER.findall(found)}
    outer = [found for inner in _outer_scoped(template) for found in strings(inner)]
    used |= {name.lower() for found in outer for name in _PARAMETER.findall(found)}
    for name in template.parameters:
        if name.lower() not in used:
            yield f"Nothing uses the parameter {name}."


def _variables_are_used(template: Template, _asked: Asked) -> Iterator[str]:
    outer = [found for inner in _outer_scoped(template) for found in strings(inner)]
    used = {name.lower() for found in [*template.working, *outer] for name in _VARIABLE.findall(found)}
    for name in fields(template.body, "variables"):
        if name != "copy" and name.lower() not in used:
            yield f"Nothing uses the variable {name}."


def _outer_scoped(template: Template) -> Iterator[Object]:
    """Yield templates whose expressions mean this one's parameters."""
    for resource in template.resources:
        if text(resource, "properties", "expressionEvaluationOptions", "scope").lower() != "inner":
            yield fields(resource, "properties", "template")


def _api_versions_are_recent(template: Template, asked: Asked) -> Iterator[str]:
    for resource in template.resources:
        kind, version = text(resource, "type"), text(resource, "apiVersion")
        match = _VERSION.fullmatch(version)
        if not match:
            yield f"{kind} has no version of its API that can be read: {version!r}"
            continue
        if f"{kind}@{version}" in asked.accepted:
            continue
        days = (asked.today - date.fromisoformat(match[1])).days
        if match[2]:
            yield f"{kind}@{version} is a preview."
        elif days > MOST_DAYS:
            yield f"{kind}@{version} is {days} days old; {MOST_DAYS} are allowed."


def _artifacts_are_parameters(template: Template, _asked: Asked) -> Iterator[str]:
    names = {name: template.parameters[name] for name in template.parameters if name.startswith("_artifactsLocation")}
    if not names:
        return
    kinds = {"_artifactsLocation": "string", "_artifactsLocationSasToken": "securestring"}
    for name, kind in kinds.items():
        if text(names.get(name, {}), "type").lower() != kind:
            yield f"There must be a parameter {name} of type {kind}."
    defaults = ("[deployment().properties.templateLink.uri]", "")
    for name, expected in zip(kinds, defaults, strict=True):
        default = at(names.get(name, {}), "defaultValue")
        if template.parent is None and default is not None and default != expected:
            yield f"{name} must default to {expected!r}, or to nothing."
        if template.parent is not None and default is not None:
            yield f"{name} must have no default within a deployment."


def _machine_sizes_are_chosen(template: Template, _asked: Asked) -> Iterator[str]:
    for resource in _machines(template):
        for found in objects(at(resource, "properties")):
            size = text(found, "vmSize")
            if size and not _PARAMETER.search(size):
                yield f"A virtual machine has the fixed size {size!r}: make it a parameter."


def _machines_are_no_preview(template: Template, _asked: Asked) -> Iterator[str]:
    for resource in _machines(template):
        for found in objects(at(resource, "properties")):
            if any(
                "preview" in text(fields(found, "imageReference"), part).lower() for part in ("offer", "sku", "version")
            ):
                yield "A virtual machine is made from a preview of an image."


def _machines(template: Template) -> Iterator[Object]:
    kinds = ("microsoft.compute/virtualmachines", "microsoft.compute/virtualmachinescalesets")
    return (resource for resource in template.resources if text(resource, "type").lower() in kinds)


def _no_blanks(template: Template, _asked: Asked) -> Iterator[str]:
    for section in ("resources", "outputs"):
        for found in objects(at(template.own, section)):
            for name, value in found.items():
                if value == "":
                    yield f"{name} is blank in {section}."


def _schema_is_known(template: Template, _asked: Asked) -> Iterator[str]:
    schema = text(template.body, "$schema")
    if not re.fullmatch(
        r"https://schema\.management\.azure\.com/schemas/[\w-]+/\w*[dD]eploymentTemplate\.json#?", schema
    ):
        yield f"{schema!r} is no schema of templates."


def _no_dependency_on_an_id_put_together(template: Template, _asked: Asked) -> Iterator[str]:
    for resource in template.resources:
        for found in entries(resource, "dependsOn"):
            if isinstance(found, str) and re.match(r"\[\s*concat\s*\(", found, re.IGNORECASE):
                yield f"{text(resource, 'type')} depends on {found}: use resourceId."


TEMPLATE_RULES: Sequence[Named[TemplateRule]] = (
    *SECRET_RULES,
    Named("Location-Should-Not-Be-Hardcoded", _location_is_not_hard_coded),
    Named("Resources-Should-Have-Location", _resources_have_location),
    Named("DeploymentTemplate-Must-Not-Contain-Hardcoded-Uri", _no_hard_coded_address),
    Named("Min-And-Max-Value-Are-Numbers", _bounds_are_numbers),
    Named("Deployment-Resources-Must-Not-Be-Debug", _no_debugging),
    Named("Parameter-Types-Should-Be-Consistent", _parameter_types_agree),
    Named("Resources-Should-Not-Be-Ambiguous", _ids_name_their_resource),
    Named("artifacts-parameter", _artifacts_are_parameters),
    Named("VM-Size-Should-Be-A-Parameter", _machine_sizes_are_chosen),
    Named("Virtual-Machines-Should-Not-Be-Preview", _machines_are_no_preview),
    Named("Parameters-Must-Be-Referenced", _parameters_are_used, blocking=False),
    Named("Variables-Must-Be-Referenced", _variables_are_used, blocking=False),
    Named("apiVersions-Should-Be-Recent", _api_versions_are_recent, blocking=False),
    Named("Template-Should-Not-Contain-Blanks", _no_blanks, blocking=False),
    Named("DeploymentTemplate-Schema-Is-Correct", _schema_is_known, blocking=False),
    Named("DependsOn-Best-Practices", _no_dependency_on_an_id_put_together, blocking=False),
)
