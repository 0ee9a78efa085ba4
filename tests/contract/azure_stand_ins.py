"""Services of Azure for which there is no emulator: strict stand-ins, as far as we ask for them."""

import asyncio
import base64
import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature

from data.notary.local import public_of
from guards.prompt_shields import DOCUMENTS, PIECE

VAULT_TOKEN, INSIGHTS_TOKEN, SHIELDS_TOKEN = "let me sign", "let me report", "let me look"
VAULT_KEY_VERSION = "0123456789abcdef0123456789abcdef"
VAULT_API_VERSION = "2025-07-01"
INSTRUMENTATION = "11111111-2222-4333-8444-555555555555"
INSIGHTS_CLIENT_ID = "6f4f6f0a-0000-4000-8000-000000000001"
ATTACK = "ATTACK"


@dataclass
class Vault:
    """A vault with one key, as far as signing asks for it; whatever else it is asked, it refuses.

    Attributes:
        away: answers nobody.
        curve: that it says its key is on.
        domain: that its address ends with; tokens are for it.
    """

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    away: bool = False
    curve: str = "P-256"
    domain: str = "vault.azure.net"
    asked: list[str] = field(default_factory=list[str])

    @property
    def key_id(self) -> str:
        return f"https://mandate.{self.domain}/keys/evidence/{VAULT_KEY_VERSION}"

    async def answer(self, request: web.Request) -> web.Response:
        if self.away:
            return web.json_response({"error": {"code": "Throttled", "message": "later"}}, status=503)
        if request.headers.get("Authorization") != f"Bearer {VAULT_TOKEN}":
            authority = "https://login.microsoftonline.com/tid"
            challenge = f'Bearer authorization="{authority}", resource="https://{self.domain}"'
            return web.json_response({}, status=401, headers={"WWW-Authenticate": challenge})
        if request.query.get("api-version") != VAULT_API_VERSION:
            return web.json_response({"error": {"code": "BadParameter", "message": "no"}}, status=400)
        self.asked.append(f"{request.method} {request.path}")
        match request.method, request.path:
            case "GET", path if path == f"/keys/evidence/{VAULT_KEY_VERSION}":
                return web.json_response({"key": self._public(), "attributes": {"enabled": True}})
            case "POST", path if path == f"/keys/evidence/{VAULT_KEY_VERSION}/sign":
                return web.json_response({"kid": self.key_id, "value": self._signed(await request.json())})
            case _:
                return web.json_response({"error": {"code": "KeyNotFound", "message": "no"}}, status=404)

    def _public(self) -> dict[str, Any]:
        key = public_of(self.key)
        return {
            "kid": self.key_id,
            "kty": "EC",
            "crv": self.curve,
            "x": key.x,
            "y": key.y,
            "key_ops": ["sign", "verify"],
        }

    def _signed(self, asked: dict[str, str]) -> str:
        assert asked.keys() == {"alg", "value"}
        assert asked["alg"] == "ES256"
        digest = base64.urlsafe_b64decode(asked["value"] + "==")
        assert len(digest) == 32
        r, s = decode_dss_signature(self.key.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256()))))
        return base64.urlsafe_b64encode(r.to_bytes(32) + s.to_bytes(32)).rstrip(b"=").decode()


@dataclass
class Insights:
    """Ingestion that takes what comes by token, and the platform's endpoint that gives that token to one identity."""

    items: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    refused: int = 0

    async def token(self, request: web.Request) -> web.Response:
        wanted = {
            "resource": "https://monitor.azure.com/",
            "client_id": INSIGHTS_CLIENT_ID,
            "api-version": "2019-08-01",
        }
        if dict(request.query) != wanted or request.headers.get("X-IDENTITY-HEADER") != "secret":
            return web.json_response({"error": "invalid_request"}, status=400)
        return web.json_response({"access_token": INSIGHTS_TOKEN, "expires_on": "4102444800", "token_type": "Bearer"})

    async def track(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {INSIGHTS_TOKEN}":
            self.refused += 1
            return self._told({}, status=401)
        body = await request.read()  # the server has unpacked it, unless it does not know how
        text = gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body
        found: list[dict[str, Any]] = json.loads(text)
        assert all(item["iKey"] == INSTRUMENTATION for item in found)
        self.items += found
        return self._told({"itemsReceived": len(found), "itemsAccepted": len(found), "errors": []})

    def _told(self, body: dict[str, Any], status: int = 200) -> web.Response:
        response = web.json_response(body, status=status)
        response.force_close()  # the exporter never closes its connections
        return response


@dataclass
class Shields:
    """As far as it is documented: what it is asked must fit, and `ATTACK` is what it takes for one.

    Attributes:
        answer: what it answers in place of that; a status, or text.
        seconds: how long it takes.
        lets_in: the tokens that it lets in.
    """

    url: str = ""
    answer: int | str | None = None
    seconds: float = 0
    asked: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    lets_in: Callable[[str], bool] = SHIELDS_TOKEN.__eq__

    async def handle(self, request: web.Request) -> web.StreamResponse:
        assert request.method == "POST"
        assert request.path_qs == "/contentsafety/text:shieldPrompt?api-version=2024-09-01"
        if not self.lets_in(request.headers.get("Authorization", "").removeprefix("Bearer ")):
            return web.json_response({"error": {"code": "401"}}, status=401)
        asked: dict[str, Any] = await request.json()
        assert asked.keys() <= {"userPrompt", "documents"}
        assert len(asked["documents"]) <= DOCUMENTS
        assert len(asked.get("userPrompt", "")) + sum(map(len, asked["documents"])) <= PIECE
        self.asked.append(asked)
        await asyncio.sleep(self.seconds)
        if isinstance(self.answer, int):
            return web.json_response({"error": {"code": str(self.answer)}}, status=self.answer)
        if self.answer is not None:
            return web.Response(text=self.answer, content_type="application/json")
        told: dict[str, Any] = {"documentsAnalysis": [{"attackDetected": ATTACK in one} for one in asked["documents"]]}
        if "userPrompt" in asked:
            told["userPromptAnalysis"] = {"attackDetected": ATTACK in asked["userPrompt"]}
        return web.json_response(told)
