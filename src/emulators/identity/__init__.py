"""A local identity provider shaped like Microsoft Entra ID v2.0, with the managed-identity protocol."""

from emulators.identity.app import API, SERVICE_TID, create_app
from emulators.identity.client import sign_in
from emulators.identity.directory import (
    PERSONAL_ACCOUNTS,
    ClientRegistration,
    DirectoryTenant,
    DirectoryUser,
    FederatedCredential,
    ServiceIdentity,
)
from emulators.identity.graph import Graph
from emulators.identity.token_routes import TokenResponse

__all__ = [
    "API",
    "PERSONAL_ACCOUNTS",
    "SERVICE_TID",
    "ClientRegistration",
    "DirectoryTenant",
    "DirectoryUser",
    "FederatedCredential",
    "Graph",
    "ServiceIdentity",
    "TokenResponse",
    "create_app",
    "sign_in",
]
