// A list that goes on: the next page comes before its end is seen, until there is nothing more.

import { el } from "./dom.js";
import { Problem } from "./http.js";

/** How far below the window the end may be when the next page is asked for. */
const AHEAD = "900px";

/**
 * Fills `list` page by page. `load(cursor)`: a page, the first without a cursor; `show(page, first)` adds its items.
 * `empty` and `over` are said at the end of a list without and with items.
 */
export function endless({ list, end, load, show, empty, over }) {
  let next = null;
  let begun = false;
  let loading = false;
  let generation = 0; // answers to what was asked before a restart are dropped

  const words = el("p", { tabindex: "-1" });
  const button = el("button", { class: "secondary", type: "button", onclick: () => older(true) });
  end.replaceChildren(words, button);

  function paint(problem) {
    list.setAttribute("aria-busy", String(loading));
    if (problem) words.textContent = problem.message;
    else if (loading) words.textContent = "Loading…";
    else if (next !== null || !begun) words.textContent = "";
    else words.textContent = list.childElementCount ? over : empty;
    button.textContent = problem ? "Try again" : "Show more";
    button.hidden = !problem && (loading || next === null) && document.activeElement !== button;
  }

  /** Whether it was loaded; undefined where a restart has overtaken it. */
  async function page(cursor, first) {
    const mine = generation;
    loading = true;
    paint();
    let failed;
    try {
      const found = await load(cursor);
      if (mine !== generation) return undefined;
      if (first) list.replaceChildren();
      next = found.next;
      begun = true;
      show(found, first);
    } catch (problem) {
      if (mine !== generation) return undefined;
      failed = problem;
      if (!(problem instanceof Problem)) reportError(problem);
    }
    loading = false;
    paint(failed);
    return !failed;
  }

  /** The next page down; the keyboard follows where it was asked for by the button. */
  async function older(asked = false) {
    if (loading || (begun && next === null)) return;
    const last = list.lastElementChild;
    const done = await page(next, !begun);
    if (asked && done && document.activeElement === button) {
      ((last ? last.nextElementSibling : list.firstElementChild) ?? words).focus();
      paint();
    }
    if (done && next !== null) look();
  }

  const observer = new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && older(), { rootMargin: AHEAD });

  /** Has the observer say again whether the end is near. */
  function look() {
    observer.unobserve(end);
    observer.observe(end);
  }

  return {
    /** Begins anew. What is shown stays until the first page has come. Tells what `page` does. */
    async restart() {
      generation += 1;
      const done = await page(null, true);
      if (done) look();
      return done;
    },
    /** Ends it: nothing comes any more. */
    stop() {
      generation += 1;
      observer.disconnect();
      list.replaceChildren();
      list.removeAttribute("aria-busy");
      end.replaceChildren();
    },
    /** Says the end again, after items were taken away. */
    paint: () => paint(),
  };
}
