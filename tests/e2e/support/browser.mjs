// Headless Chromium and a web server for its pages.
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';

import { chromium } from './packages.mjs';

const kArguments = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];

export class Browser {
  #profile;
  #context;
  #site;

  /** trustedKey: base64 of the SHA-256 of a public key, with which any certificate is good. */
  static async start({ trustedKey } = {}) {
    const browser = new Browser();
    browser.#site = http.createServer((_, response) => {
      response.setHeader('Content-Type', 'text/html');
      response.end('<!doctype html><meta charset="utf-8"><title>a page</title><link rel="icon" href="data:,">');
    }).listen(0, '127.0.0.1');
    await once(browser.#site, 'listening');
    /** The origin of the pages. */
    browser.origin = `http://127.0.0.1:${browser.#site.address().port}`;
    browser.#profile = await mkdtemp(path.join(os.tmpdir(), 'ringcast-e2e-chromium-'));
    try {
      browser.#context = await chromium.launchPersistentContext(browser.#profile,
        {
          executablePath: '/usr/bin/chromium',
          args: [...kArguments, ...(trustedKey ? [`--ignore-certificate-errors-spki-list=${trustedKey}`] : [])],
        });
    } catch (error) {
      await browser.stop();
      throw error;
    }
    return browser;
  }

  /** A new tab with the page, or an empty one of `origin`. */
  async page(url = this.origin) {
    const page = await this.#context.newPage();
    await page.goto(url);
    return page;
  }

  async stop() {
    await this.#context?.close();
    this.#site.closeAllConnections?.();
    this.#site.close();
    await rm(this.#profile, { recursive: true, force: true, maxRetries: 5 });
  }
}
