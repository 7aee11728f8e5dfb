/* The connection to the server. It is opened again until that succeeds. */

const [FIRST_DELAY, LONGEST_DELAY] = [500, 10_000]; // milliseconds
const [PING_AFTER, LOST_AFTER] = [10_000, 30_000]; // milliseconds without a message

class Connection {
  /** `receive` is called with each message, `changed` with "open", or with "lost" and the delay before the next attempt. */
  constructor(address, { receive, changed }) {
    Object.assign(this, { address, receive, changed, waiting: new Map(), number: 0, delay: FIRST_DELAY, heard: 0 });
    setInterval(() => this.#watch(), 2000);
    const soon = () => document.visibilityState === "visible" && this.#retryNow();
    document.addEventListener("visibilitychange", soon);
    addEventListener("online", soon);
    this.#open();
  }

  /** Send a command, and return the reply: whether it succeeded, and a text. */
  send(command, details = {}) {
    if (this.socket?.readyState !== WebSocket.OPEN) return Promise.resolve({ ok: false, text: "The page is not connected." });
    const id = ++this.number;
    const reply = new Promise((resolve) => this.waiting.set(id, resolve));
    this.socket.send(JSON.stringify({ id, command, ...details }));
    return reply;
  }

  #open() {
    clearTimeout(this.retry);
    const socket = (this.socket = new WebSocket(this.address));
    this.heard = performance.now();
    socket.addEventListener("message", (event) => socket === this.socket && this.#take(event));
    socket.addEventListener("close", () => socket === this.socket && this.#lost());
  }

  #take(event) {
    this.heard = performance.now();
    const message = JSON.parse(event.data);
    if (message.type === "reply") {
      this.waiting.get(message.id)?.(message);
      this.waiting.delete(message.id);
      return;
    }
    if (message.type === "hello") {
      this.delay = FIRST_DELAY;
      this.changed("open");
    }
    this.receive(message);
  }

  #lost() {
    for (const resolve of this.waiting.values()) resolve({ ok: false, text: "The connection was lost." });
    this.waiting.clear();
    this.socket = null;
    this.changed("lost", this.delay);
    this.retry = setTimeout(() => this.#open(), this.delay);
    this.delay = Math.min(this.delay * 1.7, LONGEST_DELAY);
  }

  #retryNow() {
    if (this.socket) return;
    this.delay = FIRST_DELAY;
    this.#open();
  }

  /** Ask a silent server for a sign of life, and give it up after a while: a computer that slept has a dead connection. */
  #watch() {
    if (!this.socket) return;
    const silent = performance.now() - this.heard;
    if (silent > LOST_AFTER) {
      const { socket } = this;
      this.#lost();
      socket.close();
    } else if (silent > PING_AFTER) void this.send("ping");
  }
}
