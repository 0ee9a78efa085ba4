"""`mandate package managed-app`: the zip that Partner Center takes, the same bytes from the same sources."""

import json
import re
import zipfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from core.errors import BadRequest
from mandate.infra.bicep import Bicep
from mandate.infra.checking import found_in
from mandate.infra.documents import Object, entries, fields, parse, text
from mandate.settings import ROOT

FOLDER = ROOT / "infra" / "managed-app"
FORM = "createUiDefinition.json"
VIEW = "viewDefinition.json"
TEMPLATE = "mainTemplate.json"
_MOMENT = (1980, 1, 1, 0, 0, 0)
_READABLE = 0o644 << 16
_BY_DIGEST = re.compile(r"[a-z0-9.:-]+(/[a-z0-9._-]+)+@sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Release:
    """What a package installs.

    Attributes:
        image: by its digest, from a registry that the customer's subscription can read without a key.
        cross_tenant: the publisher's tenant deploys into the customer's, as from the marketplace.
        just_in_time: the publisher has access only for a while and when the customer lets it, as the plan in Partner
            Center then has to say too.
        publisher: the publisher's public address and API, which a stamp tells its version if the customer lets it;
            empty: the customer is not asked.
    """

    image: str
    cross_tenant: bool = True
    just_in_time: bool = False
    publisher: tuple[str, str] = ("", "")

    def __post_init__(self) -> None:
        if not _BY_DIGEST.fullmatch(self.image):
            raise BadRequest("Name the image by its digest: registry/name@sha256:...")
        if any(self.publisher) and not (self.publisher[0].startswith("https://") and self.publisher[1]):
            raise BadRequest("Give the publisher's address, with https, and the audience of its API, or neither.")


def package(out: Path, release: Release, today: date) -> int:
    """Write the package; return 1, and write nothing, if it would not be certified.

    Args:
        out: the file to write.
        release: what it installs.
        today: from which the age of API versions counts.
    """
    with TemporaryDirectory() as folder:
        template = Path(folder) / TEMPLATE
        Bicep.find().build(ROOT / "infra" / "stamp.bicep", template)
        parts = assemble(Path(folder), template.read_text(), release)
        blocking = [finding for finding in found_in(Path(folder), today) if finding.blocking]
        if blocking:
            print("\n".join(map(str, blocking)))
            return 1
        out.parent.mkdir(parents=True, exist_ok=True)
        write(parts, out)
    print(out)
    return 0


def assemble(folder: Path, template: str, release: Release) -> list[Path]:
    """Put the parts of the package into a folder and return them; `template` is the compiled stamp."""
    form = parse((FOLDER / FORM).read_text())
    fields(form, "parameters", "outputs").update({"image": release.image, "crossTenant": release.cross_tenant})
    if release.just_in_time:
        _ask_for_access(form)
    if any(release.publisher):
        _ask_for_heartbeat(form, *release.publisher)
    parts = {
        FORM: json.dumps(form, indent=2),
        TEMPLATE: json.dumps(parse(template), separators=(",", ":")),
        VIEW: (FOLDER / VIEW).read_text(),
    }
    for name, content in parts.items():
        (folder / name).write_text(content)
    return [folder / name for name in parts]


def _ask_for_access(form: Object) -> None:
    """Have the customer say who lets the publisher in, and for how long at most."""
    control: Object = {
        "name": "access",
        "type": "Microsoft.Solutions.JitConfigurator",
        "label": "Access of the publisher",
        "toolTip": "Who approves a request of the publisher for access, and for how long at most.",
    }
    entries(form, "parameters", "steps").append(
        {"name": "publisher", "label": "Access of the publisher", "elements": [control]}
    )
    fields(form, "parameters", "outputs")["jitAccessPolicy"] = "[steps('publisher').access]"


def _ask_for_heartbeat(form: Object, address: str, audience: str) -> None:
    """Have the customer say whether the publisher is told that the stamp is alive, and may say what is done in it."""
    asked: tuple[Object, ...] = (
        {
            "name": "heartbeat",
            "label": "Tell the publisher which version runs here",
            "toolTip": "Every fifteen minutes, outwards: the version and whose identity it is. No name and no content.",
            "visible": True,
        },
        {
            "name": "controls",
            "label": "Let the publisher say what may be used here (hybrid)",
            "toolTip": "Asked each minute, outwards: plan, features and limits, whether it is paid for, and what is "
            "switched off at once. After a day without an answer people can read and export, and not ask. "
            "Nothing of yours is sent.",
            "visible": "[steps('evidence').heartbeat]",
        },
    )
    for step in entries(form, "parameters", "steps"):
        if text(step, "name") == "evidence":
            box: Object = {"type": "Microsoft.Common.CheckBox", "defaultValue": False}
            entries(step, "elements").extend({**box, **control} for control in asked)
    outputs = fields(form, "parameters", "outputs")
    for output, value in (("publisherAddress", address), ("publisherAudience", audience)):
        outputs[output] = f"[if(steps('evidence').heartbeat, '{value}', '')]"
    outputs["publisherControls"] = "[and(steps('evidence').heartbeat, steps('evidence').controls)]"


def write(parts: list[Path], out: Path) -> None:
    """Write files into a zip, at its root, without anything that differs from one time or machine to the next."""
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for part in parts:
            entry = zipfile.ZipInfo(part.name, _MOMENT)
            entry.compress_type, entry.external_attr, entry.create_system = zipfile.ZIP_DEFLATED, _READABLE, 3
            archive.writestr(entry, part.read_bytes())
