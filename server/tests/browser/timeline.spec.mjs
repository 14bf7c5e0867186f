// The home timeline: what comes in while one reads, the way down to the first post, and what one does with posts.

import assert from "node:assert/strict";
import { Person, eventually, handle, loaded, scenario, signIn, texts, withBrowser } from "./harness.mjs";

withBrowser();

/** An author with so many posts, whom somebody follows. */
async function authorOf(count, reader) {
  const author = await Person.signIn(handle("ben"));
  for (let n = 1; n <= count; n += 1) await author.post(`post ${n}`);
  if (reader) await (await Person.signIn(reader)).follow(author);
  return author;
}

/** Where the first post that is wholly in sight stands. */
const inSight = (page) => page.evaluate(() => {
  const post = [...document.querySelectorAll("#home-list .post")].find((one) => one.getBoundingClientRect().top > 150);
  return { text: post.querySelector(".text").textContent, top: Math.round(post.getBoundingClientRect().top) };
});

/** The post that has the keyboard. */
const focusedPost = (page) => page.evaluate(() => document.activeElement.closest(".post")?.querySelector(".text").textContent);

scenario("a post appears for a follower without a reload, behind a bar, and nothing moves", async (world) => {
  const [ann, ben] = [handle("ann"), handle("ben")];
  const author = await Person.signIn(ben);
  for (let n = 1; n <= 60; n += 1) await author.post(`post ${n}`);
  await (await Person.signIn(ann)).follow(author);
  const [reader, writer] = await Promise.all([world.signedIn(ann), world.signedIn(ben)]);
  await reader.mouse.wheel(0, 1200);
  await eventually(() => reader.evaluate(() => scrollY > 1000), "the scrolling");
  await eventually(async () => (await texts(reader)).length >= 40, "the second page");
  const before = await inSight(reader);

  await writer.getByLabel("Write a post").fill("hello, followers");
  await writer.keyboard.press("Control+Enter");
  await writer.locator("#home-list").getByText("hello, followers").waitFor();
  const bar = reader.getByRole("button", { name: "1 new post" });
  await bar.waitFor();
  await author.post("and once more");
  await reader.getByRole("button", { name: "2 new posts" }).waitFor();
  assert.match(await reader.title(), /^\(2\) /);
  assert.deepEqual(await inSight(reader), before, "what is being read stays where it is");
  assert.ok(!(await texts(reader)).includes("hello, followers"));
  assert.equal(await reader.locator(".bar-place").getAttribute("role"), "status");

  await reader.getByRole("button", { name: "2 new posts" }).click();
  assert.deepEqual((await texts(reader)).slice(0, 3), ["and once more", "hello, followers", "post 60"]);
  assert.equal(await reader.evaluate(() => scrollY), 0);
  assert.equal(await focusedPost(reader), "and once more");
  assert.equal(await reader.locator("#bar").isVisible(), false);
  assert.doesNotMatch(await reader.title(), /\(/);
});

scenario("one scrolls to the very first post of a long timeline, each post once", async (world) => {
  const ann = handle("ann");
  const count = 320;
  await authorOf(count, ann);
  const page = await world.signedIn(ann, { viewport: { width: 800, height: 700 } });
  const end = page.getByText("That was the first post. There is nothing before it.");
  await page.mouse.move(400, 400);
  await eventually(async () => {
    await page.mouse.wheel(0, 3000);
    return end.isVisible();
  }, "the end");
  const found = await texts(page);
  assert.deepEqual(found, Array.from({ length: count }, (_, n) => `post ${count - n}`));
  await page.mouse.wheel(0, 100_000);
  await page.locator("#home-list").getByText("post 1", { exact: true }).waitFor();
  assert.equal(await page.getByRole("button", { name: "Show more" }).isVisible(), false);
});

scenario("without an observer of scrolling a button shows more, and the keyboard stays in its place", async (world) => {
  const ann = handle("ann");
  await authorOf(45, ann);
  const context = await world.context();
  await context.addInitScript(() => {
    window.IntersectionObserver = class {
      observe() {}
      unobserve() {}
      disconnect() {}
    };
  });
  const page = await context.newPage();
  await page.goto("/");
  await page.getByLabel("Handle", { exact: true }).fill(ann);
  await page.locator("#dev-send").click();
  await loaded(page, "home");
  for (const [count, focused] of [[40, "post 25"], [45, "post 5"]]) {
    await page.locator("#home-end button").focus();
    await page.keyboard.press("Enter");
    await eventually(async () => (await texts(page)).length === count, `${count} posts`);
    assert.equal(await focusedPost(page), focused);
  }
  assert.equal(await page.locator("#home-end button").isVisible(), false);
});

/** Holds what the page asks of the likes until it is released. */
async function holdLikes(page) {
  let release;
  const held = new Promise((done) => (release = done));
  await page.route("**/v1/likes/*", async (route) => {
    await held;
    await route.continue();
  });
  return release;
}

scenario("a like shows at once, and goes where the server refuses it", async (world) => {
  world.allow(/\/v1\/likes/);
  const ann = handle("ann");
  const author = await authorOf(1, ann);
  const page = await world.signedIn(ann);
  const like = page.locator("#home-list .like");
  const release = await holdLikes(page);
  await like.click();
  assert.equal(await like.getAttribute("aria-pressed"), "true", "before any answer");
  assert.equal(await like.getAttribute("aria-label"), "Like, 1 like");
  release();
  const [post] = (await author.ask("GET", `/v1/users/${author.id}/posts`)).items;
  await eventually(async () => (await author.ask("GET", `/v1/posts/${post.id}`)).likes === 1, "the like");
  await page.unroute("**/v1/likes/*");
  await page.reload();
  await loaded(page, "home");
  assert.equal(await like.getAttribute("aria-pressed"), "true");
  await page.route("**/v1/likes/*", (route) =>
    route.fulfill({ status: 503, contentType: "application/problem+json", body: JSON.stringify({ detail: "not now" }) }));
  await like.click();
  await page.getByText("Your like was not saved. not now").waitFor();
  assert.equal(await like.getAttribute("aria-pressed"), "true");
  assert.equal(await like.getAttribute("aria-label"), "Like, 1 like");
});

scenario("a like of a post that waits behind the bar stays when the bar is pressed", async (world) => {
  const ann = handle("ann");
  const author = await authorOf(1, ann);
  const page = await world.signedIn(ann);
  const { id } = await author.post("behind the bar");
  await page.getByRole("button", { name: "1 new post" }).waitFor();
  await page.locator("#home-list").getByRole("link", { name: author.handle }).click();
  const there = page.locator(`#person-list-${id} .like`);
  await there.click();
  await eventually(async () => (await author.ask("GET", `/v1/posts/${id}`)).likes === 1, "the like");
  await page.getByRole("link", { name: "Home" }).click();
  await page.getByRole("button", { name: "1 new post" }).click();
  const here = page.locator(`#home-list-${id} .like`);
  assert.equal(await here.getAttribute("aria-pressed"), "true");
  assert.equal(await here.getAttribute("aria-label"), "Like, 1 like");
  await here.click();
  await eventually(async () => (await author.ask("GET", `/v1/posts/${id}`)).likes === 0, "its end");
});

scenario("a like of a post that is just being removed says so", async (world) => {
  world.allow(/\/v1\/likes/);
  const ann = handle("ann");
  const author = await authorOf(1, ann);
  const page = await world.signedIn(ann);
  const [{ id }] = (await author.ask("GET", `/v1/users/${author.id}/posts`)).items;
  const release = await holdLikes(page);
  await page.locator("#home-list .like").click();
  await author.ask("DELETE", `/v1/posts/${id}`);
  await eventually(async () => (await texts(page)).length === 0, "the removal");
  release();
  await page.getByText("Your like was not saved.").waitFor();
});

scenario("two presses of the bar are one", async (world) => {
  const ann = handle("ann");
  await authorOf(2, ann);
  const page = await world.guest();
  await page.route("**/v1/feed/live", (route) => route.fulfill({ contentType: "text/event-stream", body: "event: gap\nid: t\ndata: {}\n\n" }));
  await signIn(page, ann);
  const bar = page.getByRole("button", { name: "Show the newest posts" });
  await bar.waitFor();
  await page.route("**/v1/feed/live", (route) => route.fulfill({ contentType: "text/event-stream", body: "retry: 30000\n\n" }));
  let [release, asked] = [null, 0];
  const held = new Promise((done) => (release = done));
  await page.route("**/v1/feed?*", async (route) => {
    asked += 1;
    await held;
    await route.continue();
  });
  await bar.dblclick();
  await eventually(() => asked === 2, "both requests");
  release();
  await eventually(async () => (await focusedPost(page)) === "post 2", "the first post");
  assert.equal(await page.locator("#toasts").textContent(), "");
});

scenario("the keyboard begins at the post that is in sight", async (world) => {
  const ann = handle("ann");
  await authorOf(60, ann);
  const page = await world.signedIn(ann);
  await page.mouse.move(640, 500);
  await page.mouse.wheel(0, 1200);
  await eventually(() => page.evaluate(() => scrollY > 1000), "the scrolling");
  const before = await page.evaluate(() => scrollY);
  await page.keyboard.press("j");
  const after = await page.evaluate(() => scrollY);
  assert.ok(Math.abs(after - before) < 200, `from ${before} to ${after}`);
  assert.ok(await page.evaluate(() => document.activeElement.matches(".post") && document.activeElement.getBoundingClientRect().top > 0));
});

scenario("a post is counted in Unicode scalar values, and sent twice it is posted once", async (world) => {
  world.allow(/\/v1\/posts$/);
  const ann = handle("ann");
  const page = await world.signedIn(ann);
  const text = page.getByLabel("Write a post");
  const send = page.getByRole("button", { name: "Post", exact: true });
  await text.fill("😀".repeat(2000));
  await page.getByText("0 characters left", { exact: true }).waitFor();
  assert.equal(await send.isEnabled(), true);
  await text.fill("😀".repeat(2001));
  assert.equal(await send.isEnabled(), false);
  await text.fill(" \n ");
  assert.equal(await send.isEnabled(), false);
  const keys = [];
  await page.route("**/v1/posts", async (route) => {
    keys.push(route.request().headers()["idempotency-key"]);
    if (keys.length > 1) return route.continue();
    await route.fetch(); // it is done, and its answer is lost
    return route.abort();
  });
  await text.fill("only once");
  await send.click();
  await page.locator("#toasts").getByText("The server cannot be reached.").waitFor();
  assert.equal(await text.inputValue(), "only once");
  await send.click();
  await page.locator("#toasts").getByText("Posted.").waitFor();
  assert.equal(keys[0], keys[1]);
  assert.equal(await text.inputValue(), "");
  const me = await Person.signIn(ann);
  assert.equal((await me.ask("GET", `/v1/users/${me.id}/posts`)).items.length, 1);
  await eventually(async () => (await texts(page)).filter((found) => found === "only once").length === 1, "the post");
});

scenario("one's own post is deleted after a question, and the keyboard goes to the next", async (world) => {
  const ann = handle("ann");
  const me = await Person.signIn(ann);
  await me.post("older");
  await me.post("newer");
  const page = await world.signedIn(ann);
  await page.locator(".post", { hasText: "newer" }).getByRole("button", { name: "Delete" }).click();
  await page.getByRole("dialog", { name: "Delete this post?" }).waitFor();
  await page.keyboard.press("Escape");
  assert.deepEqual(await texts(page), ["newer", "older"]);
  await page.locator(".post", { hasText: "newer" }).getByRole("button", { name: "Delete" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await eventually(async () => (await texts(page)).length === 1, "the removal");
  assert.equal(await focusedPost(page), "older");
  assert.deepEqual((await me.ask("GET", "/v1/feed")).items.map((post) => post.text), ["older"]);
});

scenario("the stream tells posts, removals and gaps, and is resumed after its last event", async (world) => {
  const ann = handle("ann");
  const author = await authorOf(3, ann);
  const asked = [];
  const page = await world.guest();
  const post = { id: "9000000000000000000", author: { id: author.id, handle: author.handle, name: "Ben" }, text: "by the stream", created_at: new Date().toISOString(), likes: 0 };
  const first = (await author.ask("GET", `/v1/users/${author.id}/posts`)).items[2];
  let gap = false;
  await page.route("**/v1/feed/live", async (route) => {
    const headers = await route.request().allHeaders();
    asked.push([headers["last-event-id"], headers.authorization?.slice(0, 7)]);
    const told = { 1: `event: post\nid: t1\ndata: ${JSON.stringify(post)}\n\n`, 2: `event: removed\nid: t2\ndata: {"id":"${first.id}"}\n\n` };
    const answer = told[asked.length] ?? (gap ? "event: gap\nid: t3\ndata: {}\n\n" : ": nothing\n\n");
    await route.fulfill({ contentType: "text/event-stream", body: `retry: 50\n\n${answer}` });
  });
  await page.getByLabel("Handle", { exact: true }).fill(ann);
  await page.locator("#dev-send").click();
  await page.getByRole("button", { name: "1 new post" }).click();
  await eventually(async () => (await texts(page)).join() === "by the stream,post 3,post 2", "the removal");
  await eventually(() => asked.length >= 3, "the third stream");
  const fresh = asked[0][0];
  assert.ok(fresh.length > 20);
  assert.deepEqual(asked.slice(0, 3), [[fresh, "Bearer "], ["t1", "Bearer "], ["t2", "Bearer "]]);
  gap = true;
  await page.getByRole("button", { name: "Show the newest posts" }).click();
  await eventually(async () => (await texts(page)).join() === "post 3,post 2,post 1", "the first page anew");
});

scenario("a removal takes away what has the keyboard, and gives it to the next post", async (world) => {
  const ann = handle("ann");
  const author = await authorOf(3, ann);
  const [, middle] = (await author.ask("GET", `/v1/users/${author.id}/posts`)).items;
  const page = await world.guest();
  let remove = false;
  await page.route("**/v1/feed/live", (route) => route.fulfill({
    contentType: "text/event-stream", body: `retry: 50\n\n${remove ? `event: removed\nid: t\ndata: {"id":"${middle.id}"}\n\n` : ""}`,
  }));
  await page.getByLabel("Handle", { exact: true }).fill(ann);
  await page.locator("#dev-send").click();
  await page.locator(".post", { hasText: "post 2" }).getByRole("button", { name: /^Like/ }).focus();
  remove = true;
  await eventually(async () => (await texts(page)).join() === "post 3,post 1", "the removal");
  assert.equal(await focusedPost(page), "post 1");
});

scenario("a pause that the server asks for is kept", async (world) => {
  world.allow(/\/v1\/likes/);
  const ann = handle("ann");
  await authorOf(1, ann);
  const page = await world.signedIn(ann);
  const times = [];
  await page.route("**/v1/likes/*", (route) => {
    times.push(Date.now());
    const limited = { status: 429, headers: { "retry-after": "1" }, contentType: "application/problem+json", body: JSON.stringify({ detail: "too often" }) };
    return times.length === 1 ? route.fulfill(limited) : route.continue();
  });
  const like = page.locator("#home-list .like");
  await like.click();
  await eventually(() => times.length === 2, "the second try");
  assert.ok(times[1] - times[0] >= 1000, `${times[1] - times[0]} ms`);
  await page.route("**/v1/likes/*", (route) => route.fulfill({
    status: 429, headers: { "retry-after": "40" }, contentType: "application/problem+json", body: JSON.stringify({ detail: "Too often." }),
  }));
  await like.click();
  await page.getByText("Your like was not saved. Too often. Wait 40 s.").waitFor();
  assert.equal(await like.getAttribute("aria-pressed"), "true", "as it was");
});

scenario("a page that is cut off says so, and goes on by itself", async (world) => {
  world.allow(/\/v1\//);
  const ann = handle("ann");
  const author = await authorOf(1, ann);
  const page = await world.signedIn(ann);
  await page.context().setOffline(true);
  await page.getByText("You are offline. What you see may be old.").waitFor();
  await author.post("while you were away");
  await page.context().setOffline(false);
  await page.getByRole("button", { name: "1 new post" }).waitFor();
  assert.equal(await page.locator("#offline").textContent(), "");
});
