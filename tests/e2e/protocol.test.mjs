// RFC 6455 and the limits, as npm's `ws` meets them.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';

import { Client } from './support/client.mjs';
import { WebSocket } from './support/packages.mjs';
import { Server } from './support/server.mjs';
import { within } from './support/waiting.mjs';

let server;
before(async () => { server = await Server.start({ workers: 2 }); });
after(() => server?.stop());

const kTimeout = { timeout: 60_000 };
const subscribe = (id, topic) => JSON.stringify({ type: 'subscribe', id, data: { topics: [topic] } });

/** Sends bytes as a text message in `count` fragments. */
function sendInFragments(client, bytes, count, between = () => {}) {
  const size = Math.ceil(bytes.length / count);
  for (let n = 0; n < count; n += 1) {
    client.socket.send(bytes.subarray(n * size, (n + 1) * size), { binary: false, fin: n === count - 1 });
    if (n < count - 1) between(n);
  }
}

test('extensions are offered and not negotiated', kTimeout, async () => {
  const client = await Client.connect(server.url, { perMessageDeflate: true });
  assert.equal(client.socket.extensions, '');
  assert.equal(client.handshake.headers['sec-websocket-extensions'], undefined);
  assert.deepEqual(await client.ask('subscribe', { topics: ['plain'] }), {});
  assert.deepEqual(await client.close(), { code: 1000, reason: '' });
});

test('a request that is no upgrade to /ws is refused by its status', kTimeout, async () => {
  const base = server.url.replace('ws:', 'http:');
  for (const [url, status] of [[base, 426], [base.replace('/ws', '/healthz'), 200], [base.replace('/ws', '/'), 404]]) {
    const response = await fetch(url);
    assert.equal(response.status, status, url);
    await response.text();
  }
  const socket = new WebSocket(server.url.replace('/ws', '/other'));
  const [, response] = await within(once(socket, 'unexpected-response'), 'a refusal');
  assert.equal(response.statusCode, 404);
  response.destroy();
});

test('a message in fragments is one message, whatever is between them', kTimeout, async () => {
  const client = await Client.connect(server.url);
  const text = Buffer.from(JSON.stringify({ type: 'subscribe', id: 'ä€😀', data: { topics: ['fragments'] } }));
  const pings = [];
  sendInFragments(client, text, 5, (n) => {
    pings.push(`between ${n}`);
    client.socket.ping(pings.at(-1));
  });
  assert.deepEqual(await client.messages.next(), { type: 'ack', id: 'ä€😀', data: {} });
  assert.deepEqual(await client.pongs.take(4), pings);

  sendInFragments(client, text, text.length > 64 ? 64 : text.length);
  assert.equal((await client.messages.next()).type, 'ack', 'characters cut apart');
  await client.close();
});

test('64 fragments are accepted and 65 are too many', kTimeout, async () => {
  for (const [count, accepted] of [[64, true], [65, false]]) {
    const client = await Client.connect(server.url);
    const text = subscribe(1, 'fragments');
    sendInFragments(client, Buffer.from(text.padEnd(count * 2)), count);
    if (accepted) {
      assert.equal((await client.messages.next()).type, 'ack');
      await client.close();
    } else {
      assert.equal((await client.end()).code, 1009);
    }
  }
});

test('16 KiB are accepted and a byte more is too much', kTimeout, async () => {
  const client = await Client.connect(server.url);
  client.socket.send(subscribe(1, 'large').padEnd(16384));
  assert.equal((await client.messages.next()).type, 'ack');
  client.socket.send(subscribe(2, 'large').padEnd(16385));
  assert.equal((await client.end()).code, 1009);
});

test('a ping frame is answered with its payload, and the eleventh in a second is too many', kTimeout, async () => {
  const client = await Client.connect(server.url);
  const payloads = Array.from({ length: 10 }, (_, n) => String(n).repeat(n * 13));
  for (const payload of payloads) client.socket.ping(payload);
  assert.deepEqual(await client.pongs.take(10), payloads);
  client.socket.pong('unasked');
  assert.equal((await client.messages.next()).data.code, 'rate_limit_exceeded');
  assert.deepEqual(await client.end(), { code: 1008, reason: 'rate_limit_exceeded' });
});

