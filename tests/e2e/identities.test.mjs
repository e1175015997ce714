// A browser proves who it is, through each terminator of docs/terminators/, in each place that a token may have.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';

import { Browser } from './support/browser.mjs';
import { Server } from './support/server.mjs';
import { Terminator, freePort, serverConfig, terminators } from './support/terminator.mjs';
import { within } from './support/waiting.mjs';

const kTimeout = { timeout: 60_000 };
const kSecret = 'a secret of this test alone, and of 32 bytes or more';

function token(user, secret = kSecret) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ sub: user, exp: Math.floor(Date.now() / 1000) + 600 })}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

/** A server in jwt mode, the terminator, and a page of the terminator's own origin, which alone may connect. */
async function front(t, kind) {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'ringcast-e2e-secret-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const secretFile = path.join(directory, 'secret');
  await writeFile(secretFile, `${kSecret}\n`, { mode: 0o600 });
  const port = await freePort();
  const server = await Server.start({
    config: await serverConfig(kind),
    settings: {
      RINGCAST_AUTH_MODE: 'jwt', RINGCAST_AUTH_JWT_ALGORITHMS: 'HS256', RINGCAST_AUTH_JWT_SECRET_FILE: secretFile,
      RINGCAST_AUTH_JWT_COOKIE: 'session', RINGCAST_ALLOWED_ORIGINS: `https://127.0.0.1:${port}`,
    },
  });
  t.after(() => server.stop());
  const terminator = await Terminator.start(kind, { port, clients: server.address, api: new URL(server.apiUrl).host });
  t.after(() => terminator.stop());
  const browser = await Browser.start({ trustedKey: terminator.trustedKey });
  t.after(() => browser.stop());
  return { server, terminator, browser };
}

/**
 * A page that connects in one of the ways, subscribes and keeps what it gets.
 * @return how the connection began: 'open PROTOCOL', or 'closed CODE'
 */
async function connect(page, { url, protocols = [], cookie, data }) {
  return within(page.evaluate(([address, names, crumb, subscribe]) => new Promise((resolve) => {
    if (crumb) document.cookie = `session=${crumb}; Secure`;
    globalThis.got = [];
    globalThis.waiting = [];
    const socket = new WebSocket(address, names);
    socket.onmessage = (event) => { globalThis.got.push(JSON.parse(event.data)); globalThis.waiting.shift()?.(); };
    socket.onclose = (event) => resolve(`closed ${event.code}`);
    socket.onopen = () => {
      socket.send(JSON.stringify({ type: 'subscribe', id: 1, data: subscribe }));
      resolve(`open ${socket.protocol}`);
    };
    globalThis.next = async () => {
      if (globalThis.got.length === 0) await new Promise((resume) => { globalThis.waiting.push(resume); });
      return globalThis.got.shift();
    };
  }), [url, protocols, cookie, data]), 'the handshake in the page');
}

for (const kind of terminators) {
  test(`${kind}: a token counts in the message, the query, a cookie and as a subprotocol`, kTimeout, async (t) => {
    const { server, terminator, browser } = await front(t, kind);
    const { url } = terminator;
    const ways = {
      message: (user) => ({ url, data: { token: token(user) } }),
      query: (user) => ({ url: `${url}?token=${token(user)}`, data: {} }),
      subprotocol: (user) => ({ url, protocols: ['ringcast', token(user)], data: {} }),
      cookie: (user) => ({ url, cookie: token(user), data: {} }), // last: the browser keeps it
    };
    for (const [way, how] of Object.entries(ways)) {
      const page = await browser.page(`${terminator.origin}/`);
      const user = `by-${way}`;
      assert.equal(await connect(page, how(user)), `open ${way === 'subprotocol' ? 'ringcast' : ''}`, way);
      const next = () => within(page.evaluate(() => globalThis.next()), `a message, ${way}`);
      assert.deepEqual(await next(), { type: 'ack', id: 1, data: {} }, way);
      await server.publish({ type: 'notification', userId: user, data: { id: way, title: 'a', message: 'b' } });
      assert.equal((await next()).data.id, way);
      const { connections } = await server.api('GET', `/api/users/${user}`);
      assert.match(connections[0].address, /^127\.0\.0\.1/, 'the browser, not a unix socket');
      await page.close();
    }
    await terminator.stop();
    assert.doesNotMatch(terminator.log, /eyJ/, 'no token in the log of the terminator');
  });

  test(`${kind}: without a good token nobody is anybody`, kTimeout, async (t) => {
    const { terminator, browser } = await front(t, kind);
    const { url } = terminator;
    const page = await browser.page(`${terminator.origin}/`);
    assert.equal(await connect(page, { url, data: { userId: 'victim' } }), 'open ');
    const answer = await within(page.evaluate(() => globalThis.next()), 'an answer');
    assert.equal(answer.data.code, 'unauthorized');
    const forged = token('victim', 'another secret, of 32 bytes or more as well');
    assert.equal(await connect(page, { url: `${url}?token=${forged}`, data: {} }), 'closed 1006');
    assert.equal(await connect(page, { url, protocols: ['ringcast', forged], data: {} }), 'closed 1006');
    assert.equal(await connect(page, { url, cookie: forged, data: {} }), 'closed 1006');
    const stranger = await browser.page(); // of an origin that may not connect
    assert.equal(await connect(stranger, { url: `${url}?token=${token('victim')}`, data: {} }), 'closed 1006');
  });
}
