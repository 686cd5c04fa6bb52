"""How far one call to a provider came."""

import time
from datetime import UTC, datetime

from imagegen_server.domain.errors import Billed, ImageError, Reason
from imagegen_server.domain.result import Attempt, AttemptOutcome


class AttemptRecord:
    """Follows one call to a provider and tells at its end how far it came."""

    def __init__(self, provider: str, model: str) -> None:
        """Start the clock."""
        self._provider = provider
        self._model = model
        self._start_time = datetime.now(UTC)
        self._start = time.monotonic()
        self._request_id = ""
        self._accepted = False
        self._delivered = False

    @property
    def accepted(self) -> bool:
        """The provider has taken the task on."""
        return self._accepted

    def accept(self, provider_request_id: str = "") -> None:
        """Note that the provider has taken the task on."""
        self._accepted = True
        self._request_id = provider_request_id or self._request_id

    def deliver(self) -> None:
        """Note that a finished image came, so that the call was taken on and paid for."""
        self._accepted = self._delivered = True

    def judge(self, error: ImageError) -> ImageError:
        """Correct what a reason says of the bill: after the provider took the task on, nothing is free by itself.

        Moderation of the input keeps its own answer, and so does an adapter that told one.
        """
        certain = error.billed_told or (error.reason is Reason.CONTENT_FILTERED and error.stage == "input")
        doubtful = self._accepted and error.billed is Billed.NO and not certain
        return error.with_billed(Billed.UNKNOWN) if doubtful else error

    def end(self, error: ImageError | None) -> Attempt:
        """Say how far it came; `error` None = it did not fail."""
        return Attempt(
            provider=self._provider,
            model=self._model,
            outcome=self._outcome(error),
            billed=self._billed(error),
            reason=error.reason if error else None,
            http_status=error.http_status if error else None,
            provider_request_id=(error.provider_request_id if error else "") or self._request_id,
            start_time=self._start_time,
            duration=time.monotonic() - self._start,
        )

    def _outcome(self, error: ImageError | None) -> AttemptOutcome:
        if error is None or self._accepted:
            return AttemptOutcome.ACCEPTED
        if error.reason is Reason.NETWORK_ERROR and not error.sent:
            return AttemptOutcome.NOT_SENT
        if error.reason is Reason.SERVER_BUSY and error.http_status is None:
            # Our own queue did not let it out.
            return AttemptOutcome.NOT_SENT
        return AttemptOutcome.REJECTED if error.billed is Billed.NO else AttemptOutcome.AMBIGUOUS

    def _billed(self, error: ImageError | None) -> Billed:
        if error is None or self._delivered:
            return Billed.YES
        return error.billed
