// HAProxy and nginx as docs/terminators/ has them, in front of a server, with a certificate made for it.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import https from 'node:https';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';

import { sourceRoot } from './packages.mjs';
import { until, within } from './waiting.mjs';

const isRoot = process.getuid() === 0;

// What a test changes of a configuration: its places, and the times that it would wait for. Everything else is
// what an operator gets.
const kKinds = {
  haproxy: {
    file: 'haproxy.cfg',
    command: (directory, file) => ['/usr/sbin/haproxy', '-db', '-f', file],
    changes: ({ port, clients, api, pem, timeout }) => [
      ['bind :443 ', `bind 127.0.0.1:${port} `],
      ['/etc/ssl/private/ringcast.pem', pem],
      ['127.0.0.1:5000', clients],
      ['check port 5001', `check port ${api.split(':')[1]}`],
      ['log /dev/log local0', 'log stderr format raw local0'],
      ['timeout tunnel 75s', `timeout tunnel ${timeout}`],
      ['inter 2s', 'inter 50ms'],
      ['maxconn 100000', 'maxconn 200'],
      ...(isRoot ? [] : [['user haproxy', ''], ['group haproxy', '']]),
    ],
  },
  nginx: {
    file: 'nginx.conf',
    command: (directory, file) => ['/usr/sbin/nginx', '-p', directory, '-c', file, '-e', 'stderr', '-g', 'daemon off;'],
    changes: ({ directory, port, clients, api, pem, timeout }) => [
      ['listen 443 ssl', `listen 127.0.0.1:${port} ssl`],
      ['/etc/ssl/private/ringcast.pem', pem, 2],
      ['127.0.0.1:5000', clients],
      ['127.0.0.1:5001', api],
      ['/run/nginx.pid', `${directory}/nginx.pid`],
      ['/var/log/nginx/error.log warn', 'stderr warn'],
      ['/var/log/nginx/access.log', `${directory}/access.log`],
      ['worker_processes auto', 'worker_processes 1'],
      ['worker_rlimit_nofile 131072', 'worker_rlimit_nofile 1024'],
      ['worker_connections 65536', 'worker_connections 512'],
      ['proxy_read_timeout 75s', `proxy_read_timeout ${timeout}`],
      ['proxy_send_timeout 75s', `proxy_send_timeout ${timeout}`],
      ['http {', `http {\n${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
        .map((kind) => `    ${kind}_temp_path ${directory}/${kind};\n`).join('')}`],
      ...(isRoot ? [] : [['user www-data;', '']]),
    ],
  },
};
export const terminators = Object.keys(kKinds);

export class Terminator {
  #directory;
  #process;
  #ended;
  /** What it has logged: requests too, once it has ended. */
  log = '';

  /**
   * kind: one of `terminators`. clients, api: addresses of the server. timeout: in place of the 75 s after which an
   * open WebSocket without traffic is closed.
   */
  static async start(kind, { clients, api, timeout = '75s' }) {
    const terminator = new Terminator();
    terminator.#directory = await mkdtemp(path.join(os.tmpdir(), `ringcast-e2e-${kind}-`));
    try {
      await terminator.#start(kKinds[kind], { clients, api, timeout });
    } catch (error) {
      await terminator.stop();
      throw error;
    }
    return terminator;
  }

  async #start({ file, command, changes }, places) {
    const directory = this.#directory;
    await chmod(directory, 0o755); // workers run as another user
    const port = await freePort();
    const pem = await this.#makeCertificate();
    let text = await readFile(path.join(sourceRoot, 'docs/terminators', file), 'utf8');
    for (const [from, to, times = 1] of changes({ directory, port, pem, ...places })) {
      const found = text.split(from).length - 1;
      if (found !== times) throw new Error(`${file}: "${from}" stands there ${found} times, not ${times}`);
      text = text.replaceAll(from, to);
    }
    const changed = path.join(directory, file);
    await writeFile(changed, text);

    const [program, ...args] = command(directory, changed);
    this.#process = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    const kill = () => this.#process.kill('SIGTERM'); // not -KILL: nginx would leave its workers
    process.once('exit', kill);
    this.#process.once('close', () => process.off('exit', kill));
    let over = null;
    this.#ended = once(this.#process, 'close').then(([code, signal]) => { over = code ?? signal; });
    this.#ended.catch((error) => { over = error; });
    this.#process.stderr.setEncoding('utf8').on('data', (more) => { this.log += more; });

    this.origin = `https://127.0.0.1:${port}`;
    this.url = `wss://127.0.0.1:${port}/ws`;
    await until(async () => {
      if (over !== null) throw new Error(`${program} ended (${over}):\n${this.log}`);
      const answer = await this.request('GET', '/ws').catch(() => ({}));
      return answer.status === 426;
    }, () => `${program} to reach the server:\n${this.log}`);
  }

  async #makeCertificate() {
    const [key, certificate, both] = ['key', 'certificate', 'both'].map((name) => path.join(this.#directory, `${name}.pem`));
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc',
      '-keyout', key, '-out', certificate, '-days', '1', '-subj', '/CN=ringcast test',
      '-addext', 'subjectAltName=IP:127.0.0.1'], { stdio: 'pipe' });
    this.ca = await readFile(certificate);
    await writeFile(both, Buffer.concat([this.ca, await readFile(key)]));
    return both;
  }

  /** One HTTPS request: its status, headers and body. */
  async request(method, route, headers = {}) {
    const request = https.request(this.origin + route, { method, headers, ca: this.ca, agent: false });
    request.end();
    const [response] = await within(once(request, 'response'), `an answer to ${method} ${route}`);
    const body = (await response.setEncoding('utf8').toArray()).join('');
    return { status: response.statusCode, headers: response.headers, body };
  }

  async stop() {
    if (this.#process?.pid) {
      this.#process.kill('SIGTERM');
      await within(this.#ended, () => `its end:\n${this.log}`);
      this.log += await readFile(path.join(this.#directory, 'access.log'), 'utf8').catch(() => '');
    }
    await rm(this.#directory, { recursive: true, force: true });
  }
}

async function freePort() {
  const probe = net.createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  return port;
}
