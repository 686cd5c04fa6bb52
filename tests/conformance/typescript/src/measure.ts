import { create } from "@bufbuild/protobuf";
import { type Measured, MeasuredSchema } from "./conformance/v1/driver_pb.js";

/** Makes `calls` calls, `parallel` of them at the same time, after a first one that is not counted. */
export async function measured(calls: number, parallel: number, call: () => Promise<number>): Promise<Measured> {
  await call();
  const wall = performance.now();
  const cpu = process.cpuUsage();
  let begun = 0;
  let bytes = 0;
  async function lane(): Promise<void> {
    while (begun < calls) {
      begun += 1;
      const received = await call();
      bytes += received;
    }
  }
  await Promise.all(Array.from({ length: Math.max(1, parallel) }, lane));
  const { user, system } = process.cpuUsage(cpu);
  return create(MeasuredSchema, {
    wallSeconds: (performance.now() - wall) / 1000,
    cpuSeconds: (user + system) / 1_000_000,
    bytes: BigInt(bytes),
  });
}
