"""Decisions that people sign in an app of their organisation's own, such as a form that a ticket system shows.

Whoever decides there signs in for it, and the sign-in's `nonce` is a hash of the decision. The id token that comes
back is then the organisation's signature that this person said exactly this, at this moment: OpenID Connect Core 1.0,
3.1.2.1 (nonce) and 3.1.3.7 (how an id token is checked). Neither the app nor we keep a key, and whoever finds the
address, or even the access token that comes along, can decide nothing with it.
"""

import base64
import hashlib
from datetime import timedelta

from core import ApprovalId, TenantContext, canonical
from core.errors import Forbidden, Unauthenticated
from interaction.dependencies import InteractionDependencies
from orchestration import DecidingAppRecord
from web import VerifiedToken

SIGNED_WITHIN = timedelta(minutes=5)
"""How old a signature may be: the approver is still there, and what they were shown is not out of date."""


def nonce_of(approval: ApprovalId, verdict: str, reason: str) -> str:
    """Return what an approver signs: the SHA-256 of the decision as canonical JSON (RFC 8785), in base64url."""
    said = canonical({"approval": approval, "reason": reason, "verdict": verdict})
    return base64.urlsafe_b64encode(hashlib.sha256(said).digest()).rstrip(b"=").decode()


async def signed_through(
    me: TenantContext, deps: InteractionDependencies, token: VerifiedToken, nonce: str, proof: str | None
) -> str:
    """Return the id of the organisation's app in which a decision was signed; empty for one that was not.

    Args:
        me: who decides, from `token`.
        deps: of the edge.
        token: with which the request came; it names the app.
        nonce: of the decision, from `nonce_of`.
        proof: the id token of the sign-in in which it was signed.

    Raises:
        Forbidden: the organisation has named its apps, and it is another (`approval.app`); it is not signed
            (`approval.unsigned`), or the proof is no signature of this decision by this person, or too old
            (`approval.proof`).
        Unavailable: the issuer's keys cannot be had.
    """
    if token.app_id == deps.provider.client_id:
        return ""
    app = await _app(me, deps, token.app_id)
    if app is None:
        return ""
    if proof is None:
        message = (
            "A decision in this app has to be signed: have the person sign in for it, and send the id token along."
        )
        raise Forbidden(message, code="approval.unsigned")
    try:
        signature = await deps.sign_ins.verify_signature(proof, nonce=nonce, client=token.app_id)
    except Unauthenticated as refused:
        raise _no_proof(f"its id token was refused as {refused.code}") from None
    if (signature.tenant_id, signature.object_id) != (token.tenant_id, token.object_id):
        raise _no_proof("somebody else signed it")
    if deps.clock.now().timestamp() - signature.at > SIGNED_WITHIN.total_seconds():
        raise _no_proof("it was signed more than five minutes ago")
    return app.id


async def _app(me: TenantContext, deps: InteractionDependencies, client: str) -> DecidingAppRecord | None:
    """Return the app of this client id; None where the organisation has named none at all."""
    records = deps.store.tenant(me).records
    found = await records.get(DecidingAppRecord, client)
    if found and not found.value.ended_at:
        return found.value
    if found or await names_apps(me, deps):
        message = (
            "Your organisation takes decisions from the console and from the apps that it has named; this is another."
        )
        raise Forbidden(message, code="approval.app")
    return None


def _no_proof(why: str) -> Forbidden:
    return Forbidden(f"This decision is not proved: {why}. Sign in again for it.", code="approval.proof")


async def names_apps(me: TenantContext, deps: InteractionDependencies) -> bool:
    """Return whether the organisation has ever named an app: from then on no other one is decided in."""
    return bool((await deps.store.tenant(me).records.list(DecidingAppRecord, limit=1)).items)
