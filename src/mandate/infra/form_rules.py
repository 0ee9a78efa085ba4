"""What certification looks for in createUiDefinition.json, the form of a managed application. Names are arm-ttk's."""

import re
from collections.abc import Iterator, Sequence

from mandate.infra.documents import Json, Object, at, entries, fields, objects, strings, text
from mandate.infra.findings import Asked, FormRule, Named

SCHEMA = "https://schema.management.azure.com/schemas/0.1.2-preview/CreateUIDefinition.MultiVm.json#"
_HANDLERS = ("Microsoft.Azure.CreateUIDef", "Microsoft.Compute.MultiVm")
_NO_PARAMETERS = ("applicationresourcename", "jitaccesspolicy", "managedidentity", "managedresourcegroupid")
"""Outputs that are for the application itself."""

_OUTPUTS_OF_ELEMENTS = re.compile(r"steps\('([^']+)'\)(?:\.([A-Za-z_]\w*))?(?:\.([A-Za-z_]\w*))?|basics\('([^']+)'\)")
_EXISTING = (
    "Microsoft.Storage.StorageAccountSelector",
    "Microsoft.Network.PublicIpAddressCombo",
    "Microsoft.Network.VirtualNetworkCombo",
)
_SILENT = (
    "Microsoft.Common.Section",
    "Microsoft.Common.InfoBox",
    "Microsoft.Common.TextBlock",
    "Microsoft.Solutions.ArmApiControl",
)
"""Elements into which nobody enters anything."""

_SECRETS = ("Microsoft.Common.PasswordBox", "Microsoft.Compute.CredentialsCombo")
_SIZES = "Microsoft.Compute.SizeSelector"
_SHORTEST_PASSWORD = 12


def controls(form: Object, *kinds: str) -> Iterator[Object]:
    """Yield all elements that people fill in; only those of some kinds, if any are given."""
    places: list[Json] = [*entries(form, "parameters", "basics"), *entries(form, "parameters", "steps")]
    for place in places:
        for found in objects(place):
            kind = text(found, "type")
            if "." in kind and text(found, "name") and (not kinds or kind.lower() in {one.lower() for one in kinds}):
                yield found


def _outputs(form: Object) -> Object:
    return fields(form, "parameters", "outputs")


def _schema(form: Object, _asked: Asked) -> Iterator[str]:
    if text(form, "$schema") != SCHEMA:
        yield f"$schema must be {SCHEMA}"


def _handler(form: Object, _asked: Asked) -> Iterator[str]:
    if text(form, "handler") not in _HANDLERS:
        yield f"handler must be {' or '.join(_HANDLERS)}"
    if text(form, "version") != "0.1.2-preview":
        yield "version must be 0.1.2-preview"


def _location_is_put_out(form: Object, _asked: Asked) -> Iterator[str]:
    if not any(name.lower() == "location" for name in _outputs(form)):
        yield "location must be among the outputs, as [location()]."


def _outputs_are_parameters(form: Object, asked: Asked) -> Iterator[str]:
    if asked.template is not None:
        known = {name.lower() for name in fields(asked.template, "parameters")}
        for name in _outputs(form):
            if name.lower() not in known and name.lower() not in _NO_PARAMETERS:
                yield f"The output {name} is no parameter of mainTemplate.json."


def _needed_parameters_are_put_out(form: Object, asked: Asked) -> Iterator[str]:
    given = {name.lower() for name in _outputs(form)}
    for name, parameter in fields(asked.template, "parameters").items():
        if "defaultValue" not in fields(parameter) and name.lower() not in given:
            yield f"The parameter {name} has no default and no output."


def _elements_of_outputs_exist(form: Object, _asked: Asked) -> Iterator[str]:
    basics = {text(element, "name") for element in entries(form, "parameters", "basics")}
    steps = {
        text(step, "name"): {text(found, "name"): found for found in objects(at(step, "elements"))}
        for step in entries(form, "parameters", "steps")
    }
    for found in strings(_outputs(form)):
        for step, element, inner, basic in _OUTPUTS_OF_ELEMENTS.findall(found):
            if (basic and basic not in basics) or (step and step not in steps):
                yield f"{found}: there is no {basic or step}."
            elif element and element not in steps.get(step, {}):
                yield f"{found}: the step {step} has no {element}."
            elif inner and text(steps[step][element], "type") == "Microsoft.Common.Section":
                named = {text(one, "name") for one in entries(steps[step][element], "elements")}
                if inner not in named:
                    yield f"{found}: the section {element} has no {inner}."


def _choices_are_allowed(form: Object, asked: Asked) -> Iterator[str]:
    for name, output in _outputs(form).items():
        allowed = at(asked.template, "parameters", name, "allowedValues")
        chosen = re.search(r"\.(\w+)\]$", output) if isinstance(output, str) else None
        if not isinstance(allowed, list) or chosen is None:
            continue
        for element in controls(form):
            if text(element, "name") == chosen[1]:
                values = [at(one, "value") for one in entries(element, "constraints", "allowedValues")]
                for value in values:
                    if value not in allowed:
                        yield f"{chosen[1]} offers {value!r}, which the parameter {name} does not allow."


