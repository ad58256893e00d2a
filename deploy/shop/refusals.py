"""How the shop says no: one exception, one document, `{"error": {"code", "message"}}`."""

from collections.abc import Mapping

from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field


class Problem(BaseModel):
    """Why a request was not carried out: a stable code for programs and a sentence for people."""

    code: str = Field(examples=["over_refund"])
    message: str = Field(examples=["Only 1900 USD (minor units) of this payment is left to refund."])


class ErrorAnswer(BaseModel):
    """The body of every answer outside 2xx."""

    error: Problem


class Refused(Exception):
    """The request is not carried out, and nothing has changed."""

    def __init__(
        self, status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})
        self.answer = ErrorAnswer(error=Problem(code=code, message=message))

    def response(self) -> JSONResponse:
        """This refusal as an HTTP response."""
        return JSONResponse(self.answer.model_dump(), self.status, headers=self.headers)


def missing(what: str) -> Refused:
    """404 in the same words whether the object never was or is another tenant's."""
    return Refused(404, "not_found", f"There is no such {what}.")
