"""A fake of servers with the API of AUTOMATIC1111's web UI on a loopback port, in the flavours that there are.

It follows their sources: what is refused and how, one task at a time and the others in a queue, work that goes on when
its client has left, and what each tells of it. Fields that it does not know it overlooks, as they do. The package
`webuiapi` is held against it in tests/providers/sdapi.
"""

import asyncio
import base64
import io
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web
from PIL import Image, UnidentifiedImageError

from .openai_wire import picture
from .recording import RecordedRequest, recorded
from .vendor import Answer, FakeVendor, RefusalError, json_answer, running

Flavor = Literal["a1111", "forge", "sdnext", "koboldcpp", "sd-server"]

KEY = "kobold_test_password_0123456789"
"""As KoboldCpp takes it, as a bearer's."""
LOGIN = "operator:correct-horse-0123456789"
"""As --api-auth takes it."""
TITLES = ("boats_v1.safetensors [0123456789]", "folder/harbours.safetensors [abcdef0123]")
SAMPLERS = ("Euler a", "DPM++ 2M")
SEED = 1_234_567
STEPS = 20

_ALONE_SECONDS = 0.05
"""How long a task with previews waits for somebody to look at it."""

_STEP_SECONDS = 0.01
_TASK_ROUTE, _ROUTE, _INTERRUPT = "/internal/progress", "/sdapi/v1/progress", "/sdapi/v1/interrupt"
_SIDE = frozenset({_TASK_ROUTE, _ROUTE, _INTERRUPT})
_TYPES: Mapping[str, tuple[type, str]] = {
    "prompt": (str, "string"),
    "negative_prompt": (str, "string"),
    "seed": (int, "integer"),
    "width": (int, "integer"),
    "height": (int, "integer"),
    "batch_size": (int, "integer"),
    "steps": (int, "integer"),
    "override_settings": (dict, "dictionary"),
    "sampler_name": (str, "string"),
    "force_task_id": (str, "string"),
}


