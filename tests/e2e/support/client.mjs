// A client on npm's `ws`, and what it got.
import { WebSocket } from './packages.mjs';
import { Inbox, within } from './waiting.mjs';

export class Client {
  messages = new Inbox(); // objects, without heartbeats
  pongs = new Inbox();    // payloads of pong frames, as text
  #ids = 0;

  static async connect(url, options = {}) {
    const client = new Client(url, options);
    await within(client.opened, 'the handshake');
    return client;
  }

  constructor(url, options) {
    this.socket = new WebSocket(url, options);
    this.opened = new Promise((resolve, reject) => this.socket.once('open', resolve).once('error', reject));
    /** { code, reason } of the close frame; 1006 if none came. */
    this.closed = new Promise((resolve) => {
      this.socket.once('close', (code, reason) => {
        this.messages.fail(new Error(`the connection closed: ${code} ${reason}`));
        resolve({ code, reason: reason.toString() });
      });
    });
    this.socket.on('upgrade', (response) => { this.handshake = response; });
    this.socket.on('error', () => {}); // `closed` tells
    this.socket.on('pong', (payload) => this.pongs.push(payload.toString()));
    this.socket.on('message', (payload, isBinary) => {
      const message = isBinary ? { binary: payload } : JSON.parse(payload);
      if (message.type !== 'ping') this.messages.push(message);
    });
  }

  send(message) {
    this.socket.send(JSON.stringify(message));
  }

  /** Sends with an id, and gives the ack's data. What comes before the ack is an error, and an error is one. */
  async ask(type, data) {
    const id = ++this.#ids;
    this.send({ type, id, data });
    const answer = await this.messages.next();
    if (answer.type !== 'ack' || answer.id !== id) throw new Error(`no ack ${id}: ${JSON.stringify(answer)}`);
    return answer.data;
  }

  /** How the connection ended, from either side. */
  end() {
    return within(this.closed, 'the close');
  }

  close(code = 1000, reason = '') {
    this.socket.close(code, reason);
    return this.end();
  }

  /** As a lost network does: no close frame. */
  async vanish() {
    this.socket.terminate();
    await this.end();
  }
}
