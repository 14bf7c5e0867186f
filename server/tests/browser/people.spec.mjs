// People: finding, following, muting, blocking, and who may see what. And what is popular.

import assert from "node:assert/strict";
import { Person, base, eventually, handle, loaded, scenario, signIn, texts, withBrowser } from "./harness.mjs";

withBrowser();

const find = async (page, name) => {
  await page.getByLabel("Find somebody by handle").fill(name);
  await page.getByRole("button", { name: "Go", exact: true }).click();
};

scenario("one finds somebody, follows them, and has their posts", async (world) => {
  const [ann, ben] = [handle("ann"), await Person.signIn(handle("ben"))];
  await ben.post("from before");
  const page = await world.signedIn(ann);
  await find(page, `@${ben.handle}`);
  await page.getByRole("heading", { name: ben.handle }).waitFor();
  assert.equal(page.url(), `${base}/#/@${ben.handle}`);
  await loaded(page, "person");
  assert.deepEqual(await texts(page, "person"), ["from before"]);
  await page.getByRole("button", { name: `Follow @${ben.handle}`, exact: true }).click();
  await page.getByRole("button", { name: `Unfollow @${ben.handle}`, exact: true }).waitFor();
  await page.locator("#person-head").getByText("1 follower").waitFor();
  await page.getByRole("link", { name: "1 follower" }).click();
  await page.locator("#person-people").getByText(`@${ann}`).waitFor();
  await page.getByRole("link", { name: "Home" }).click();
  await eventually(async () => (await texts(page)).join() === "from before", "the followed posts");
  await page.goBack();
  await page.getByRole("button", { name: `Unfollow @${ben.handle}`, exact: true }).click();
  await page.getByRole("link", { name: "Home" }).click();
  await eventually(async () => (await texts(page)).length === 0, "their leaving");
  await page.getByText("Nothing here yet.").waitFor();
});

scenario("who does not exist, or has blocked one, is nobody", async (world) => {
  world.allow(/\/v1\/users\?/);
  const [ann, ben] = [await Person.signIn(handle("ann")), await Person.signIn(handle("ben"))];
  await ben.ask("PUT", `/v1/blocks/${ann.id}`);
  const page = await world.signedIn(ann.handle);
  for (const name of [handle("nobody"), ben.handle]) {
    await find(page, name);
    await page.waitForURL(`**/#/@${name}`);
    await page.getByRole("heading", { name: "There is nobody with this handle." }).waitFor();
    assert.equal(await page.locator("#person-head > *").count(), 0);
  }
  await find(page, "no handle!");
  await page.getByText("A handle is 1 to 30").waitFor();
});

scenario("a mute hides somebody's posts at once, and can be undone", async (world) => {
  const ann = handle("ann");
  const [ben, cat] = [await Person.signIn(handle("ben")), await Person.signIn(handle("cat"))];
  const me = await Person.signIn(ann);
  await Promise.all([me.follow(ben), me.follow(cat)]);
  await cat.post("kept");
  await ben.post("hidden");
  const page = await world.signedIn(ann);
  await page.locator(".post", { hasText: "hidden" }).getByRole("link", { name: ben.handle }).click();
  await page.getByRole("button", { name: `Mute @${ben.handle}`, exact: true }).click();
  await page.getByText(`Muted @${ben.handle}`).waitFor();
  await page.goBack();
  assert.deepEqual(await texts(page), ["kept"]);
  await page.getByRole("button", { name: "Undo" }).click();
  await eventually(async () => (await texts(page)).join() === "hidden,kept", "its end");
  assert.deepEqual((await me.ask("GET", "/v1/mutes")).items, []);
});

