"""What certification looks for in a template that concerns secrets. Names are arm-ttk's."""

import re
from collections.abc import Iterator, Sequence

from mandate.infra.documents import DEPLOYMENT, Object, Template, at, fields, objects, strings, text
from mandate.infra.findings import Asked, Named, TemplateRule

_SECURE = ("securestring", "secureobject")
_LIST = re.compile(r"(?<![\w.])list\w+\s*\(", re.IGNORECASE)


def _secure_names(template: Template) -> list[str]:
    return [name for name, value in template.parameters.items() if text(value, "type").lower() in _SECURE]


def _mentions(found: str, name: str) -> bool:
    wanted = rf"parameters\(\s*'{re.escape(name)}'\s*\)"
    return found.startswith("[") and re.search(wanted, found, re.IGNORECASE) is not None


def _outputs_hold_no_secret(template: Template, _asked: Asked) -> Iterator[str]:
    for name, output in fields(template.body, "outputs").items():
        if "password" in name.lower():
            yield f"The output {name} is called after a secret."
        for found in strings(output):
            if found.startswith("[") and _LIST.search(found):
                yield f"The output {name} lists keys."
            for secret in _secure_names(template):
                if _mentions(found, secret):
                    yield f"The output {name} tells the parameter {secret}."


def _secure_parameters_have_no_default(template: Template, _asked: Asked) -> Iterator[str]:
    for name in _secure_names(template):
        default = at(template.parameters[name], "defaultValue")
        fresh = isinstance(default, str) and (not default or "newguid(" in default.lower())
        if default is not None and default != {} and not fresh:
            yield f"The parameter {name} has a default, which is then no secret."


def _passwords_are_secure(template: Template, _asked: Asked) -> Iterator[str]:
    for name, parameter in template.parameters.items():
        if "password" in name.lower() and text(parameter, "type").lower() not in (*_SECURE, "bool", "int"):
            yield f"The parameter {name} must be a secureString."


def _is_literal(value: str) -> bool:
    return bool(value) and not (value.startswith("[") and not value.startswith("[["))


def _no_literal(template: Template, wanted: str) -> Iterator[str]:
    for found in objects(at(template.own, "resources")):
        value = text(found, wanted)
        if _is_literal(value):
            yield f"{wanted} is written into the template."


def _no_literal_password(template: Template, _asked: Asked) -> Iterator[str]:
    return _no_literal(template, "adminPassword")


def _no_literal_user(template: Template, _asked: Asked) -> Iterator[str]:
    return _no_literal(template, "adminUsername")


def _commands_are_protected(template: Template, _asked: Asked) -> Iterator[str]:
    for resource in template.resources:
        command = text(resource, "properties", "settings", "commandToExecute")
        secret = any(_mentions(command, name) for name in _secure_names(template)) or _LIST.search(command)
        if command and secret:
            yield f"{text(resource, 'name')} runs a command with a secret: put it into protectedSettings."


def _nested_deployments_keep_secrets(template: Template, _asked: Asked) -> Iterator[str]:
    for resource in template.resources:
        if text(resource, "type").lower() != DEPLOYMENT or _is_inner(resource):
            continue
        for found in strings(at(resource, "properties", "template")):
            for name in _secure_names(template):
                if _mentions(found, name):
                    yield f"The deployment {text(resource, 'name')} would keep {name} in clear: use scope inner."
            if found.startswith("[") and _LIST.search(found):
                yield f"The deployment {text(resource, 'name')} would keep listed keys in clear."


def _is_inner(deployment: Object) -> bool:
    return text(deployment, "properties", "expressionEvaluationOptions", "scope").lower() == "inner"


SECRET_RULES: Sequence[Named[TemplateRule]] = (
    Named("Outputs-Must-Not-Contain-Secrets", _outputs_hold_no_secret),
    Named("Secure-String-Parameters-Cannot-Have-Default", _secure_parameters_have_no_default),
    Named("Password-params-must-be-secure", _passwords_are_secure),
    Named("adminPassword-Should-Not-Be-A-Literal", _no_literal_password),
    Named("adminUsername-Should-Not-Be-A-Literal", _no_literal_user),
    Named("CommandToExecute-Must-Use-ProtectedSettings-For-Secrets", _commands_are_protected),
    Named("Secure-Params-In-Nested-Deployments", _nested_deployments_keep_secrets),
)
