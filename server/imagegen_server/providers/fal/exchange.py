"""What belongs to all requests of one attempt: who asks for what, with which headers, and how answers are read."""

from dataclasses import dataclass, field

from imagegen_server.domain.task import Task
from imagegen_server.http.answer import Answer
from imagegen_server.http.client import HttpClient
from imagegen_server.http.error_context import ErrorContext
from imagegen_server.providers.base import Call

from .errors import REQUEST_ID
from .settings import FalSettings


def key_header(key: str) -> dict[str, str]:
    """Say who asks: the scheme is `Key`."""
    return {"Authorization": f"Key {key}"} if key else {}


@dataclass(frozen=True, slots=True)
class Exchange:
    """One attempt at a task. `provider` is the configured name; `http` reaches the queue."""

    provider: str
    settings: FalSettings
    task: Task
    call: Call
    http: HttpClient
    key: str = field(repr=False)

    def headers(self, *, queued: bool) -> dict[str, str]:
        """Make the headers of the request that starts the work."""
        return key_header(self.key) | self.settings.headers(queued=queued)

    def context_of(self, answer: Answer, host: str = "") -> ErrorContext:
        """Tell with what an answer is read; `host` is whose it is, by default the queue's."""
        http = self.http
        return ErrorContext(
            self.provider,
            host or http.host,
            answer.status,
            answer.headers,
            self.task.prompt,
            self.key,
            http.header_values,
            REQUEST_ID,
        )
