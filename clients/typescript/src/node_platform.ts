import { createHash, randomUUID } from "node:crypto";
import { chmod, mkdtemp, readFile, readlink, realpath, rename, rm, stat, writeFile } from "node:fs/promises";
import { basename, dirname, extname, join, resolve } from "node:path";
import type { Digest, Platform } from "./platform.js";

/** Node's digests and files. */
export const nodePlatform: Platform = { sha256, read: (path) => readFile(path), write };

function sha256(): Digest {
  const hash = createHash("sha256");
  return {
    update(data) {
      hash.update(data);
    },
    hex: () => hash.digest("hex"),
  };
}

async function write(path: string, data: Uint8Array, suffix: string): Promise<string> {
  if (await isSpecial(path)) {
    await writeFile(path, data);
    return path;
  }
  const name = basename(path);
  const named = name !== "" && extname(name) === "" && path.endsWith(name) ? path + suffix : path;
  if (named !== path && (await isSpecial(named))) {
    await writeFile(named, data);
    return named;
  }
  await replace(await destination(named), data);
  return named;
}

/** Written beside its place and then moved there, so that nobody ever sees half of it. */
async function replace(target: string, data: Uint8Array): Promise<void> {
  const folder = await mkdtemp(join(dirname(target), ".imagegen-"));
  try {
    const unfinished = join(folder, randomUUID());
    const mode = await permissions(target);
    await writeFile(unfinished, data);
    if (mode !== undefined) await chmod(unfinished, mode);
    await rename(unfinished, target);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Where a symbolic link leads, so that the link stays one; also where there is no file yet. */
async function destination(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") return path;
  }
  try {
    return await destination(resolve(await realpath(dirname(path)), await readlink(path)));
  } catch {
    return path; // no link
  }
}

async function permissions(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).mode & 0o777;
  } catch {
    return undefined;
  }
}

/** A pipe or a device is written to directly. */
async function isSpecial(path: string): Promise<boolean> {
  try {
    const found = await stat(path);
    return !found.isFile() && !found.isDirectory();
  } catch {
    return false;
  }
}
