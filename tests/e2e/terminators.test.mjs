// HAProxy, nginx and Caddy with the configurations of docs/terminators/, between wss:// clients and the real server.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { test } from 'node:test';
import tls from 'node:tls';

import { Browser } from './support/browser.mjs';
import { Client } from './support/client.mjs';
import { WebSocket } from './support/packages.mjs';
import { Server } from './support/server.mjs';
import { Terminator, serverConfig, terminators } from './support/terminator.mjs';
import { Inbox, until, within } from './support/waiting.mjs';

const kTimeout = { timeout: 60_000 };
const kShort = '1s'; // in place of the 75 s; the heartbeats that outlast it are in the same proportion, a third
const kHeartbeat = '333ms';

/** A server, the terminator in front of it, and connect() through it; all gone behind the test. */
async function front(t, kind, { settings, timeout } = {}) {
  const server = await Server.start({ settings, config: await serverConfig(kind) });
  t.after(() => server.stop());
  const terminator = await Terminator.start(kind, { clients: server.address, api: new URL(server.apiUrl).host, timeout });
  t.after(() => terminator.stop());
  const connect = (query = '') => Client.connect(terminator.url + query, { ca: terminator.ca });
  return { server, terminator, connect };
}

/** What stands in a PROXY header of version 2 for IPv4, and its length; nothing if there is none. */
function clientOfProxyHeader(bytes) {
  if (bytes.subarray(0, 12).toString('latin1') !== '\r\n\r\n\0\r\nQUIT\n') return null;
  return { client: [...bytes.subarray(16, 20)].join('.'), length: 16 + bytes.readUInt16BE(14) };
}

/** A page that holds a connection as the protocol's own example does: when it is closed, it comes again. */
async function openPage(t, terminator) {
  const browser = await Browser.start({ trustedKey: terminator.trustedKey });
  t.after(() => browser.stop());
  const page = await browser.page();
  await page.evaluate(([url, again]) => {
    globalThis.got = [];
    globalThis.closes = 0;
    const connect = () => {
      const socket = new WebSocket(url);
      socket.onopen = () => socket.send(JSON.stringify(
        { type: 'subscribe', data: { userId: 'tab', topics: ['job_matches', 'application_updates'] } }));
      socket.onmessage = (event) => { globalThis.got.push(JSON.parse(event.data)); };
      socket.onclose = () => { globalThis.closes += 1; setTimeout(connect, again); };
    };
    connect();
  }, [terminator.urlByV6, 100]);
  return page;
}

