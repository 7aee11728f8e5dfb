/* The connection of the page. */

const address = new URL("live", location.href);
address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
const connection = new Connection(address.href, {
  receive: (message) => RECEIVE[message.type]?.(message),
  changed(status, delay) {
    shown.connected = status === "open";
    document.body.dataset.connection = status;
    if (status === "lost") banner(...lostText(delay));
    paint();
  },
});
document.documentElement.dataset.ready = "";