def _text_boxes(form: Object, _asked: Asked) -> Iterator[str]:
    for box in controls(form, "Microsoft.Common.TextBox"):
        name, pattern = text(box, "name"), text(box, "constraints", "regex")
        several = entries(box, "constraints", "validations")
        if not pattern and not any(text(one, "regex") for one in several):
            yield f"{name} says with no regex what may be entered."
        if pattern and not text(box, "constraints", "validationMessage"):
            yield f"{name} has no validationMessage."
        for one in (pattern, *(text(item, "regex") for item in several)):
            try:
                re.compile(one)
            except re.error:
                yield f"The regex of {name} cannot be read."


def _validations_have_messages(form: Object, _asked: Asked) -> Iterator[str]:
    for found in objects(form):
        for validation in entries(found, "validations"):
            if not text(validation, "message"):
                yield "A validation has no message."


def _tooltips(form: Object, _asked: Asked) -> Iterator[str]:
    for element in controls(form):
        if text(element, "type") not in _SILENT and not at(element, "toolTip"):
            yield f"{text(element, 'name')} has no toolTip."


def _no_default_user(form: Object, _asked: Asked) -> Iterator[str]:
    for box in controls(form, "Microsoft.Compute.UserNameTextBox"):
        if at(box, "defaultValue"):
            yield f"{text(box, 'name')} has a default: who knows it knows half of how to get in."


def _passwords_are_hidden(form: Object, asked: Asked) -> Iterator[str]:
    hidden = {text(box, "name") for box in controls(form, *_SECRETS)}
    for name, output in _outputs(form).items():
        secure = text(asked.template, "parameters", name, "type").lower() == "securestring"
        if secure and not any(one in str(output) for one in hidden):
            yield f"The parameter {name} is a secret and its output comes from no PasswordBox."


def _passwords_are_long(form: Object, _asked: Asked) -> Iterator[str]:
    for box in controls(form, "Microsoft.Common.PasswordBox"):
        found = re.search(r"\{(\d+),", text(box, "constraints", "regex"))
        if not found or int(found[1]) < _SHORTEST_PASSWORD:
            yield f"{text(box, 'name')} takes passwords of fewer than {_SHORTEST_PASSWORD} characters."


def _confirmation_is_shown(form: Object, _asked: Asked) -> Iterator[str]:
    for box in controls(form, *_SECRETS):
        if at(box, "options", "hideConfirmation") is True:
            yield f"{text(box, 'name')} does not ask for the password twice."


def _existing_is_handled(form: Object, _asked: Asked) -> Iterator[str]:
    if any(True for _ in controls(form, *_EXISTING)):
        names = " ".join(_outputs(form)).lower()
        for wanted in ("resourcegroup", "neworexisting"):
            if wanted not in names:
                yield f"Who may choose what exists needs an output with {wanted} in its name."


def _sizes_match(form: Object, asked: Asked) -> Iterator[str]:
    for box in controls(form, _SIZES):
        using = [name for name, output in _outputs(form).items() if text(box, "name") in str(output)]
        if asked.template is not None and not using:
            yield f"No output takes the size that {text(box, 'name')} asks for."
        for name in using:
            default = at(asked.template, "parameters", name, "defaultValue")
            offered = [*entries(box, "recommendedSizes"), *entries(box, "constraints", "allowedSizes")]
            if default is not None and offered and default not in offered:
                yield f"{text(box, 'name')} does not offer {default!r}, which {name} defaults to."


def _no_blanks(form: Object, _asked: Asked) -> Iterator[str]:
    for found in objects(form):
        for name, value in found.items():
            if value == "" and name != "defaultValue":
                yield f"{name} is blank."


FORM_RULES: Sequence[Named[FormRule]] = (
    Named("Allowed-Values-Should-Actually-Be-Allowed", _choices_are_allowed),
    Named("Controls-In-Outputs-Must-Exist", _elements_of_outputs_exist),
    Named("CreateUIDefinition-Should-Have-Schema", _schema),
    Named("Credential-Confirmation-Should-Not-Be-Hidden", _confirmation_is_shown),
    Named("Handler-Must-Be-Correct", _handler),
    Named("HideExisting-Must-Be-Correctly-Handled", _existing_is_handled),
    Named("Location-Should-Be-In-Outputs", _location_is_put_out),
    Named("Outputs-Must-Be-Present-In-Template-Parameters", _outputs_are_parameters),
    Named("Parameters-Without-Default-Must-Exist-In-CreateUIDefinition", _needed_parameters_are_put_out),
    Named("Password-Textboxes-Must-Be-Used-For-Password-Parameters", _passwords_are_hidden),
    Named("PasswordBoxes-Must-Have-Min-Length", _passwords_are_long),
    Named("Textboxes-Are-Well-Formed", _text_boxes),
    Named("Tooltips-Should-Be-Present", _tooltips),
    Named("Usernames-Should-Not-Have-A-Default", _no_default_user),
    Named("VMSizes-Must-Match-Template", _sizes_match),
    Named("Validations-Must-Have-Message", _validations_have_messages),
    Named("CreateUIDefinition-Must-Not-Have-Blanks", _no_blanks, blocking=False),
)
