// Making elements. Everything that people wrote goes in as text, never as markup.

/** An element. Properties starting with "on" are listeners, "class" and "text" are what they say, others attributes. */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else if (name === "text") element.textContent = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export const find = (id) => document.getElementById(id);

const NUMBER = new Intl.NumberFormat("en");
export const number = (value) => NUMBER.format(value);
export const plural = (count, one, many) => `${number(count)} ${count === 1 ? one : many}`;

export function bytes(value) {
  if (value < 1024) return `${value} B`;
  return value < 1024 * 1024 ? `${(value / 1024).toFixed(0)} KiB` : `${(value / 1024 / 1024).toFixed(1)} MiB`;
}

export function micros(value) {
  if (value < 10) return `${Number(value.toPrecision(2))} µs`;
  return value < 1000 ? `${number(Math.round(value))} µs` : `${(value / 1000).toFixed(value < 10_000 ? 1 : 0)} ms`;
}

/** How long ago, short. */
export function ago(time) {
  const seconds = Math.max(0, (Date.now() - Date.parse(time)) / 1000);
  if (seconds < 5) return "now";
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return new Date(time).toLocaleDateString("en", { day: "numeric", month: "short", year: "numeric" });
}

/** A round stand-in for a portrait: initials on one of eight tints, the same for a handle everywhere. */
export function avatar(user, size = "") {
  let hash = 0;
  for (const char of user.handle) hash = (hash * 31 + char.codePointAt(0)) % 9973;
  const words = user.name.split(/\s+/u).filter((word) => /^[\p{L}\p{N}]/u.test(word));
  const initials = [words[0], words.length > 1 ? words.at(-1) : ""].map((word) => (word ? [...word][0] : "")).join("");
  return el("span", { class: `avatar tint-${hash % 8} ${size}`, "aria-hidden": "true", text: initials || "·" });
}

/** Says something for a while, with a button for an `action`, which may stay; the same words once at a time. */
export function toast(message, action) {
  const place = find("toasts");
  if ([...place.children].some((other) => other.firstChild.textContent === message)) return;
  const leave = () => {
    if (shown.matches(":hover, :focus-within")) setTimeout(leave, 2000);
    else shown.remove();
  };
  const shown = el("p", { class: "toast" }, el("span", { text: message }));
  if (action) {
    const run = () => {
      shown.remove();
      find("main").focus({ preventScroll: true });
      action.run();
    };
    shown.append(el("button", { type: "button", class: "quiet", text: action.text, onclick: run }));
  }
  place.append(shown);
  if (!action?.stays) setTimeout(leave, action ? 12_000 : 6000);
}

/** Takes back what was offered: somebody else is here. */
export function withdraw() {
  document.querySelectorAll(".toast:has(button)").forEach((toast) => toast.remove());
}

/** Asks whether to do something that cannot be undone. */
export function ask(title, words, yes) {
  const dialog = el("dialog", { "aria-labelledby": "ask-title", "aria-describedby": "ask-words" },
    el("form", { method: "dialog" },
      el("h2", { id: "ask-title", text: title }), el("p", { id: "ask-words", text: words }),
      el("div", { class: "actions" },
        el("button", { class: "secondary", value: "", text: "Cancel" }),
        el("button", { class: "primary", value: "yes", text: yes }))));
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((answered) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      answered(dialog.returnValue === "yes");
    });
  });
}