scenario("a block parts two people, is listed, and can be ended", async (world) => {
  const ann = handle("ann");
  const [me, ben] = [await Person.signIn(ann), await Person.signIn(handle("ben"))];
  await Promise.all([me.follow(ben), ben.follow(me)]);
  await ben.post("from ben");
  const page = await world.signedIn(ann);
  await page.goto(`/#/@${ben.handle}`);
  await loaded(page, "person");
  await page.getByRole("button", { name: `Block @${ben.handle}`, exact: true }).click();
  await page.getByText("Hidden by your block.").waitFor();
  assert.equal(await page.locator("#person-head").getByRole("button", { name: /^(Follow|Unfollow) / }).isVisible(), false);
  assert.deepEqual(await texts(page), []);
  await page.goto("/#/hidden");
  await page.locator("#blocks-list").getByRole("button", { name: `Unblock @${ben.handle}`, exact: true }).click();
  await page.locator("#blocks-list").getByRole("button", { name: `Block @${ben.handle}`, exact: true }).waitFor();
  assert.deepEqual((await me.ask("GET", "/v1/blocks")).items, []);
  await page.locator("#blocks-list").getByRole("link", { name: ben.handle }).click();
  await loaded(page, "person");
  assert.deepEqual(await texts(page, "person"), ["from ben"]);
  await page.getByRole("button", { name: `Follow @${ben.handle}`, exact: true }).waitFor();
});

scenario("what people write is text, whatever it looks like", async (world) => {
  world.allow(/\/v1\/(users\?|likes)/);
  const ann = handle("ann");
  const evil = `<img src=x onerror="console.error('ran')"><script>console.error("ran")</script> javascript:alert(1) &amp; \u202Eabc`;
  await (await Person.signIn(ann)).post(evil);
  const page = await world.signedIn(ann);
  assert.deepEqual(await texts(page), [evil]);
  assert.equal(await page.locator("#home-list img, #home-list script").count(), 0);
  const refusal = { status: 422, contentType: "application/problem+json", body: JSON.stringify({ detail: evil }) };
  await page.route("**/v1/likes/*", (route) => route.fulfill(refusal));
  await page.locator("#home-list .like").click();
  await eventually(async () => (await page.locator("#toasts span").allTextContents()).join() === `Your like was not saved. ${evil}`, "the refusal");
  // Names come from providers; those of developers are their handles, so the answer is changed on its way.
  await page.route("**/v1/users?*", async (route) => {
    const answer = await route.fetch();
    await route.fulfill(answer.ok() ? { response: answer, json: { ...(await answer.json()), name: evil } } : refusal);
  });
  const title = page.locator("#person-title");
  const told = async (where) => {
    await page.goto(where);
    await eventually(async () => (await title.textContent()) === evil, `the title at ${where}`);
    assert.equal(await page.locator("main img, main script, #toasts img, #toasts script").count(), 0, where);
  };
  await told(`/#/@${ann}`);
  for (const name of ["%3Cimg%20src=x%3E", "%E0%A4%A", ".."]) await told(`/#/@${name}`);
  await page.goto("/#/constructor");
  await page.getByRole("heading", { name: "Home" }).waitFor();
});

/** A ranking of real posts, as the server would give it. */
async function ranking(count) {
  const author = await Person.signIn(handle("star"));
  const items = [];
  for (let n = 1; n <= count; n += 1) items.push(await author.post(`liked ${n}`));
  return { author, items: items.reverse() };
}

async function withRanking(context, items) {
  await context.route("**/v1/popular?*", (route) => {
    const from = Number(new URL(route.request().url()).searchParams.get("cursor") ?? 0);
    const page = items.slice(from, from + 20);
    return route.fulfill({ json: { items: page, next: from + 20 < items.length ? String(from + 20) : null } });
  });
}

scenario("a guest reads what is popular to its end, and signs in for more", async (world) => {
  const { author, items } = await ranking(45);
  const context = await world.context();
  await withRanking(context, items);
  const page = await context.newPage();
  await page.goto("/");
  await page.getByRole("heading", { name: "Popular" }).waitFor();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  await eventually(async () => {
    await page.mouse.wheel(0, 3000);
    return page.getByText("That is everything that was liked of late.").isVisible();
  }, "the end");
  assert.equal((await texts(page, "popular")).length, 45);
  assert.equal(await page.locator("#popular-list button").count(), 0, "guests like nothing");
  await page.locator("#popular-list").getByRole("link", { name: author.handle }).first().click();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  const ann = handle("ann");
  await page.getByLabel("Handle", { exact: true }).fill(ann);
  await page.locator("#dev-send").click();
  await page.getByRole("heading", { name: author.handle }).waitFor();
});