for (const kind of terminators) {
  test(`${kind}: a browser gets every type, is known by its own address, and outlives reload and restart`, kTimeout, async (t) => {
    const { server, terminator } = await front(t, kind);
    const page = await openPage(t, terminator);
    const arrived = (count, what) => until(async () => {
      const got = await page.evaluate(() => globalThis.got);
      return got.length >= count && got;
    }, what);

    await server.userHas('tab', 1, 2);
    await server.publish({ type: 'notification', userId: 'tab', data: { id: 'n', title: 'a', message: 'b' } });
    await server.publish({ type: 'job_update', topic: 'job_matches', data: { id: 1, status: 'new' } });
    await server.publish({ type: 'application_status', userId: 'tab', topic: 'application_updates', data: { status: 'seen' } });
    const types = (await arrived(3, 'three messages')).map((message) => message.type);
    assert.deepEqual(types, ['notification', 'job_update', 'application_status']);

    // By IPv6, which no terminator speaks to the server.
    const { connections: [{ address }] } = await server.api('GET', '/api/users/tab');
    assert.match(address, kind === 'haproxy' ? /^\[::1\]:\d+$/ : /^::1$/);

    for (const disturb of ['reload', 'restart']) {
      await terminator[disturb]();
      let count = 0;
      await until(async () => {
        await server.publish({ type: 'job_update', topic: 'job_matches', data: { id: ++count, after: disturb } });
        return page.evaluate((wanted) => globalThis.got.some((message) => message.data.after === wanted), disturb);
      }, `a message after the ${disturb}`);
      const closes = await page.evaluate(() => globalThis.closes);
      // HAProxy's and nginx's old processes keep their clients over a reload; Caddy's are closed and come again.
      if (disturb === 'reload') assert.equal(closes, kind === 'caddy' ? 1 : 0);
      if (disturb === 'restart') assert.ok(closes > 0);
    }
    assert.match((await server.api('GET', '/api/users/tab')).connections.at(-1).address, /::1/);
  });

  test(`${kind}: a wss client subscribes, and gets what is published`, kTimeout, async (t) => {
    const { server, connect } = await front(t, kind);
    const client = await connect();
    await client.ask('subscribe', { userId: 'behind', topics: ['t'] });
    const data = { text: 'ä😀"\\n'.repeat(3_000) };
    await server.publish({ type: 'custom_event', topic: 't', data });
    assert.deepEqual(await client.messages.next(), { type: 'custom_event', data });
    await server.publish({ type: 'custom_event', userId: 'behind', data: 1 });
    assert.deepEqual(await client.messages.next(), { type: 'custom_event', data: 1 });
    assert.equal((await client.close(4000)).code, 4000);
    await server.userHas('behind', 0, 0);
  });

  test(`${kind}: heartbeats keep a silent client`, kTimeout, async (t) => {
    const { connect } = await front(t, kind, { settings: { RINGCAST_PING_INTERVAL: kHeartbeat }, timeout: kShort });
    const client = await connect();
    const heartbeats = new Inbox();
    client.socket.on('message', (text) => heartbeats.push(JSON.parse(text)));
    assert.deepEqual(await heartbeats.take(10), Array(10).fill({ type: 'ping' }));
    assert.deepEqual(await client.ask('subscribe', { topics: ['t'] }), {}, 'after three times the timeout');
    await client.close();
  });

  test(`${kind}: without heartbeats a silent client is dropped`, kTimeout, async (t) => {
    const { connect } = await front(t, kind, { settings: { RINGCAST_PING_INTERVAL: '1h' }, timeout: kShort });
    assert.deepEqual(await (await connect()).end(), { code: 1006, reason: '' });
  });

  test(`${kind}: a drain reaches the clients, and new ones are refused meanwhile`, kTimeout, async (t) => {
    const { server, terminator, connect } = await front(t, kind, { settings: { RINGCAST_DRAIN_TIME: '1h' } });
    const clients = [await connect(), await connect()];
    server.signal('SIGTERM');
    const first = await within(Promise.race(clients.map((client) => client.closed.then(() => client))), 'a close');
    assert.equal((await first.messages.next()).data.code, 'shutting_down');
    assert.deepEqual(await first.end(), { code: 1012, reason: 'shutting_down' });

    const refused = new WebSocket(terminator.url, { ca: terminator.ca });
    const [, response] = await within(once(refused, 'unexpected-response'), 'a refusal');
    assert.equal(response.statusCode, 503);
    response.destroy();

    const last = clients.find((client) => client !== first);
    await last.ask('subscribe', { topics: ['t'] });
    await server.publish({ type: 'custom_event', topic: 't', data: 'still' });
    assert.deepEqual(await last.messages.next(), { type: 'custom_event', data: 'still' });
    await last.close();
  });

  test(`${kind}: nothing but /ws is to be had`, kTimeout, async (t) => {
    const { terminator } = await front(t, kind);
    for (const route of ['/', '/ws/', '/api/stats', '/metrics', '/healthz', '/%77s/../api/stats']) {
      assert.equal((await terminator.request('GET', route)).status, 404, route);
    }
    assert.equal((await terminator.request('POST', '/api/publish')).status, 404);
    const noUpgrade = await terminator.request('GET', '/ws');
    assert.equal(noUpgrade.status, 426);
    assert.equal(noUpgrade.headers['sec-websocket-version'], '13');
  });

  test(`${kind}: clients do not speak as the proxy, and tokens stay out of its log`, kTimeout, async (t) => {
    const requests = new Inbox(); // those for /ws, to a server that shows what it was sent
    const answers = http.createServer((request, response) => {
      if (request.url !== '/readyz') requests.push(request);
      response.writeHead(request.url === '/readyz' ? 200 : 426).end();
    });
    const clients = new Set(); // as PROXY headers name them
    const mirror = net.createServer((socket) => socket.once('data', (bytes) => {
      const address = clientOfProxyHeader(bytes);
      if (address) clients.add(address.client);
      socket.unshift(bytes.subarray(address?.length ?? 0));
      answers.emit('connection', socket);
    })).listen(0, '127.0.0.1');
    await once(mirror, 'listening');
    t.after(() => { answers.closeAllConnections?.(); mirror.close(); });
    const address = `127.0.0.1:${mirror.address().port}`;
    const terminator = await Terminator.start(kind, { clients: address, api: address });
    t.after(() => terminator.stop());
    while (requests.rest.length > 0) await requests.next(); // of the start

    await terminator.request('GET', '/ws?token=secret', {
      'X-Forwarded-For': '192.0.2.1', 'X-Forwarded-Proto': 'gopher', 'X-User-Id': 'admin', Forwarded: 'for=192.0.2.1',
      Authorization: 'Bearer of-the-client', Cookie: 'a=b', Origin: 'https://www.example.com',
      'Sec-WebSocket-Protocol': 'ringcast',
    });
    const { url, headers } = await requests.next();
    assert.equal(url, '/ws?token=secret');
    const has = Object.fromEntries(['x-forwarded-for', 'x-forwarded-proto', 'x-user-id', 'forwarded', 'authorization',
      'cookie', 'origin', 'sec-websocket-protocol', 'host'].map((name) => [name, headers[name]]));
    assert.deepEqual(has, {
      'x-forwarded-for': kind === 'haproxy' ? undefined : '127.0.0.1', 'x-forwarded-proto': 'https', 'x-user-id': undefined, forwarded: undefined,
      authorization: 'Bearer of-the-client', cookie: 'a=b', origin: 'https://www.example.com',
      'sec-websocket-protocol': 'ringcast', host: new URL(terminator.origin).host,
    });
    assert.deepEqual([...clients], kind === 'haproxy' ? ['127.0.0.1'] : []);
    await terminator.stop();
    assert.match(terminator.log, /\/ws/);
    assert.doesNotMatch(terminator.log, /secret/);
  });
}

