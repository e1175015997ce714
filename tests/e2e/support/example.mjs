// The protocol document's JavaScript example, unmodified, in two places where JavaScript runs.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import vm from 'node:vm';

import { sourceRoot, WebSocket } from './packages.mjs';
import { Inbox } from './waiting.mjs';

/**
 * Its text: from the document beside the repository (or where RINGCAST_PROTOCOL_DOCUMENT says) if it is there,
 * else the copy in docs/.
 */
export async function exampleText() {
  const document = process.env.RINGCAST_PROTOCOL_DOCUMENT ?? path.join(sourceRoot, '../shared/websocket-api.md');
  const copy = path.join(sourceRoot, 'docs/client-example.js');
  if (!existsSync(document)) {
    if (!existsSync(copy)) throw new Error(`no example to run: neither ${document} nor ${copy} is there`);
    return readFile(copy, 'utf8');
  }
  const text = await readFile(document, 'utf8');
  const examples = [...text.matchAll(/^```javascript\n(.*?)^```$/gms)];
  if (examples.length !== 1) throw new Error(`${examples.length} JavaScript examples in ${document}, not one`);
  return examples[0][1];
}

/** What a run of it printed: `printed` holds the arguments of each console call. */
class Run {
  printed = new Inbox();

  /** The second argument of the next call, whose first one must be `label`. */
  async says(label) {
    const [first, second] = await this.printed.next(`"${label}"`);
    assert.equal(first, label, JSON.stringify(second));
    return second;
  }
}

/** In Node, with `ws` as the global WebSocket. */
export class NodeRun extends Run {
  #context;

  constructor(text) {
    super();
    const print = (...values) => this.printed.push(structuredClone(values.map(plain)));
    this.#context = vm.createContext({ WebSocket, setTimeout, console: { log: print, error: print } });
    vm.runInContext(text, this.#context, { filename: 'the example' });
  }

  async evaluate(text) {
    vm.runInContext(text, this.#context);
  }

  async end() {}
}

/** In a tab of Chromium, as a classic script of the page. */
export class ChromiumRun extends Run {
  #page;

  static async start(browser, text) {
    const run = new ChromiumRun();
    run.#page = await browser.page();
    let previous = Promise.resolve(); // values are fetched from the page: keeps the order
    run.#page.on('console', (line) => {
      previous = previous.then(async () => {
        const values = await Promise.all(line.args().map((value) => value.jsonValue()));
        run.printed.push(values.length > 0 ? values : [line.text()]);
      }).catch((error) => run.printed.fail(error));
    });
    run.#page.on('pageerror', (error) => run.printed.fail(error));
    await run.#page.addScriptTag({ content: text });
    return run;
  }

  evaluate(text) {
    return this.#page.evaluate(text);
  }

  end() {
    return this.#page.close();
  }
}

function plain(value) {
  return typeof value === 'object' && value !== null ? JSON.parse(JSON.stringify(value)) : value;
}
