"""What can go wrong in a call: one base class, so that an application needs one `except`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class UpdateError(Exception):
    """A call failed. `str(error)` is one line with all that is known; the server's own words are in `message`.

    `status` is the HTTP status, None when no answer was involved. `code` is the machine-readable word
    (`APPLICATION_NOT_FOUND`, `CONFLICT`, ...). `fields` maps the name of a wrong field to what would fit.
    `request_id` finds the request in the server's log. `retry_after_s` is how long the server asked to
    wait. `details` is what else the server said, such as what is there already. `uncertain` says that an
    earlier, unanswered attempt of the same call may have been carried out.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str = "",
        fields: Mapping[str, str] | None = None,
        request_id: str = "",
        retry_after_s: float | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.fields: dict[str, str] = dict(fields or {})
        self.request_id = request_id
        self.retry_after_s = retry_after_s
        self.details: dict[str, Any] = dict(details or {})
        self.uncertain = False

    def __str__(self) -> str:
        """Return what was refused, each wrong field with what fits, and which answer of the server it was, if any."""
        told = "; ".join([self.message, *(f"{name}: {text}" for name, text in self.fields.items())])
        if not self.status:
            return told
        answer = " ".join(filter(None, (str(self.status), self.code)))
        return f"{told} ({answer}, request {self.request_id})" if self.request_id else f"{told} ({answer})"

    def add(self, hint: str) -> None:
        """Add to the message what the person who reads it may do."""
        self.message = f"{self.message}; {hint}"
        self.args = (self.message,)


class Unreachable(UpdateError):
    """No complete answer came: refused, reset, timed out, cut off, or a certificate that does not fit.

    `transient` is False where trying again cannot help.
    """

    def __init__(self, message: str, *, transient: bool = True) -> None:
        super().__init__(message, code="UNREACHABLE")
        self.transient = transient


class BadAnswer(UpdateError):
    """Something answered, but not as an update server does: a wrong address, or a proxy's own page."""

    def __init__(self, message: str, *, status: int | None = None, request_id: str = "") -> None:
        super().__init__(message, status=status, code="BAD_ANSWER", request_id=request_id)


class DigestMismatch(UpdateError):
    """The bytes that came are not the bytes that were announced. Nothing was put in place."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="DIGEST_MISMATCH")


class FileChanged(UpdateError):
    """The file to publish was written to while it was read."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="FILE_CHANGED")