/** Bytes as they are, by TLS; everything that comes back until the end. */
async function raw({ origin, ca }, bytes) {
  const socket = tls.connect({ host: '127.0.0.1', port: new URL(origin).port, ca });
  const all = socket.toArray();
  socket.write(bytes);
  setTimeout(() => socket.end(), 300); // a terminator that keeps the connection waits for another request
  return Buffer.concat(await within(all, 'the end of a raw connection')).toString('latin1');
}

for (const kind of terminators) {
  test(`${kind}: no second request goes through inside of an upgrade (hazards H13)`, kTimeout, async (t) => {
    const { server, terminator } = await front(t, kind);
    const { host } = new URL(terminator.origin);
    const hidden = `GET /healthz HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
    const chunk = `${hidden.length.toString(16)}\r\n${hidden}\r\n0\r\n\r\n`;
    const ask = (fields, body) => raw(terminator, `GET /ws HTTP/1.1\r\nHost: ${host}\r\nUpgrade: websocket\r\n`
      + 'Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n'
      + `${fields}\r\n${body}`);
    assert.match(await ask('', ''), /^HTTP\/1\.1 101/, 'nothing hidden');
    for (const [fields, body] of [
      [`Content-Length: ${hidden.length}`, hidden],
      ['Content-Length: 0,0', hidden],
      ['Content-Length: +0', hidden],
      ['Content-Length: 0x0', hidden],
      ['Content-Length: 18446744073709551616', hidden],
      ['Transfer-Encoding: chunked', chunk],
      ['Transfer-Encoding: xchunked', hidden],
      [`Transfer-Encoding: chunked\r\nContent-Length: ${chunk.length}`, chunk],
      [`Content-Length: 0\r\nContent-Length: ${hidden.length}`, hidden],
    ]) {
      const { handshakes_refused_total: before } = await server.totals();
      const answer = await ask(`${fields}\r\n`, body);
      assert.doesNotMatch(answer, /^HTTP\/1\.1 200/m, `${fields}: the hidden request was answered`);
      const { handshakes_refused_total: after } = await server.totals();
      assert.ok(after - before <= 1, `${fields}: ${after - before} requests came to the server`);
    }
  });
}

test('nginx: a balancer in front learns whether the server takes clients', kTimeout, async (t) => {
  const { server, terminator, connect } = await front(t, 'nginx', { settings: { RINGCAST_DRAIN_TIME: '1h' } });
  assert.equal((await terminator.request('GET', '/readyz')).status, 200);
  const clients = [await connect(), await connect()];
  server.signal('SIGTERM');
  await within(Promise.race(clients.map((client) => client.closed)), 'a close');
  assert.equal((await terminator.request('GET', '/readyz')).status, 503);
  for (const client of clients) client.socket.terminate();
});
