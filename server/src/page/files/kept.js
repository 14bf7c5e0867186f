// One value that outlives the page and is the same for all tabs at any time: a row of IndexedDB.

const NAME = "tributary";

/** Does one thing with the row, in a transaction of its own. */
function within(mode, act) {
  return new Promise((done, fail) => {
    const opening = indexedDB.open(NAME, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(NAME);
    opening.onerror = () => fail(opening.error);
    opening.onsuccess = () => {
      const database = opening.result;
      const transaction = database.transaction(NAME, mode);
      const asked = act(transaction.objectStore(NAME));
      transaction.oncomplete = () => (database.close(), done(asked.result));
      transaction.onabort = () => (database.close(), fail(transaction.error));
    };
  });
}

/** The value, or undefined. */
export const read = () => within("readonly", (row) => row.get(NAME));

/** Keeps a value. */
export const write = (value) => within("readwrite", (row) => row.put(value, NAME));

/** Forgets it. */
export const erase = () => within("readwrite", (row) => row.delete(NAME));
