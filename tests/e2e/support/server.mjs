// ringcastd as a process, and its API as a publisher sees it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';

import { buildRoot } from './packages.mjs';
import { kPatience, until, within } from './waiting.mjs';

const kReady = /^ringcastd ready clients((?: \S+)+) api((?: \S+)+)$/m;
const kTrouble = /Sanitizer|runtime error:|assertion failed|terminate called|panic/i;

export class Server {
  #process;
  #directory;
  #stderr = '';
  #ended;
  #key;

  /**
   * A running server, with a data directory of its own, and free ports unless `defaultPorts`.
   * settings: by their variables, e.g. { RINGCAST_PING_INTERVAL: '1s' }. config: (directory) => the text of a
   * configuration file, which names the clients' addresses; the directory is for unix sockets.
   */
  static async start({ defaultPorts = false, workers = 1, settings = {}, config } = {}) {
    if (defaultPorts) {
      for (const port of [5000, 5001]) await mustBeFree(port);
    }
    const server = new Server();
    server.#directory = await mkdtemp(path.join(os.tmpdir(), 'ringcast-e2e-'));
    try {
      await server.#start(defaultPorts, workers, settings, config);
    } catch (error) {
      await server.cleanup();
      throw error;
    }
    return server;
  }

  async #start(defaultPorts, workers, settings, config) {
    const outside = Object.entries(process.env)
      .filter(([name]) => !name.startsWith('RINGCAST_') && name !== 'STATE_DIRECTORY');
    const env = {
      ...Object.fromEntries(outside), RINGCAST_PING_INTERVAL: '1h', RINGCAST_DRAIN_TIME: '100ms', ...settings,
    };
    const addresses = defaultPorts ? [] : ['--api-listen', '127.0.0.1:0'];
    if (config) {
      await chmod(this.#directory, 0o711); // the terminator is another user
      const file = path.join(this.#directory, 'ringcast.toml');
      await writeFile(file, config(this.#directory));
      addresses.push('--config', file);
    } else if (!defaultPorts) {
      addresses.push('--listen', '127.0.0.1:0');
    }
    this.#process = spawn(path.join(buildRoot, 'src/main/ringcastd'), ['--workers', String(workers), ...addresses],
      { cwd: this.#directory, env, stdio: ['ignore', 'ignore', 'pipe'] });
    const kill = () => this.#process.kill('SIGKILL');
    process.once('exit', kill); // a test that crashes leaves none behind
    this.#process.once('close', () => process.off('exit', kill));
    this.#ended = once(this.#process, 'close').then(([code, signal]) => code ?? signal);
    this.#ended.catch(() => {}); // a program that cannot be run is reported by the wait below
    this.#process.stderr.setEncoding('utf8').on('data', (text) => { this.#stderr += text; });

    const ready = new Promise((resolve, reject) => {
      this.#process.stderr.on('data', () => kReady.test(this.#stderr) && resolve(kReady.exec(this.#stderr)));
      this.#ended.then((status) => reject(new Error(`ringcastd ended (${status}):\n${this.#stderr}`)), reject);
    });
    const [, clients, api] = await within(ready, () => `the ready line in:\n${this.#stderr}`);
    /** The first address for clients: host:port or unix:/path. */
    this.address = clients.trim().split(' ')[0];
    this.url = `ws://${this.address}/ws`;
    this.apiUrl = `http://${api.trim().split(' ')[0]}`;
    this.#key = (await readFile(path.join(this.#directory, 'ringcast-data/api.key'), 'utf8')).trim();
  }

  /** One request to the API: what it answers as JSON. Another status than 200 is an error. */
  async api(method, route, body, headers = {}) {
    const response = await fetch(this.apiUrl + route, {
      method,
      headers: { Authorization: `Bearer ${this.#key}`, 'Content-Type': 'application/json', ...headers },
      body: body === undefined || typeof body === 'string' ? body : JSON.stringify(body),
      signal: AbortSignal.timeout(kPatience),
    });
    const text = await response.text();
    if (response.status !== 200) throw new Error(`${method} ${route}: ${response.status} ${text}`);
    return JSON.parse(text);
  }

  publish(message) {
    return this.api('POST', '/api/publish', message);
  }

  publishLines(messages) {
    return this.api('POST', '/api/publish', messages.map((message) => JSON.stringify(message)).join('\n'),
      { 'Content-Type': 'application/x-ndjson' });
  }

  /** The totals of /api/stats. */
  async totals() {
    return (await this.api('GET', '/api/stats')).totals;
  }

  /** For subscriptions without an answer: until the user has so many connections that hold so many topics. */
  userHas(userId, connections, topics) {
    return until(async () => {
      const user = await this.api('GET', `/api/users/${userId}`);
      return user.connections.length === connections && user.connections.every((c) => c.topics.length === topics);
    }, `${connections} connections of user ${userId} with ${topics} topics`);
  }

  signal(name) {
    this.#process.kill(name);
  }

  /** SIGTERM, unless it has ended; then status 0 and no sanitizer's report. Removes its files. */
  async stop() {
    try {
      this.signal('SIGTERM');
      const status = await within(this.#ended, () => `the server's end:\n${this.#stderr}`);
      if (status !== 0 || kTrouble.test(this.#stderr)) throw new Error(`ended with ${status}:\n${this.#stderr}`);
    } finally {
      await this.cleanup();
    }
  }

  async cleanup() {
    if (this.#process?.pid && this.#process.exitCode === null) {
      this.#process.kill('SIGKILL');
      await this.#ended;
    }
    await rm(this.#directory, { recursive: true, force: true });
  }
}

async function mustBeFree(port) {
  for (const host of ['127.0.0.1', '::1']) {
    const probe = net.createServer();
    try {
      await new Promise((resolve, reject) => probe.once('error', reject).listen({ port, host }, resolve));
    } catch (error) {
      if (error.code === 'EADDRNOTAVAIL' || error.code === 'EAFNOSUPPORT') continue; // a host without IPv6
      throw new Error(`${host}:${port} is taken (${error.code}): the protocol document's example needs the server there`);
    } finally {
      if (probe.listening) await new Promise((resolve) => probe.close(resolve));
    }
  }
}
