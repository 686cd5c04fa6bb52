// Does one step after the other with this language's client: reads Step lines, answers Outcome lines. See
// tests/conformance/proto/conformance/v1/driver.proto.

import { createInterface } from "node:readline";
import { create, fromJsonString, toJsonString } from "@bufbuild/protobuf";
import { Face, type Outcome, OutcomeSchema, StepSchema } from "./conformance/v1/driver_pb.js";
import { helperStep } from "./helper.js";
import { plainStep } from "./plain.js";

async function answer(line: string): Promise<Outcome> {
  const outcome = create(OutcomeSchema);
  try {
    const step = fromJsonString(StepSchema, line);
    if (step.face === Face.HELPER) await helperStep(step, outcome);
    else if (step.face === Face.PLAIN) await plainStep(step, outcome);
    else outcome.unsupported = "the step names no face";
  } catch (error) {
    outcome.unsupported = error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
  return outcome;
}

for await (const line of createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY })) {
  if (line.trim() === "") continue;
  const text = toJsonString(OutcomeSchema, await answer(line));
  await new Promise((written) => process.stdout.write(`${text}\n`, written));
}