scenario("who is new is offered the popular authors, and a like is the same in every list", async (world) => {
  const { author, items } = await ranking(2);
  const context = await world.context();
  await withRanking(context, items);
  const page = await context.newPage();
  await page.goto("/");
  const ann = handle("ann");
  await page.getByLabel("Handle", { exact: true }).fill(ann);
  await page.locator("#dev-send").click();
  await page.locator("#suggestions").getByRole("button", { name: `Follow @${author.handle}`, exact: true }).click();
  await eventually(async () => (await texts(page)).join() === "liked 2,liked 1", "the followed posts");
  await page.locator("#home-list .like").first().click();
  await page.getByRole("link", { name: "Popular" }).click();
  assert.equal(await page.locator("#popular-list .like").first().getAttribute("aria-pressed"), "true");
});

scenario("the server's own ranking is shown", async (world) => {
  const [ann, ben] = [await Person.signIn(handle("ann")), await Person.signIn(handle("ben"))];
  const post = await ann.post("liked by ben");
  await ben.ask("PUT", `/v1/likes/${post.id}`);
  await eventually(async () => (await ben.ask("GET", "/v1/popular?limit=100")).items.some(({ id }) => id === post.id), "its place");
  const page = await world.guest();
  await loaded(page, "popular");
  const ranking = (await (await fetch(`${base}/v1/popular`)).json()).items.map(({ text }) => text);
  assert.ok(ranking.length > 0);
  assert.deepEqual((await texts(page, "popular")).slice(0, ranking.length), ranking);
});

scenario("what is popular does not wait until all is known whom one follows; suggestions do", async (world) => {
  const { author, items } = await ranking(2);
  const ann = await Person.signIn(handle("ann"));
  await ann.follow(author);
  const context = await world.context();
  await withRanking(context, items);
  let release;
  const held = new Promise((done) => (release = done));
  await context.route("**/following?*", async (route) => {
    await held;
    await route.continue();
  });
  const page = await context.newPage();
  await page.goto("/");
  await signIn(page, ann.handle);
  await page.getByRole("link", { name: "Popular" }).click();
  await eventually(async () => (await texts(page, "popular")).join() === "liked 2,liked 1", "the ranking");
  assert.equal(await page.locator("#suggested").isVisible(), false);
  release();
  await page.goto(`/#/@${author.handle}`);
  await page.getByRole("button", { name: `Unfollow @${author.handle}`, exact: true }).waitFor();
  assert.equal(await page.locator("#suggested").isVisible(), false, "who is followed is not suggested");
});

scenario("what was private leaves the document with whoever signs out", async (world) => {
  const [ann, ben] = [handle("ann"), await Person.signIn(handle("ben"))];
  const me = await Person.signIn(ann);
  for (const kind of ["mutes", "follows"]) await me.ask("PUT", `/v1/${kind}/${ben.id}`);
  const page = await world.signedIn(ann, { operator: true });
  await page.locator("#strip").getByText("log position").waitFor();
  await page.goto("/#/hidden");
  await page.locator("#mutes-list").getByText(`@${ben.handle}`).waitFor();
  await page.locator("#me").getByText(`@${ann}`).waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  // The next one sees nothing of it either, also while the server has not answered yet.
  const nothing = async () => {
    const said = await page.locator("body").textContent();
    for (const name of [ann, ben.handle]) assert.ok(!said.includes(name), name);
  };
  await nothing();
  assert.equal(await page.locator("#strip > *").count(), 0);
  await page.route("**/v1/{me,operator/status}", () => {}); // which is never answered
  await page.getByLabel("Handle", { exact: true }).fill(handle("cat"));
  await page.locator("#dev-send").click();
  await page.locator("#account .handle").waitFor();
  await page.locator("#me .handle").waitFor();
  await nothing();
});
