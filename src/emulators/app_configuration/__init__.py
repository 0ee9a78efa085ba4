"""A local App Configuration store: the part of its data plane that reading, watching and loading need."""

from emulators.app_configuration.app import Authorize, Store

__all__ = ["Authorize", "Store"]
