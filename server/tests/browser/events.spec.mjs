// The stream of server-sent events, and whoever follows it: without a browser.

import { test } from "node:test";
import assert from "node:assert/strict";
import { events, parser } from "../../src/page/files/events.js";
import { follower } from "../../src/page/files/live.js";

const bytes = new TextEncoder();

/** A body that comes in these pieces, and then ends, or breaks with `error`, or stays open until it is aborted. */
function body(pieces, { error, open = false } = {}, signal) {
  return new ReadableStream({
    start(controller) {
      for (const piece of pieces) controller.enqueue(typeof piece === "string" ? bytes.encode(piece) : piece);
      if (error) controller.error(error);
      else if (!open) controller.close();
      else signal.addEventListener("abort", () => controller.error(signal.reason));
    },
  });
}

async function all(stream) {
  const found = [];
  for await (const event of events(stream)) found.push(event);
  return found;
}

test("fields, comments and unknown lines are read as the standard says", async () => {
  const text = ": hello\n\nevent: post\nid: a\ndata: one\ndata:two\nnothing: x\n\nid: b\n\nretry: 250\n\nretry: soon\n\ndata\n\ndata:  two spaces\n\n";
  assert.deepEqual(await all(body([text])), [
    { event: "post", id: "a", data: "one\ntwo" }, { id: "b", retry: undefined }, { id: undefined, retry: 250 },
    { event: "message", data: "" }, { event: "message", data: " two spaces" },
  ]);
});

test("any cut into pieces and any line end gives the same events", async () => {
  for (const end of ["\n", "\r\n", "\r"]) {
    const text = ["event: post", "id: 1", 'data: {"text":"ÅØ 😀"}', "", ": beat", "event: removed", "data: x", "", ""].join(end);
    const whole = await all(body([text]));
    assert.equal(whole.length, 2);
    const raw = bytes.encode(text);
    for (let size = 1; size < 12; size += 1) {
      const pieces = [];
      for (let at = 0; at < raw.length; at += size) pieces.push(raw.slice(at, at + size));
      assert.deepEqual(await all(body(pieces)), whole, `pieces of ${size}, ${JSON.stringify(end)}`);
    }
  }
});

test("an event that is not whole is not told, and an endless line is refused", async () => {
  assert.deepEqual(await all(body(["data: half\n"])), []);
  assert.throws(() => parser().push("x".repeat(300_000)), /too long/);
});

/** A follower of these answers to `open`, one after the other; an answer makes a body, or is an error. */
function following(answers, { silenceMs } = {}) {
  const [told, asked, waits] = [[], [], []];
  let rest;
  const ended = new Promise((done) => (rest = done));
  const follow = follower({
    open: async (last, signal) => {
      asked.push(last);
      const answer = answers.shift();
      if (answer === undefined) {
        rest();
        return body([], { open: true }, signal);
      }
      if (answer instanceof Error) throw answer;
      return answer(signal);
    },
    told: { post: (post) => told.push(post.id), removed: (id) => told.push(`-${id}`), gap: () => told.push("gap") },
    pause: async (ms) => void waits.push(ms),
    silenceMs,
  });
  return { follow, told, asked, waits, ended };
}

const stream = (pieces, how) => (signal) => body(pieces, how, signal);
const refused = (status, retryAfterMs = 0) => Object.assign(new Error("refused"), { status, retryAfterMs });
const post = (id, token) => `event: post\nid: ${token}\ndata: {"id":"${id}"}\n\n`;

test("a stream that ends is resumed after its last event", async () => {
  const { follow, told, asked, waits, ended } = following([
    stream([post(1, "a"), post(2, "b")]),
    stream(["id: c\n\n", 'event: removed\nid: d\ndata: {"id":"1"}\n\n', "retry: 7\n\n"]),
    stream([post(3, "e")], { error: new Error("broken") }),
  ]);
  follow.start("from");
  await ended;
  follow.end();
  assert.deepEqual(told.slice(0, 3), ["1", "2", "-1"]);
  assert.deepEqual(asked.slice(0, 3), ["from", "b", "d"]);
  assert.equal(waits[1], 7);
});

test("refusals are waited for longer and longer, and as long as the server says", async () => {
  const { follow, waits, ended } = following([...Array(8).fill(refused(503)), refused(429, 90_000)]);
  follow.start("from");
  await ended;
  follow.end();
  assert.ok(waits[0] >= 500 && waits[0] <= 1000 && waits[7] >= 15_000 && waits[7] <= 30_000, `${waits}`);
  assert.equal(waits[8], 90_000);
});

test("a token of another time is a gap, and the end until a new one", async () => {
  const { follow, told, asked, ended } = following([refused(400)]);
  follow.start("old");
  await new Promise((done) => setImmediate(done));
  assert.deepEqual([told, asked], [["gap"], ["old"]]);
  follow.start("new");
  await ended;
  follow.end();
  assert.deepEqual(asked, ["old", "new"]);
});

test("an end of the session ends it", async () => {
  const { follow, asked, waits } = following([refused(401)]);
  follow.start("from");
  await new Promise((done) => setImmediate(done));
  assert.deepEqual([asked, waits], [["from"], []]);
});

test("a stream without a sign of life is given up", async () => {
  const { follow, asked, ended } = following([stream([post(1, "a")], { open: true })], { silenceMs: 20 });
  follow.start("from");
  await ended;
  follow.end();
  assert.deepEqual(asked.slice(0, 2), ["from", "a"]);
});

test("what is stopped goes on where it was, once", async () => {
  const { follow, asked, ended } = following([stream([post(1, "a")], { open: true })]);
  follow.start("from");
  await new Promise((done) => setImmediate(done));
  follow.stop();
  follow.wake();
  await ended;
  follow.end();
  follow.wake();
  assert.deepEqual(asked, ["from", "a"]);
});
