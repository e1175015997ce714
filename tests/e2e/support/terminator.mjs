// HAProxy, nginx and Caddy as docs/terminators/ has them, in front of a server, with a certificate made for it.
import { execFileSync, spawn } from 'node:child_process';
import { X509Certificate, createHash, createPublicKey } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import https from 'node:https';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import tls from 'node:tls';

import { sourceRoot } from './packages.mjs';
import { until, within } from './waiting.mjs';

const isRoot = process.getuid() === 0;

// What a test changes of a configuration: its places, and the times that it would wait for. Everything else is
// what an operator gets.
const kKinds = {
  haproxy: {
    file: 'haproxy.cfg',
    command: (directory, file) => ['/usr/sbin/haproxy', '-W', '-db', '-f', file],
    reload: (child) => child.kill('SIGUSR2'),
    changes: ({ port, clients, api, pem, timeout }) => [
      ['bind :::443 v4v6 ', `bind 127.0.0.1:${port},[::1]:${port} `],
      ['/etc/ssl/private/ringcast.pem', pem],
      ['127.0.0.1:5000', clients],
      ['check port 5001', `check port ${api.split(':')[1]}`],
      ['log /dev/log local0', 'log stderr format raw local0'],
      ['timeout tunnel 75s', `timeout tunnel ${timeout}`],
      ['inter 2s', 'inter 50ms'],
      // Else an answer must come within `inter`, and a machine that is busy for 100 ms has no server.
      ['timeout connect 5s', 'timeout connect 5s\n    timeout check 5s'],
      ['maxconn 100000', 'maxconn 200'],
      ...(isRoot ? [] : [['user haproxy', ''], ['group haproxy', '']]),
    ],
  },
  nginx: {
    file: 'nginx.conf',
    command: (directory, file) => ['/usr/sbin/nginx', '-p', directory, '-c', file, '-e', 'stderr', '-g', 'daemon off;'],
    reload: (child) => child.kill('SIGHUP'),
    changes: ({ directory, port, clients, api, pem, timeout }) => [
      ['listen 443 ssl', `listen 127.0.0.1:${port} ssl`],
      ['listen [::]:443 ssl', `listen [::1]:${port} ssl`],
      ['/etc/ssl/private/ringcast.pem', pem, 2],
      ['unix:/run/ringcast/client.sock', clients],
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
  caddy: {
    file: 'Caddyfile',
    command: (directory, file) => ['/usr/bin/caddy', 'run', '--adapter', 'caddyfile', '--config', file],
    reload: (child, file, environment) => execFileSync('/usr/bin/caddy',
      ['reload', '--force', '--adapter', 'caddyfile', '--config', file], { env: environment, stdio: 'pipe' }),
    changes: ({ directory, port, clients, api, pem, timeout }) => [
      ['https://:443 {', `https://127.0.0.1:${port}, https://[::1]:${port} {\n\tbind 127.0.0.1 ::1`],
      ['/etc/ssl/private/ringcast.pem', pem, 2],
      ['127.0.0.1:5000', clients],
      ['health_port 5001', `health_port ${api.split(':')[1]}`],
      ['health_interval 2s', 'health_interval 50ms'],
      ['/var/log/caddy/ringcast.log', `${directory}/access.log`],
      ['read_timeout 75s', `read_timeout ${timeout}`],
      ['write_timeout 75s', `write_timeout ${timeout}`],
      ['auto_https off', `auto_https off\n\tadmin unix/${directory}/admin.sock`],
    ],
  },
};

/** The server's side of a recipe, with the places of a test: what Server.start() takes as `config`. */
export async function serverConfig(kind) {
  const text = await readFile(path.join(sourceRoot, 'docs/terminators', `${kind}.toml`), 'utf8');
  return (directory) => {
    // Of two strangers' users: in production nginx's is in the server's group.
    const ours = isRoot && kind === 'nginx' ? 'mode = "0660"\ngroup = "www-data"' : 'mode = "0660"';
    return text.replace('127.0.0.1:5000', '127.0.0.1:0')
      .replace('unix:/run/ringcast/client.sock', `unix:${directory}/client.sock`).replace('mode = "0660"', ours);
  };
}

export const terminators = Object.keys(kKinds);

export class Terminator {
  #directory;
  #kind;
  #file;
  #process;
  #ended;
  /** What it has logged: requests too, once it has ended. */
  log = '';

  /**
   * kind: one of `terminators`. clients, api: addresses of the server. port: its own; a free one. timeout: in place of the 75 s after which an
   * open WebSocket without traffic is closed.
   */
  static async start(kind, { clients, api, port, timeout = '75s' }) {
    const terminator = new Terminator();
    terminator.#directory = await mkdtemp(path.join(os.tmpdir(), `ringcast-e2e-${kind}-`));
    try {
      await terminator.#start(kKinds[kind], { clients, api, timeout, port: port ?? await freePort() });
    } catch (error) {
      await terminator.stop();
      throw error;
    }
    return terminator;
  }

  async #start(kind, places) {
    const { file, changes } = kind;
    this.#kind = kind;
    const directory = this.#directory;
    await chmod(directory, 0o755); // workers run as another user
    const { port } = places;
    const pem = await this.#makeCertificate(true);
    let text = await readFile(path.join(sourceRoot, 'docs/terminators', file), 'utf8');
    for (const [from, to, times = 1] of changes({ directory, pem, ...places })) {
      const found = text.split(from).length - 1;
      if (found !== times) throw new Error(`${file}: "${from}" stands there ${found} times, not ${times}`);
      text = text.replaceAll(from, to);
    }
    this.#file = path.join(directory, file);
    await writeFile(this.#file, text);

    this.origin = `https://127.0.0.1:${port}`;
    this.url = `wss://127.0.0.1:${port}/ws`;
    this.urlByV6 = `wss://[::1]:${port}/ws`;
    await this.#run();
  }

  get #environment() {
    return { ...process.env, HOME: this.#directory, XDG_CONFIG_HOME: this.#directory, XDG_DATA_HOME: this.#directory };
  }

  async #run() {
    const [program, ...args] = this.#kind.command(this.#directory, this.#file);
    this.#process = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'], env: this.#environment });
    const kill = () => this.#process.kill('SIGTERM'); // not -KILL: nginx would leave its workers
    process.once('exit', kill);
    this.#process.once('close', () => process.off('exit', kill));
    let over = null;
    this.#ended = once(this.#process, 'close').then(([code, signal]) => { over = code ?? signal; });
    this.#ended.catch((error) => { over = error; });
    this.#process.stderr.setEncoding('utf8').on('data', (more) => { this.log += more; });

    await until(async () => {
      if (over !== null) throw new Error(`${program} ended (${over}):\n${this.log}`);
      const answer = await this.request('GET', '/ws').catch(() => ({}));
      return answer.status === 426;
    }, () => `${program} to reach the server:\n${this.log}`);
  }

  // Certificate and key in one file. A new certificate for the same key, once there is one.
  async #makeCertificate(newKey) {
    const [key, certificate, both] = ['key', 'certificate', 'both'].map((name) => path.join(this.#directory, `${name}.pem`));
    const how = newKey ? ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc', '-keyout', key] : ['-key', key];
    execFileSync('openssl', ['req', '-x509', ...how, '-out', certificate, '-days', '1', '-subj', '/CN=ringcast test',
      '-addext', 'subjectAltName=IP:127.0.0.1,IP:::1'], { stdio: 'pipe' });
    this.ca = await readFile(certificate);
    this.trustedKey = createHash('sha256')
      .update(createPublicKey(this.ca).export({ type: 'spki', format: 'der' })).digest('base64');
    await writeFile(both, Buffer.concat([this.ca, await readFile(key)]));
    return both;
  }

  /** Renews the certificate, as one does, and reloads; until it is the new one that a client sees. */
  async reload() {
    await this.#makeCertificate(false);
    this.#kind.reload(this.#process, this.#file, this.#environment);
    const renewed = new X509Certificate(this.ca).fingerprint256;
    await until(async () => await this.#shownFingerprint().catch(() => '') === renewed,
      () => `the new certificate:\n${this.log}`);
  }

  async #shownFingerprint() {
    const socket = tls.connect({ host: '127.0.0.1', port: new URL(this.origin).port, rejectUnauthorized: false });
    try {
      await within(once(socket, 'secureConnect'), 'a TLS connection');
      return socket.getPeerCertificate().fingerprint256;
    } finally {
      socket.destroy();
    }
  }

  /** Ends it, its clients' connections too, and starts it again at the same place. */
  async restart() {
    await this.#end();
    await this.#run();
  }

  /** One HTTPS request: its status, headers and body. */
  async request(method, route, headers = {}) {
    const request = https.request(this.origin + route, { method, headers, ca: this.ca, agent: false });
    request.end();
    const [response] = await within(once(request, 'response'), `an answer to ${method} ${route}`);
    const body = (await response.setEncoding('utf8').toArray()).join('');
    return { status: response.statusCode, headers: response.headers, body };
  }

  async #end() {
    this.#process.kill('SIGTERM');
    await within(this.#ended, () => `its end:\n${this.log}`);
  }

  async stop() {
    if (this.#process?.pid) {
      await this.#end();
      this.log += await readFile(path.join(this.#directory, 'access.log'), 'utf8').catch(() => '');
    }
    await rm(this.#directory, { recursive: true, force: true });
  }
}

/** A port that nobody listens on at this moment. */
export async function freePort() {
  const probe = net.createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  return port;
}
