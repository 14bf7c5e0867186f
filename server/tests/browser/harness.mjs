// What every script shares: a browser, people who use the API directly, and a page that must not complain.

import { after, before, test } from "node:test";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import path from "node:path";

const { BASE_URL, BRIEF_URL, CHROMIUM, PACKAGES, TRIBUTARY_KEEP } = process.env;
const require = createRequire(path.join(PACKAGES, "package.json"));
const { chromium } = require("playwright-core");

export const base = BASE_URL;
/** A node whose access tokens are good for two seconds. */
export const brief = BRIEF_URL;
export const axe = () => readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

/** What a browser itself writes about an answer that the page expects: the page asks, and the server may say no. */
const EXPECTED = [
  /\/v1\/operator\/status$/, // whether somebody is an operator
];

let browser;
let handles = 0;

/** Starts the browser before the tests of a script, and ends it after them. */
export function withBrowser() {
  before(async () => {
    // Chromium's sandbox needs rights that a container seldom has; the tests open nothing but this server.
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
  });
  after(() => browser.close());
}

/** A handle that nobody has. */
export const handle = (name) => `${name}_${process.pid}_${(handles += 1)}`;

/** Somebody who uses the API without a browser. */
export class Person {
  constructor(tokens, node) {
    this.tokens = tokens;
    this.node = node;
    this.id = tokens.user.id;
    this.handle = tokens.user.handle;
  }

  static async signIn(name, operator = false, node = base) {
    const login = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ handle: name, operator }) };
    const answer = await fetch(`${node}/v1/auth/dev`, login);
    if (!answer.ok) throw new Error(await answer.text());
    return new Person(await answer.json(), node);
  }

  async ask(method, where, body) {
    const headers = { authorization: `Bearer ${this.tokens.access_token}` };
    if (body) headers["content-type"] = "application/json";
    const answer = await fetch(this.node + where, { method, headers, body: body && JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${method} ${where}: ${answer.status} ${await answer.text()}`);
    return answer.status === 204 ? null : answer.json();
  }

  post = (text) => this.ask("POST", "/v1/posts", { text });
  follow = (other) => this.ask("PUT", `/v1/follows/${other.id}`);
}

/** The windows of one test, and what they complained about. */
class World {
  #contexts = [];
  #allowed = [...EXPECTED];
  complaints = [];

  /** Other answers that the page must take, by their URL. */
  allow(pattern) {
    this.#allowed.push(pattern);
  }

  /** A browser of its own, as another person has it. */
  async context(options = {}) {
    const context = await browser.newContext({ baseURL: base, viewport: { width: 1280, height: 800 }, ...options });
    context.setDefaultTimeout(20_000);
    await context.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", (event) => console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`));
    });
    context.on("weberror", (failed) => this.complaints.push(String(failed.error().stack)));
    context.on("console", (message) => {
      if (message.type() !== "error") return;
      const failed = message.text().startsWith("Failed to load resource");
      if (failed && this.#allowed.some((pattern) => pattern.test(message.location().url))) return;
      this.complaints.push(`${message.text()} ${message.location().url}`);
    });
    this.#contexts.push(context);
    return context;
  }

  /** A window on the page, for a guest. */
  async guest(options) {
    const page = await (await this.context(options)).newPage();
    await page.goto("/");
    return page;
  }

  /** A window on the page, for somebody who signs in. */
  async signedIn(name, { operator = false, ...options } = {}) {
    const page = await this.guest(options);
    await signIn(page, name, operator);
    return page;
  }

  async close(failed, name) {
    for (const [n, context] of this.#contexts.entries()) {
      for (const [m, page] of failed && TRIBUTARY_KEEP ? context.pages().entries() : []) {
        await page.screenshot({ path: path.join(TRIBUTARY_KEEP, `${name.replace(/\W+/g, "-")}-${n}-${m}.png`) });
      }
      await context.close();
    }
  }
}

/** Fills in the form of developers, and waits for the timeline. */
export async function signIn(page, name, operator = false) {
  await page.getByLabel("Handle", { exact: true }).fill(name);
  await page.getByLabel("With the operator's view").setChecked(operator);
  await page.locator("#dev-send").click();
  await page.getByRole("heading", { name: "Home" }).waitFor();
  await loaded(page, "home");
}

/** Waits until a list has its first page. */
export const loaded = (page, name) => page.locator(`#${name}-list[aria-busy=false]`).waitFor({ state: "attached" });

/** The texts of a list's posts, from the top. */
export const texts = (page, name = "home") => page.locator(`#${name}-list .text`).allTextContents();

/** A test in a browser; a word in a console fails it. */
export function scenario(name, run) {
  test(name, { timeout: 180_000 }, async (t) => {
    const world = new World();
    let failed = true;
    try {
      await run(world, t);
      failed = false;
    } finally {
      await world.close(failed, name);
    }
    if (world.complaints.length) throw new Error(`the page complained:\n${world.complaints.join("\n")}`);
  });
}

/** What `look` finds, once it does. */
export async function eventually(look, what = "it") {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`${what} never came to be`);
    await new Promise((done) => setTimeout(done, 20));
  }
}