@dataclass(eq=False)
class Job:
    """A task on the server. `ended` is set when its picture is done, or was given up."""

    task_id: str
    previews: bool
    step: int = 0
    interrupted: bool = False
    looks: int = 0
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class FakeSdapi(FakeVendor):
    """One loopback server.

    `held`: tasks do not end by themselves, but by `finish`, or when they are interrupted. `looks` are the questions
    that were asked while it worked, `interrupts` the orders to stop; `look_says` answers questions instead.
    """

    def __init__(self, flavor: Flavor = "forge", *, locked: bool = False) -> None:
        """Have no task. `locked`: nobody gets in without the key or the login."""
        super().__init__()
        self.flavor = flavor
        self.locked = locked
        self.held = False
        self.first_step = STEPS // 2
        """Where a task is as it begins."""
        self.old = False
        """It knows nothing of `force_task_id`, as AUTOMATIC1111 before 1.8."""
        self.names_task = False
        """It tells in `current_task` what it works on, as it is meant to."""
        self.paint: Callable[[float], bytes] | None = None
        """Draws what a task looks like when so much of it is done, 1 = all; None = squares of one shade."""
        self.dress: Callable[[Answer], Answer] = lambda answer: answer
        """What is done to answers with previews."""
        self.look_says: Callable[[RecordedRequest], Answer | None] = lambda _: None
        self.looks: list[RecordedRequest] = []
        self.interrupts: list[RecordedRequest] = []
        self.jobs: list[Job] = []
        self.current: Job | None = None
        self.asked = asyncio.Event()
        """Set at each question."""
        self.looking = 0
        self.most_looking = 0
        self._gpu = asyncio.Lock()
        self._begun_by: dict[asyncio.Task[Any] | None, Job] = {}
        self._transports: set[asyncio.Transport] = set()
        self._works: set[asyncio.Task[None]] = set()

    @property
    def makings(self) -> list[RecordedRequest]:
        """What pictures were asked for."""
        return [call for call in self.requests if call.method == "POST"]

    @property
    def at_work(self) -> Job:
        """The task that is at work."""
        assert self.current is not None
        return self.current

    def finish(self) -> None:
        """Let the task that is at work come to its end."""
        self.at_work.ended.set()

    def foreign(self) -> Job:
        """Begin a task of somebody else, which the server works on until it is interrupted or let end."""
        return self._begin("task(somebody-else)", previews=True)

    def restart(self) -> None:
        """Break all connections and forget all work."""
        for job in self.jobs:
            job.task_id = ""
            job.ended.set()
        for transport in self._transports:
            transport.abort()

    async def until(self, true: Callable[[], object]) -> None:
        """Wait for something that a question brings about."""
        while not true():
            self.asked.clear()
            await self.asked.wait()

    def close(self) -> None:
        """Stop all work."""
        for work in self._works:
            work.cancel()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one call. Questions and interrupts take no answer that was meant for the task itself."""
        if request.transport is not None:
            self._transports.add(request.transport)
        if request.path not in _SIDE:
            return await super().handle(request)
        call = recorded(request.method, request.path_qs, list(request.headers.items()), await request.read())
        (self.interrupts if call.path == _INTERRUPT else self.looks).append(call)
        self.looking += 1
        self.most_looking = max(self.most_looking, self.looking)
        self.asked.set()
        job = self.current
        try:
            self._let_in(call)
            answer = self.look_says(call) or self.dress(self._side(call))
        except RefusalError as refusal:
            answer = json_answer(refusal.status, refusal.body)
        try:
            return await self._say(request, answer)
        finally:
            self.looking -= 1
            if job is not None and call.path != _INTERRUPT and answer.status == 200:
                job.looks += 1
            self.asked.set()

    def draw(self, call: RecordedRequest, *, checks_only: bool) -> Answer:
        """See FakeVendor."""
        self._let_in(call)
        if call.method == "GET":
            return self._listed(call.path)
        if call.method != "POST" or call.path not in {"/sdapi/v1/txt2img", "/sdapi/v1/img2img"}:
            raise RefusalError(404, {"detail": "Not Found"})
        body = self._read(call)
        if checks_only:
            return Answer()
        if self._unknown_model(body):
            # Forge lets its own exception out, as it has no middleware that would write it down.
            return Answer(500, {"content-type": "text/plain; charset=utf-8"}, [b"Internal Server Error"])
        wants = bool(body.get("override_settings", {}).get("live_previews_enable"))
        job = self._begin("" if self.old else body.get("force_task_id", ""), previews=wants)
        self._begun_by[asyncio.current_task()] = job
        return Answer(200, {"content-type": "application/json"}, [json.dumps(self._made(body)).encode()], job.ended)

    def _let_in(self, call: RecordedRequest) -> None:
        basic = "Basic " + base64.b64encode(LOGIN.encode()).decode()
        if self.locked and call.headers.get("authorization") not in {f"Bearer {KEY}", basic}:
            raise RefusalError(401, {"detail": "Incorrect username or password"})

    def _begin(self, task_id: str, *, previews: bool) -> Job:
        job = Job(task_id, previews)
        self.jobs.append(job)
        work = asyncio.get_running_loop().create_task(self._work(job))
        self._works.add(work)
        work.add_done_callback(self._works.discard)
        return job

    async def _work(self, job: Job) -> None:
        async with self._gpu:
            self.current, job.step = job, job.step or self.first_step
            self.asked.set()
            if self.held or job.task_id.startswith("task("):
                await job.ended.wait()
            elif job.previews:
                await self._seen(job)
            job.ended.set()
            self.current = None
            self.asked.set()

    async def _seen(self, job: Job) -> None:
        """Wait until somebody who looks has had an answer, or nobody looks."""
        while not job.looks:
            try:
                async with asyncio.timeout(_ALONE_SECONDS):
                    await self.until(lambda: job.looks)
            except TimeoutError:
                if not self.looking:
                    return
        # Nobody draws the last steps in no time: what was answered has arrived by then.
        await asyncio.sleep(_STEP_SECONDS)

    async def _say(self, request: web.Request, answer: Answer) -> web.StreamResponse:
        job = self._begun_by.pop(asyncio.current_task(), None)
        if job is not None and answer.before is not job.ended and not self.held:
            # Something else is said instead of a picture: nothing is at work.
            job.ended.set()
        try:
            return await super()._say(request, answer)
        except (asyncio.CancelledError, ConnectionError):
            if self.flavor == "koboldcpp" and answer.before is not None:
                answer.before.set()
            raise

    def _side(self, call: RecordedRequest) -> Answer:
        if self.flavor == "sd-server":
            return Answer(404)
        if call.path == _INTERRUPT:
            if call.method != "POST":
                raise RefusalError(405, {"detail": "Method Not Allowed"})
            if self.current is not None:
                self.current.interrupted = True
                self.current.ended.set()
            return Answer(204) if self.flavor == "sdnext" else json_answer(200, {})
        if call.path == _TASK_ROUTE:
            if self.flavor not in {"a1111", "forge"} or call.method != "POST":
                raise RefusalError(404, {"detail": "Not Found"})
            return json_answer(200, self._of_task(call.json))
        return json_answer(200, self._of_server(skips=call.query == "skip_current_image=true"))

    def _of_task(self, asked: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(asked["id_task"], str) or not isinstance(asked["id_live_preview"], int):
            raise RefusalError(422, {"detail": [{"loc": ["body"], "msg": "Input should be valid", "type": "x"}]})
        job = next((job for job in self.jobs if job.task_id == asked["id_task"]), None)
        waiting = [other for other in self.jobs if other is not self.current and not other.ended.is_set()]
        told: dict[str, Any] = {
            "active": job is not None and job is self.current and not job.ended.is_set(),
            "queued": job in waiting,
            "completed": job is not None and job.ended.is_set(),
            "progress": None,
            "eta": None,
            "live_preview": None,
            "id_live_preview": -1,
            "textinfo": "Waiting...",
        }
        if job is None or not told["active"]:
            if job in waiting:
                told["textinfo"] = f"In queue: {waiting.index(job) + 1}/{len(waiting)}"
            return told
        told |= {"progress": job.step / STEPS, "eta": float(STEPS - job.step), "textinfo": None}
        told["id_live_preview"] = asked["id_live_preview"]
        if asked.get("live_preview", True) and job.previews and asked["id_live_preview"] != job.step:
            told |= {"live_preview": f"data:image/png;base64,{self._preview(job)}", "id_live_preview": job.step}
        return told

    def _of_server(self, *, skips: bool) -> dict[str, Any]:
        job = self.current
        state: dict[str, Any] = {"skipped": False, "interrupted": False, "stopping_generation": False}
        state |= {"job": "scripts_txt2img" if job else "", "job_count": 1 if job else 0, "job_no": 0}
        state |= {"job_timestamp": "20261128095314", "sampling_step": job.step if job else 0, "sampling_steps": STEPS}
        told: dict[str, Any] = {
            "progress": job.step / STEPS if job else 0.0,
            "eta_relative": float(STEPS - job.step) if job else 0.0,
            "state": state,
            "current_image": self._preview(job) if job and job.previews and not skips else None,
            "textinfo": None,
        }
        if self.flavor in {"a1111", "forge"}:
            told["current_task"] = job.task_id if job and self.names_task else None
        return told | ({"id": "0a1b2c3d"} if self.flavor == "sdnext" else {})

    def _preview(self, job: Job) -> str:
        return base64.b64encode(self.paint(job.step / STEPS)).decode() if self.paint else preview(job.step)

    def _listed(self, path: str) -> Answer:
        if path == "/sdapi/v1/sd-models":
            names = [title.partition(".")[0].replace("/", "_") for title in TITLES]
            return json_answer(
                200,
                [
                    {
                        "title": title,
                        "model_name": name,
                        "hash": title[-11:-1],
                        "sha256": None,
                        "filename": f"/m/{name}",
                    }
                    for title, name in zip(TITLES, names, strict=True)
                ],
            )
        if path == "/sdapi/v1/samplers":
            return json_answer(200, [{"name": name, "aliases": [], "options": {}} for name in SAMPLERS])
        if path == "/sdcpp/v1/capabilities" and self.flavor == "sd-server":
            limits = {"min_width": 64, "max_width": 4096, "min_height": 64, "max_height": 4096, "max_batch_count": 8}
            return json_answer(200, {"limits": limits, "samplers": ["euler", "euler_a"], "features": {}})
        raise RefusalError(404, {"detail": "Not Found"})

    def _read(self, call: RecordedRequest) -> dict[str, Any]:
        body = call.json if call.media_type == "application/json" else None
        if not isinstance(body, dict):
            raise RefusalError(422, {"detail": [{"loc": ["body"], "msg": "Input should be an object", "type": "x"}]})
        if self.flavor == "sd-server":
            return self._read_plainly(body)
        wrong = [
            {"loc": ["body", name], "msg": f"Input should be a valid {told}", "type": f"{told}_type"}
            for name, (kind, told) in _TYPES.items()
            if body.get(name) is not None and (not isinstance(body[name], kind) or isinstance(body[name], bool))
        ]
        if wrong:
            raise RefusalError(422, {"detail": wrong})
        if body.get("sampler_name") not in {None, *SAMPLERS}:
            raise self._refused(400, "Sampler not found")
        if call.path.endswith("img2img"):
            if not body.get("init_images"):
                raise self._refused(404, "Init image not found")
            for encoded in [*body["init_images"], *([body["mask"]] if body.get("mask") else [])]:
                self._opened(encoded)
        return body

    def _read_plainly(self, body: dict[str, Any]) -> dict[str, Any]:
        """Check as sd-server does."""
        if body.get("width", 512) <= 0 or body.get("height", 512) <= 0:
            raise RefusalError(400, {"error": "width and height must be positive"})
        if not body.get("prompt"):
            raise RefusalError(400, {"error": "prompt required"})
        return body

    def _refused(self, status: int, detail: str) -> RefusalError:
        if self.flavor == "a1111":
            error = {"error": "HTTPException", "detail": detail, "body": "", "errors": f"{status}: {detail}"}
            return RefusalError(status, error)
        return RefusalError(status, {"detail": detail})

    def _opened(self, encoded: str) -> None:
        try:
            Image.open(io.BytesIO(base64.b64decode(encoded.rpartition(",")[2], validate=True))).load()
        except (ValueError, UnidentifiedImageError):
            raise self._refused(500, "Invalid encoded image") from None

    def _unknown_model(self, body: dict[str, Any]) -> bool:
        wanted = body.get("override_settings", {}).get("sd_model_checkpoint", TITLES[0])
        return self.flavor == "forge" and wanted not in TITLES

    def _made(self, body: dict[str, Any]) -> dict[str, Any]:
        count, asked = body.get("batch_size", 1), body.get("seed", -1)
        seed = SEED if asked == -1 else asked
        size = body.get("width", 512), body.get("height", 512)
        title = body.get("override_settings", {}).get("sd_model_checkpoint", TITLES[0])
        title = title if title in TITLES else TITLES[0]
        # Where there are several, the first shows them all.
        grid = count > 1 and self.flavor in {"a1111", "forge"}
        painted = base64.b64encode(self.paint(1.0)).decode() if self.paint else ""
        images = [painted or encoded(size, number) for number in range(count)]
        info = {
            "prompt": body.get("prompt", ""),
            "all_prompts": [body.get("prompt", "")] * count,
            "negative_prompt": body.get("negative_prompt", ""),
            "seed": seed,
            "all_seeds": [seed + number for number in range(count)],
            "width": size[0],
            "height": size[1],
            "sampler_name": body.get("sampler_name", SAMPLERS[0]),
            "cfg_scale": 7.0,
            "steps": body.get("steps", STEPS),
            "sd_model_name": title.partition(".")[0].replace("/", "_"),
            "sd_model_hash": title[-11:-1],
            "index_of_first_image": int(grid),
            "infotexts": ["as it was made"] * count,
        }
        kept = {name: value for name, value in body.items() if name not in {"init_images", "mask"}}
        return {
            "images": [encoded(size, 99), *images] if grid else images,
            "parameters": kept,
            "info": "" if self.flavor == "koboldcpp" else json.dumps(info),
        }


def encoded(size: tuple[int, int], shade: int) -> str:
    """Draw a picture as base64."""
    return base64.b64encode(picture(size, "png", shade)).decode()


def preview(step: int) -> str:
    """Draw what a picture looks like after so many steps, as base64."""
    return encoded((8, 8), 100 + step)


@asynccontextmanager
async def fake_sdapi(flavor: Flavor = "forge", *, locked: bool = False) -> AsyncIterator[FakeSdapi]:
    """Run a fake until the block ends. Calls that hang then are cut off."""
    async with running(FakeSdapi(flavor, locked=locked)) as fake:
        try:
            yield fake
        finally:
            fake.close()
