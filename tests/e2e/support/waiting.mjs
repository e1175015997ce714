// Waiting for what must happen, with an end to patience.
import { setTimeout as sleep } from 'node:timers/promises';

export const kPatience = 15_000; // ms; sanitizer builds on busy machines are slow

function tooLate(awaited) {
  return new Error(`waited ${kPatience} ms for ${typeof awaited === 'function' ? awaited() : awaited}`);
}

/** What `promise` gives, or an error that says what was awaited. */
export async function within(promise, awaited) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => {
      reject(tooLate(awaited));
    }, kPatience);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Asks again until the answer is truthy, and gives it. For states that can only be polled. */
export async function until(ask, awaited) {
  const end = Date.now() + kPatience;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > end) throw tooLate(awaited);
    await sleep(10);
  }
}

/** Values in their order of arrival, taken one by one. */
export class Inbox {
  #values = [];
  #waiting = [];
  #failure = null;

  push(value) {
    this.#values.push(value);
    this.#serve();
  }

  /** Nothing more comes: who waits gets `error`. */
  fail(error) {
    this.#failure = error;
    this.#serve();
  }

  /** Everything that has come and was not taken. */
  get rest() {
    return [...this.#values];
  }

  /** Takes the next value. */
  next(awaited = 'a message') {
    return within(new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#serve();
    }), awaited);
  }

  /** Takes the next `count` values. */
  async take(count) {
    const taken = [];
    while (taken.length < count) taken.push(await this.next(`message ${taken.length + 1} of ${count}`));
    return taken;
  }

  #serve() {
    while (this.#waiting.length > 0 && (this.#values.length > 0 || this.#failure)) {
      const { resolve, reject } = this.#waiting.shift();
      if (this.#values.length > 0) resolve(this.#values.shift());
      else reject(this.#failure);
    }
  }
}
