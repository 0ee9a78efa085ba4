"""Embeddings as endpoints send them, made into the one form that we store."""

import base64
import binascii

from core.errors import Defect
from models.adapters import Embeddings
from models.faults import malformed
from models.wire import Wire


def embeddings(body: Wire, *, count: int, dimensions: int) -> Embeddings:
    """Read the body of an embeddings answer: floats, or base64 of little-endian float32, in any order.

    Raises:
        Unavailable: it does not hold `count` vectors of finite numbers.
        Defect: they are not of `dimensions` numbers.
    """
    if not isinstance(body, dict) or not isinstance(items := body.get("data"), list):
        raise malformed()
    vectors: dict[int, bytes] = {}
    for position, item in enumerate(items):
        if not isinstance(item, dict) or not isinstance(index := item.get("index", position), int):
            raise malformed()
        vectors[index] = _normalised(item.get("embedding"), dimensions)
    if sorted(vectors) != list(range(count)):
        raise malformed()
    usage = body.get("usage")
    tokens = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    return Embeddings(
        vectors=tuple(vectors[index] for index in range(count)),
        input_tokens=tokens if isinstance(tokens, int) and tokens >= 0 else None,
    )


def _normalised(embedding: Wire, dimensions: int) -> bytes:
    import numpy as np

    try:
        if isinstance(embedding, str):
            vector = np.frombuffer(base64.b64decode(embedding, validate=True), dtype="<f4")
        else:
            vector = np.asarray(embedding, dtype="<f8")
    except (binascii.Error, ValueError, TypeError) as error:
        raise malformed() from error
    if vector.ndim != 1:
        raise malformed()
    if vector.size != dimensions:
        message = f"The embedding model gives {vector.size} numbers where the catalogue says {dimensions}: correct it."
        raise Defect(message, code="model.rejected")
    with np.errstate(all="ignore"):
        length = float(np.linalg.norm(vector))
        if not np.isfinite(length) or length == 0:
            raise malformed()
        return (vector / length).astype("<f4").tobytes()
