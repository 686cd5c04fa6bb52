"""The driver of Python: a step a line on standard input, what came of it a line on standard output."""

import asyncio
import sys

from conformance.v1 import driver_pb2
from google.protobuf.json_format import MessageToJson, Parse

from . import helper, plain


async def do(step: driver_pb2.Step) -> driver_pb2.Outcome:
    """Do one step."""
    face = helper if step.face == driver_pb2.FACE_HELPER else plain
    if step.WhichOneof("operation") == "measure":
        return driver_pb2.Outcome(measured=await face.measure(step))
    outcome: driver_pb2.Outcome = await face.do(step)
    return outcome


async def main() -> None:
    """Do steps until there are no more."""
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.buffer.readline):
        outcome = await do(Parse(line, driver_pb2.Step()))
        sys.stdout.write(MessageToJson(outcome, indent=None) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
