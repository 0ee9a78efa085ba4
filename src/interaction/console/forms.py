"""What people send with a form: read by a strict model, as the API reads a body."""

from collections.abc import Collection
from typing import TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from web import CSRF_FIELD

M = TypeVar("M", bound=BaseModel)

_MOST_FIELDS = 100


async def form_of(request: Request, model: type[M], *, lists: Collection[str] = (), **values: object) -> M:
    """Return a form's fields as `model`; `values` are not the form's to say. An empty field was left out.

    `lists` are those that may be sent several times: of these none means an empty list.

    Raises:
        RequestValidationError: a field lacks something, or has something wrong with it.
    """
    sent = await request.form(max_files=0, max_fields=_MOST_FIELDS)
    # Browsers send a line's end as CR LF, whatever was typed.
    fields = {
        name: value.replace("\r\n", "\n")
        for name, value in sent.multi_items()
        if isinstance(value, str) and value and name not in (CSRF_FIELD, *lists)
    }
    try:
        if lists:
            repeated = {name: sent.getlist(name) for name in lists}
            return model.model_validate({**fields, **repeated, **values}, strict=False)
        return model.model_validate_strings({**fields, **values})
    except ValidationError as error:
        wrong = [{**problem, "loc": ("body", *problem["loc"])} for problem in error.errors()]
        raise RequestValidationError(wrong) from None
