// For everybody: by keyboard alone, for screen readers, in light and dark, on a small screen.

import assert from "node:assert/strict";
import { Person, axe, eventually, handle, loaded, scenario, texts, withBrowser } from "./harness.mjs";

withBrowser();

const focused = (page) => page.evaluate(() => {
  const { activeElement: at } = document;
  return at.getAttribute("aria-label") ?? (at.matches(".post") ? at.querySelector(".text").textContent : at.textContent.trim() || at.id);
});

/** Presses Tab until the focus is on what is called so; everything there must show it. */
async function tabTo(page, name, key = "Tab") {
  for (let presses = 0; presses < 60; presses += 1) {
    await page.keyboard.press(key);
    const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
    const at = await focused(page);
    assert.ok(outline !== "none" || at === "main", `no focus can be seen on ${at}`);
    if (at === name) return;
  }
  assert.fail(`Tab never came to ${name}`);
}

scenario("everything is done by keyboard alone", async (world) => {
  const [ann, ben] = [handle("ann"), await Person.signIn(handle("ben"))];
  for (const text of ["first", "second", "third"]) await ben.post(text);
  const page = await world.guest();
  await page.locator("#dev-login").waitFor();
  await page.keyboard.press("Tab");
  assert.equal(await focused(page), "Skip to the content");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "main");
  await tabTo(page, "dev-handle");
  await page.keyboard.press("Control+A");
  await page.keyboard.type(ann);
  await page.keyboard.press("Enter");
  await loaded(page, "home");

  await tabTo(page, "find-handle");
  await page.keyboard.type(ben.handle);
  await page.keyboard.press("Enter");
  await eventually(async () => (await focused(page)) === ben.handle, "the person's heading");
  await tabTo(page, `Follow @${ben.handle}`);
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: `Unfollow @${ben.handle}`, exact: true }).waitFor();
  assert.equal(await focused(page), `Unfollow @${ben.handle}`);
  await tabTo(page, "Home", "Shift+Tab");
  await page.keyboard.press("Enter");
  await eventually(async () => (await texts(page)).length === 3, "the followed posts");

  const at = [];
  for (const key of ["j", "j", "ArrowDown", "j", "k", "ArrowUp"]) {
    await page.keyboard.press(key);
    at.push(await focused(page));
  }
  assert.deepEqual(at, ["third", "second", "first", "first", "second", "third"]);
  await page.keyboard.press("l");
  assert.equal(await page.locator(".post:focus .like").getAttribute("aria-pressed"), "true");
  await page.keyboard.press("p");
  await page.keyboard.type("jolly new keyboards?");
  await page.keyboard.press("Control+Enter");
  await eventually(async () => (await texts(page))[0] === "jolly new keyboards?", "the post");

  await page.evaluate(() => document.activeElement.blur());
  await ben.post("fourth");
  await page.getByRole("button", { name: "1 new post" }).waitFor();
  await page.keyboard.press("n");
  await eventually(async () => (await focused(page)) === "fourth", "the new post");
  await page.keyboard.press("a");
  await eventually(async () => (await focused(page)) === ben.handle, "the author");

  await page.keyboard.press("?");
  await page.getByRole("dialog", { name: "Keyboard" }).waitFor();
  await page.getByLabel("Single keys act").press("Space");
  await page.keyboard.press("Escape");
  await page.keyboard.press("?");
  assert.equal(await page.getByRole("dialog").isVisible(), false, "single keys are off");
});

/** What axe finds wrong with the page as it is. */
async function faults(page) {
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.target} ${node.failureSummary}`));
}

for (const colorScheme of ["light", "dark"]) {
  scenario(`axe finds nothing wrong in ${colorScheme}`, async (world) => {
    const [ann, ben] = [handle("ann"), await Person.signIn(handle("ben"))];
    const me = await Person.signIn(ann);
    await me.follow(ben);
    await me.ask("PUT", `/v1/mutes/${(await Person.signIn(handle("cat"))).id}`);
    await me.ask("PUT", `/v1/blocks/${(await Person.signIn(handle("dan"))).id}`);
    await me.post("my own");
    const posts = [];
    for (let n = 0; n < 9; n += 1) posts.push(await (await Person.signIn(handle(`eve${n}`))).post("popular"));
    await ben.post("a post with a like");
    const context = await world.context({ colorScheme, reducedMotion: "reduce" });
    await context.addInitScript(axe());
    await context.route("**/v1/popular?*", (route) => route.fulfill({ json: { items: posts, next: null } }));
    const page = await context.newPage();
    await page.goto("/");
    await page.locator("#dev-login").waitFor();
    await loaded(page, "popular");
    assert.deepEqual(await faults(page), [], "a guest");
    await page.getByLabel("Handle", { exact: true }).fill(ann);
    await page.getByLabel("With the operator's view").check();
    await page.locator("#dev-send").click();
    await loaded(page, "home");
    await page.locator("#home-list .like").first().click();
    await page.getByLabel("Write a post").fill("x".repeat(2001));
    await page.locator("#authors li").first().waitFor();
    await ben.post("behind the bar");
    await page.getByRole("button", { name: "1 new post" }).waitFor();
    assert.deepEqual(await faults(page), [], "an operator's home");
    await page.locator("#home-list").getByRole("button", { name: "Delete" }).click();
    assert.deepEqual(await faults(page), [], "a question");
    await page.keyboard.press("Escape");
    await page.locator("#show-help").click();
    assert.deepEqual(await faults(page), [], "the help");
    await page.keyboard.press("Escape");
    for (const [view, ready] of [
      ["popular", "#popular-list .post"], ["hidden", "#blocks-list li"], [`@${ben.handle}`, "#person-list .post"], [`@${ben.handle}/followers`, "#person-people li"],
    ]) {
      await page.goto(`/#/${view}`);
      await page.locator(ready).first().waitFor();
      assert.deepEqual(await faults(page), [], view);
    }
  });
}

