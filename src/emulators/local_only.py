"""The one check that keeps every emulator out of anything but a laptop (design section 8, rule 7)."""

import os

from core.errors import Defect


def refuse_outside_local() -> None:
    """Return if the environment variable MANDATE_ENVIRONMENT is `local`.

    Raises:
        Defect: it is not, or not set (`defect.emulator`).
    """
    if os.environ.get("MANDATE_ENVIRONMENT") != "local":
        message = "Emulators start only where MANDATE_ENVIRONMENT=local is set. Never set it on a server."
        raise Defect(message, code="defect.emulator")
