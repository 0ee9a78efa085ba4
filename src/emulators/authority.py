"""A certificate authority of this machine's own, so that emulators serve HTTPS and clients verify it as in Azure."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography.exceptions import InvalidSignature
from cryptography.x509 import load_pem_x509_certificate

from core import digest
from emulators.local_only import refuse_outside_local
from emulators.private_files import keep_first, private_folder, replace_private

_LIFETIME = timedelta(days=90)
_RENEW_BEFORE = timedelta(days=7)


class LocalAuthority:
    """Made at first start in a folder, found again afterwards. Nothing but our own processes should trust it."""

    def __init__(self, folder: Path, authority: trustme.CA) -> None:
        self._folder = folder
        self._authority = authority

    @classmethod
    def open(cls, folder: Path) -> "LocalAuthority":
        """Return the authority kept in `folder`. Reads and writes files: call it before the event loop starts.

        Raises:
            Defect: this is not a local environment.
        """
        refuse_outside_local()
        private_folder(folder)
        authority = _load_or_make(folder / "authority.pem")
        replace_private(folder / "ca.pem", authority.cert_pem.bytes())
        return cls(folder, authority)

    @property
    def ca_file(self) -> Path:
        """The certificate that clients trust, PEM."""
        return self._folder / "ca.pem"

    def issue(self, hosts: Sequence[str]) -> tuple[Path, Path]:
        """Return certificate file and key file for a server reached as `hosts` (names or IP addresses).

        Both are in one file, which is used again until a week before it expires.
        """
        path = self._folder / f"server-{digest(' '.join(sorted(hosts)).encode())[:16]}.pem"
        if not self._still_good(path):
            leaf = self._authority.issue_cert(*hosts, not_after=datetime.now(UTC) + _LIFETIME)
            replace_private(path, leaf.private_key_and_cert_chain_pem.bytes())
        return path, path

    def _still_good(self, path: Path) -> bool:
        if not path.exists():
            return False
        certificate = load_pem_x509_certificate(_certificate_part(path.read_bytes()))
        issuer = load_pem_x509_certificate(self._authority.cert_pem.bytes())
        try:
            certificate.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return certificate.not_valid_after_utc - datetime.now(UTC) > _RENEW_BEFORE


def _load_or_make(path: Path) -> trustme.CA:
    if path.exists():
        pem = path.read_bytes()
    else:
        fresh = trustme.CA(organization_name="Mandate local emulators")
        pem = keep_first(path, fresh.private_key_pem.bytes() + fresh.cert_pem.bytes())
    return trustme.CA.from_pem(cert_bytes=_certificate_part(pem), private_key_bytes=pem)


def _certificate_part(pem: bytes) -> bytes:
    return pem[pem.index(b"-----BEGIN CERTIFICATE") :]