test('the eleventh message in a second ends the connection, after its error', kTimeout, async () => {
  const client = await Client.connect(server.url);
  for (let n = 1; n <= 11; n += 1) client.socket.send(subscribe(n, 'rate'));
  const answers = await client.messages.take(11);
  assert.deepEqual(answers.slice(0, 10).map((answer) => answer.id), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  assert.equal(answers[10].data.code, 'rate_limit_exceeded');
  assert.deepEqual(await client.end(), { code: 1008, reason: 'rate_limit_exceeded' });
});

test("the client's close is answered with its code", kTimeout, async () => {
  for (const [code, reason] of [[1000, ''], [1001, 'going away'], [3999, 'é'.repeat(61)], [4000, '']]) {
    const client = await Client.connect(server.url);
    assert.equal((await client.close(code, reason)).code, code);
  }
  const client = await Client.connect(server.url);
  client.socket.close(); // a close frame without a code
  assert.equal((await client.end()).code, 1005);
});

test('a breach of the protocol is named by the close code', kTimeout, async () => {
  const breaches = {
    'a binary message': [1003, (socket) => socket.send(Buffer.from('{}'), { binary: true })],
    'bad UTF-8': [1007, (socket) => socket.send(Buffer.from([0x22, 0xc3, 0x28, 0x22]), { binary: false })],
    'a frame without a mask': [1002, (socket) => socket.send('{"type":"pong"}', { mask: false })],
    'a compressed frame': [1002, (socket) => socket._socket.write(Buffer.from([0xc1, 0x80, 0, 0, 0, 0]))],
    'an unknown opcode': [1002, (socket) => socket._socket.write(Buffer.from([0x83, 0x80, 0, 0, 0, 0]))],
    'a continuation of nothing': [1002, (socket) => socket._socket.write(Buffer.from([0x80, 0x80, 0, 0, 0, 0]))],
  };
  for (const [breach, [code, commit]] of Object.entries(breaches)) {
    const client = await Client.connect(server.url);
    commit(client.socket);
    assert.equal((await client.end()).code, code, breach);
    assert.deepEqual(client.messages.rest, [], `${breach}: no error text`);
  }
});

test('five refusals in a row end the connection', kTimeout, async () => {
  const client = await Client.connect(server.url);
  for (let n = 0; n < 5; n += 1) client.send({ type: 'mark_read', data: { notificationId: 'x' } });
  const codes = (await client.messages.take(5)).map((message) => message.data.code);
  assert.deepEqual(codes, Array(5).fill('unauthorized'));
  assert.deepEqual(await client.end(), { code: 1008, reason: 'unauthorized' });
});

test('the backend disconnects a user, with its reason', kTimeout, async () => {
  const clients = await Promise.all([1, 2].map(() => Client.connect(server.url)));
  for (const client of clients) await client.ask('subscribe', { userId: 'leaver' });
  const reason = 'you have been logged out ✓';
  assert.deepEqual(await server.api('POST', '/api/users/leaver/disconnect', { reason }), { closed: 2 });
  for (const client of clients) {
    assert.deepEqual(await client.messages.next(), { type: 'error', data: { code: 'disconnected', message: reason } });
    assert.deepEqual(await client.end(), { code: 1008, reason });
  }
});

test('64 KiB of data arrive whole', kTimeout, async () => {
  const client = await Client.connect(server.url);
  await client.ask('subscribe', { userId: 'reader', topics: ['large'] });
  const data = { text: '' };
  data.text = 'ä😀"\\n'.repeat(10_000).slice(0, 30_000); // escapes and characters of two and four bytes
  while (Buffer.byteLength(JSON.stringify(data)) > 65_536) data.text = data.text.slice(0, -100);
  for (const target of [{ topic: 'large' }, { userId: 'reader' }]) {
    await server.publish({ type: 'custom_event', ...target, data });
    assert.deepEqual(await client.messages.next(), { type: 'custom_event', data });
  }
  await client.close();
});

test('200 clients get 100 publications in order', kTimeout, async () => {
  const clients = await Promise.all(Array.from({ length: 200 }, () => Client.connect(server.url)));
  await Promise.all(clients.map((client) => client.ask('subscribe', { topics: ['everybody'] })));
  const { cores } = await server.api('GET', '/api/stats');
  assert.equal(cores.length, 2);
  assert.ok(cores.every((core) => core.connections > 0), 'both cores have some of them');

  const publications = Array.from({ length: 100 }, (_, n) =>
    ({ type: 'job_update', topic: 'everybody', data: { id: n, title: `Job ${n}`, timestamp: '2023-01-01T00:00:00Z' } }));
  for (const publication of publications.slice(0, 30)) await server.publish(publication);
  assert.deepEqual(await server.publishLines(publications.slice(30)), { accepted: 70, rejected: [] });

  const expected = publications.map(({ type, data }) => ({ type, data }));
  for (const client of clients) assert.deepEqual(await client.messages.take(100), expected);
  await Promise.all(clients.map((client) => client.close()));
});
