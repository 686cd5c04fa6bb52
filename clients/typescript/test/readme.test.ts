import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { promisify } from "node:util";

test("every snippet of the README compiles", async () => {
  const root = new URL("../../", import.meta.url);
  const readme = await readFile(new URL("README.md", root), "utf8");
  const snippets = [...readme.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, code = ""]) => code);
  assert.ok(snippets.length >= 6);
  const folder = new URL("build/readme/", root);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  for (const [number, code] of snippets.entries()) await writeFile(new URL(`${number}.ts`, folder), code);
  const config = {
    extends: "../../tsconfig.json",
    compilerOptions: { rootDir: "../..", noEmit: true, noUnusedLocals: false },
    include: ["*.ts"],
  };
  await writeFile(new URL("tsconfig.json", folder), JSON.stringify(config));
  const tsc = new URL("node_modules/typescript/bin/tsc", root);
  await promisify(execFile)(process.execPath, [tsc.pathname, "-p", folder.pathname]).catch(({ stdout }) =>
    assert.fail(stdout),
  );
});
