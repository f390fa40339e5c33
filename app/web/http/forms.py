"""Posted forms as plain text fields, for handlers with more fields than a signature should hold."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import Depends, Request

from app.web.http.inputs import check_form


async def read_posted(request: Request) -> Mapping[str, str]:
    """Returns the text fields of the form; files are for handlers that name them."""
    form = check_form(await request.form())
    return {name: value for name, value in form.items() if isinstance(value, str)}


Posted = Annotated[Mapping[str, str], Depends(read_posted)]
