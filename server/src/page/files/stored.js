// Small values in localStorage and sessionStorage. A browser may forbid both: then nothing is kept, and nothing fails.

/** The value, or undefined. `storage`: "localStorage" or "sessionStorage", for already its name may be forbidden. */
export function stored(storage, key) {
  try {
    return JSON.parse(window[storage].getItem(key)) ?? undefined;
  } catch {
    return undefined; // not ours, or forbidden
  }
}

/** Keeps a value; undefined forgets it. */
export function store(storage, key, value) {
  try {
    if (value === undefined) window[storage].removeItem(key);
    else window[storage].setItem(key, JSON.stringify(value));
  } catch {
    // forbidden, or full
  }
}
