"""Who vouches for evidence: a key that signs it, and a place where it is anchored. Local files, or Azure."""

from data.notary.local import FileAnchor, LocalSigner

__all__ = ["FileAnchor", "LocalSigner"]
