// Images, and how they become files.

import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { inspect } from "node:util";
import { Image } from "@imagegen/client";
import { picture } from "./support/events.js";

let folder = "";
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "imagegen-"));
});
after(async () => await rm(folder, { recursive: true }));

const image = new Image({ data: picture(), mediaType: "image/jpeg" });

test("save adds the suffix of the type to a name that has none, and returns the path", async () => {
  assert.equal(await image.save(join(folder, "harbour")), join(folder, "harbour.jpg"));
  assert.equal(await image.save(join(folder, "harbour.bin")), join(folder, "harbour.bin"));
  const unknown = new Image({ data: picture(), mediaType: "image/x-new" });
  assert.equal(await unknown.save(join(folder, "plain")), join(folder, "plain"));
  for (const name of ["harbour.jpg", "harbour.bin", "plain"]) {
    assert.deepEqual(new Uint8Array(await readFile(join(folder, name))), picture());
  }
});

test("save replaces a file whole, keeps its permissions and a link to it, and leaves nothing behind", async () => {
  const place = join(folder, "kept");
  await mkdir(place);
  await writeFile(join(place, "a.jpg"), "before");
  await chmod(join(place, "a.jpg"), 0o640);
  await symlink("a.jpg", join(place, "link.jpg"));
  await image.save(join(place, "link.jpg"));
  assert.deepEqual(new Uint8Array(await readFile(join(place, "a.jpg"))), picture());
  assert.equal((await stat(join(place, "a.jpg"))).mode & 0o777, 0o640);
  assert.deepEqual((await readdir(place)).sort(), ["a.jpg", "link.jpg"]);
});

test("permissions wider than those of a new file are kept, and a link that leads to no file yet stays a link", async () => {
  const place = join(folder, "wide");
  await mkdir(place);
  await writeFile(join(place, "a.jpg"), "before");
  await chmod(join(place, "a.jpg"), 0o666);
  await image.save(join(place, "a.jpg"));
  assert.equal((await stat(join(place, "a.jpg"))).mode & 0o777, 0o666);
  await symlink("b.jpg", join(place, "link.jpg"));
  await symlink("link.jpg", join(place, "first.jpg"));
  await image.save(join(place, "first.jpg"));
  assert.deepEqual(new Uint8Array(await readFile(join(place, "b.jpg"))), picture());
  assert.equal(await readlink(join(place, "link.jpg")), "b.jpg");
  assert.deepEqual((await readdir(place)).sort(), ["a.jpg", "b.jpg", "first.jpg", "link.jpg"]);
});

test("a folder is no name of a file", async () => {
  await mkdir(join(folder, "full"));
  await assert.rejects(image.save(`${join(folder, "full")}/`));
  assert.deepEqual(await readdir(join(folder, "full")), []);
});

test("what cannot be written leaves nothing behind", async () => {
  await assert.rejects(image.save(join(folder, "no", "such", "folder.jpg")), { code: "ENOENT" });
  await mkdir(join(folder, "taken.jpg"));
  await assert.rejects(image.save(join(folder, "taken.jpg")));
  assert.deepEqual(
    (await readdir(folder)).filter((name) => name.startsWith(".")),
    [],
  );
});

test("a device is written to directly", async () => {
  assert.equal(await image.save("/dev/null"), "/dev/null");
});

test("an image is bytes of a reasonable number, a file, an address or an id", async () => {
  assert.throws(() => Image.fromBytes(new Uint8Array()), RangeError);
  assert.throws(() => Image.fromBytes(new Uint8Array(64 * 1024 * 1024 + 1)), RangeError);
  assert.throws(() => Image.fromUrl(""), TypeError);
  assert.throws(() => Image.fromId(""), TypeError);
  assert.throws(() => Image.fromId("img").bytes, /at the server/);
  assert.throws(() => Image.fromUrl("https://a").bytes, /at its URL/);
  await writeFile(join(folder, "own.png"), picture(7));
  const own = await Image.fromFile(join(folder, "own.png"));
  assert.deepEqual([new Uint8Array(own.bytes), own.sizeBytes, own.sha256], [picture(7), 7, undefined]);
});

test("a data URL has type and bytes; a log has no bytes", () => {
  const long = new Image({ data: picture(100_000), mediaType: "image/png" });
  assert.equal(long.dataUrl(), `data:image/png;base64,${Buffer.from(picture(100_000)).toString("base64")}`);
  assert.ok(!inspect(long).includes("data:"));
});
