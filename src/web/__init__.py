"""What every service needs at its edge: who asks, in what form, how much, and how to say no."""

from web.assertions import (
    ASSERTION_HEADER,
    AssertionSigner,
    AssertionVerifier,
    KeyDirectory,
    PublishedKey,
    VerifiedAssertion,
    request_target,
)
from web.bounded import read_bounded
from web.correlation import CORRELATION_HEADER, Correlation, correlation_of
from web.csrf import CSRF_FIELD, CSRF_HEADER, SAFE_METHODS, check_csrf
from web.customer_tokens import CustomerTokens
from web.forms import FORM_WITH_FILES, form_with_files
from web.integers import WHOLE
from web.limits import BodyLimit, RateLimiter
from web.openid import EXCHANGE_AUDIENCE, SIGNED_IN, SIGNED_OUT, Attempt, OpenIdClient, Tokens
from web.outbound import Outbound, OutboundConnector
from web.peers import Candidate, PeerClient
from web.problems import Problem, install_problem_handlers, problem_response, problem_responses
from web.reshaping import Reshaped
from web.service import Health, create_service
from web.service_tokens import AzureServiceTokens, ServiceTokens, make_credential
from web.sse import EventStreamResponse, ServerEvent, event_bytes, parse_last_event_id, read_events
from web.tokens import Signature, TokenValidator, VerifiedToken, bearer_token
from web.transports import InProcess, Network, PeerRequest, Transport

__all__ = [
    "ASSERTION_HEADER",
    "CORRELATION_HEADER",
    "CSRF_FIELD",
    "CSRF_HEADER",
    "EXCHANGE_AUDIENCE",
    "FORM_WITH_FILES",
    "SAFE_METHODS",
    "SIGNED_IN",
    "SIGNED_OUT",
    "WHOLE",
    "AssertionSigner",
    "AssertionVerifier",
    "Attempt",
    "AzureServiceTokens",
    "BodyLimit",
    "Candidate",
    "Correlation",
    "CustomerTokens",
    "EventStreamResponse",
    "Health",
    "InProcess",
    "KeyDirectory",
    "Network",
    "OpenIdClient",
    "Outbound",
    "OutboundConnector",
    "PeerClient",
    "PeerRequest",
    "Problem",
    "PublishedKey",
    "RateLimiter",
    "Reshaped",
    "ServerEvent",
    "ServiceTokens",
    "Signature",
    "TokenValidator",
    "Tokens",
    "Transport",
    "VerifiedAssertion",
    "VerifiedToken",
    "bearer_token",
    "check_csrf",
    "correlation_of",
    "create_service",
    "event_bytes",
    "form_with_files",
    "install_problem_handlers",
    "make_credential",
    "parse_last_event_id",
    "problem_response",
    "problem_responses",
    "read_bounded",
    "read_events",
    "request_target",
]