scenario("on a screen 320 wide nothing is scrolled sideways", async (world) => {
  const [ann, ben] = [handle("ann"), await Person.signIn(`b${"e".repeat(20)}${process.pid}`.slice(0, 30))];
  const me = await Person.signIn(ann);
  await me.follow(ben);
  await ben.post(`averylongword${"x".repeat(300)}`);
  const page = await world.signedIn(ann, { operator: true, viewport: { width: 320, height: 640 } });
  for (const view of ["", "popular", "people", "engine", "hidden", `@${ben.handle}`, `@${ben.handle}/following`]) {
    await page.goto(`/#/${view}`);
    await page.locator(`body[data-view="${view.startsWith("@") ? "person" : view || "home"}"]`).waitFor();
    if (view.startsWith("@")) await page.locator("#person-head .handle").waitFor();
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 320, `#/${view}`);
    const cut = await page.evaluate(() => [...document.querySelectorAll(".text")].filter((text) => text.scrollWidth > text.clientWidth).length);
    assert.equal(cut, 0, `long words are broken, not cut off: #/${view}`);
    assert.equal(await page.locator("main, aside").filter({ visible: true }).count(), 1, `one part at a time: #/${view}`);
  }
});

scenario("operators see where entries come from, and tune", async (world) => {
  const [ann, ben] = [handle("ann"), await Person.signIn(handle("ben"))];
  await (await Person.signIn(ann)).follow(ben);
  await ben.post("watched");
  const page = await world.signedIn(ann, { operator: true });
  await page.locator("#home-list .badge").first().waitFor();
  await page.locator("#strip").getByText("log position").waitFor();
  await page.locator("#authors").getByText(`@${ben.handle}`).waitFor();
  const version = Number((await page.locator("#version").textContent()).match(/\d+/)[0]);
  await page.getByLabel("Hot from").focus();
  await page.keyboard.press("ArrowLeft");
  await page.getByText(`Tuning version ${version + 1}`).waitFor();
  // A key that is held: what is moved while a change is on its way is saved next, and nobody else is blamed.
  const start = Number(await page.getByLabel("Hot from").inputValue());
  let release;
  const held = new Promise((done) => (release = done));
  await page.route("**/v1/operator/tuning", async (route) => {
    await held;
    await route.continue();
  });
  for (let presses = 0; presses < 3; presses += 1) await page.keyboard.press("ArrowLeft");
  release();
  await page.getByText(`Tuning version ${version + 3}`).waitFor();
  assert.equal(Number(await page.getByLabel("Hot from").inputValue()), start - 3);
  const saved = await page.evaluate(async () => (await import("/session.js")).get("/v1/operator/tuning"));
  assert.equal(saved.enter_followers, start - 3);
  assert.equal(await page.locator("#toasts").textContent(), "");
  await page.goto(`/#/@${ben.handle}`);
  const pin = page.locator(".pin select");
  let late = true; // the first change comes after the second, if both are under way
  await page.route("**/v1/operator/authors/*", async (route) => {
    if (route.request().method() === "PUT" && late) {
      late = false;
      await new Promise((done) => setTimeout(done, 500));
    }
    await route.continue();
  });
  const pinned = () => page.evaluate(async (id) => (await (await import("/session.js")).get(`/v1/operator/authors/${id}`)).pin, ben.id);
  await pin.selectOption("pull");
  await pin.selectOption("push");
  await eventually(pinned, "a pin");
  await new Promise((done) => setTimeout(done, 1000));
  assert.deepEqual([await pinned(), await pin.inputValue()], ["push", "push"]);
  const plain = await world.signedIn(handle("cat"));
  assert.equal(await plain.locator("#engine").isVisible(), false);
  assert.equal(await plain.locator(".badge").count(), 0);
});
