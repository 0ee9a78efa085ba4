"""The edge as a service: the only one that people reach."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from interaction import readiness
from interaction.changes import Changes
from interaction.console import install_error_pages, page_routers
from interaction.dependencies import InteractionDependencies
from interaction.description import describe_exactly
from interaction.openai.errors import install_errors
from interaction.refusals import Refusals
from interaction.routes import (
    agent_identity,
    agents,
    approvals,
    changes_to_come,
    collections,
    conversations,
    data_export,
    deciding,
    deciding_apps,
    deputies,
    document_care,
    documents,
    effects,
    erasures,
    evidence,
    evidence_log,
    flags,
    holds,
    inventory,
    marketplace,
    openai_chat,
    openai_responses,
    passages,
    people,
    policies,
    policy_trying,
    policy_versions,
    run_evidence,
    runs,
    search,
    switches,
    usage,
)
from interaction.uploads import MAX_BODY, UPLOAD_PATH
from web import create_service

MAX_BODY_BYTES = 1_000_000

_RESOURCES = (
    *(people, agents, agent_identity, runs, run_evidence, effects, conversations),
    *(collections, documents, document_care),
    *(passages, search, deputies, deciding, deciding_apps, approvals, flags, usage),
    *(erasures, holds, inventory, data_export),
    *(policies, policy_trying, policy_versions, switches, changes_to_come, evidence, evidence_log),
    *(openai_chat, openai_responses, marketplace),
)


def create_app(dependencies: InteractionDependencies) -> FastAPI:
    """Return the app with all of the public API."""
    refusals = Refusals(dependencies.access)
    changes = Changes(dependencies.store)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        looking = asyncio.create_task(changes.run())
        yield
        looking.cancel()
        await refusals.finish()

    app = create_service(
        name="mandate",
        version=dependencies.version,
        ready=dependencies.store.ready,
        max_body=MAX_BODY_BYTES,
        max_body_per_path={documents.router.prefix: MAX_BODY, UPLOAD_PATH: MAX_BODY},
        lifespan=lifespan,
    )
    app.state.dependencies = dependencies
    app.state.changes = changes
    for resource in _RESOURCES:
        app.include_router(resource.router)
    app.include_router(readiness.router)
    for router in page_routers():
        app.include_router(router)
    install_error_pages(app, dependencies)
    refusals.install(app)
    install_errors(app)
    describe_exactly(app)
    return app
