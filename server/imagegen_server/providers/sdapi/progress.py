"""What a server tells of the work that it does, by the two routes that there are.

`/internal/progress` of AUTOMATIC1111 and Forge tells of one task, by the id that was sent with it as `force_task_id`.
`/sdapi/v1/progress` tells of whatever runs. It has a `current_task`, but these two answer null there: their
modules/api/api.py imports the variable by value, before any task has set it. SD.Next tells an `id` of its own, and
KoboldCpp none.

Sources: modules/progress.py, modules/api/api.py and modules/shared_state.py of AUTOMATIC1111/stable-diffusion-webui and
of lllyasviel/stable-diffusion-webui-forge, modules/api/server.py of vladmandic/sdnext, LostRuins/koboldcpp#2316.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from imagegen_server.domain.errors import ImageError
from imagegen_server.domain.events import Phase, Progress
from imagegen_server.http.encoded_image import EncodedImage
from imagegen_server.images.facts import read_facts

TASK_ROUTE = "/internal/progress"
ROUTE = "/sdapi/v1/progress"
PICTURE_KEYS = frozenset({"live_preview", "current_image"})

_QUEUE = re.compile(r"In queue: (\d{1,6})/\d{1,6}")
_MOST_STEPS = 100_000
_MOST_SECONDS = 10**6


@dataclass(frozen=True, slots=True)
class Seen:
    """What one answer tells. `ours`: of our own task; None = it does not tell whose work it is.

    `taken`: our task is in the server's queue, or at work. `running`: something is at work. `ended`: our task has come
    to its end. `picture` is what it looks like so far. `costly`: the server decodes a picture whenever it is asked.
    """

    ours: bool | None = None
    taken: bool = False
    running: bool = False
    ended: bool = False
    progress: Progress | None = None
    picture: bytes = b""
    picture_id: int = -1
    costly: bool = False


def of_task(payload: Mapping[str, object]) -> Seen | None:
    """Read what `/internal/progress` tells of our task; None = it is no such answer."""
    active, queued, completed = (payload.get(name) for name in ("active", "queued", "completed"))
    if not isinstance(active, bool) or not isinstance(queued, bool):
        return None
    if not active:
        waiting = Progress(Phase.QUEUED, queue_position=_position(payload.get("textinfo"))) if queued else None
        return Seen(ours=queued, taken=queued, ended=completed is True and not queued, progress=waiting)
    number = payload.get("id_live_preview")
    return Seen(
        ours=True,
        taken=True,
        running=True,
        progress=Progress(
            fraction=_number(payload.get("progress"), 1.0), remaining=_number(payload.get("eta"), _MOST_SECONDS)
        ),
        picture=_picture(payload.get("live_preview")),
        picture_id=number if isinstance(number, int) and not isinstance(number, bool) else -1,
    )


def of_server(payload: Mapping[str, object], task_id: str) -> Seen | None:
    """Read what `/sdapi/v1/progress` tells; None = it is no such answer."""
    fraction, state = _number(payload.get("progress"), 1.0), payload.get("state")
    if fraction is None:
        return None
    facts = state if isinstance(state, Mapping) else {}
    named, jobs = payload.get("current_task"), _whole(facts.get("job_count"))
    # While it is idle, it has no jobs, and -1 while it does not know yet how many there are.
    running = bool(facts.get("job_count")) if "job_count" in facts else fraction > 0
    steps = _whole(facts.get("sampling_steps"))
    return Seen(
        ours=named == task_id if isinstance(named, str) and named else None,
        taken=named == task_id,
        running=running,
        progress=Progress(
            fraction=fraction,
            step=_whole(facts.get("sampling_step")) if steps and jobs is not None else None,
            steps=steps or None,
            remaining=_number(payload.get("eta_relative"), _MOST_SECONDS) or None,
        ),
        # Before the first step there is none, but maybe that of the task before.
        picture=_picture(payload.get("current_image")) if running and facts.get("sampling_step") != 0 else b"",
        costly="id" in payload,
    )


def _picture(told: object) -> bytes:
    """Decode a picture; empty = there is none, or none that can be shown."""
    if not isinstance(told, EncodedImage) or not told.encoded_length:
        return b""
    try:
        data = told.decode()
    except ImageError:
        return b""
    return data if read_facts(data) else b""


def _position(told: object) -> int | None:
    """Read how many wait before us out of "In queue: 2/3"."""
    found = _QUEUE.fullmatch(told) if isinstance(told, str) else None
    return max(int(found[1]) - 1, 0) if found else None


def _number(value: object, most: float) -> float | None:
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    if not plain or not isinstance(value, int | float) or not 0 <= value <= most or not math.isfinite(value):
        return None
    return float(value)


def _whole(value: object) -> int | None:
    plain = isinstance(value, int) and not isinstance(value, bool)
    return value if plain and isinstance(value, int) and 0 <= value < _MOST_STEPS else None
