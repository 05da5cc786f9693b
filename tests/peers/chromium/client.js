// What the tests' jobs use in the page: a connection whose events can be awaited, and data to send.

window.connect = (url, protocols = [], binaryType = "arraybuffer") => {
  const ws = new WebSocket(url, protocols);
  ws.binaryType = binaryType;
  const messages = [];
  const waiting = [];
  ws.onmessage = ({ data }) => (waiting.length ? waiting.shift()(data) : messages.push(data));
  const opened = new Promise((resolve) => {
    ws.onopen = () => resolve("open");
    ws.onerror = () => resolve("error");
  });
  const closed = new Promise((resolve) => {
    ws.onclose = ({ code, reason, wasClean }) => resolve([code, reason, wasClean]);
  });
  const recv = () => (messages.length ? Promise.resolve(messages.shift()) : new Promise((r) => waiting.push(r)));
  return { ws, opened, closed, recv };
};

// Bytes that do not compress (xorshift32), or that do.
window.bytes = (size, random) => {
  const data = new Uint8Array(size);
  let state = 0x9e3779b9;
  for (let i = 0; i < size; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    data[i] = random ? state : i % 7;
  }
  return data;
};

window.same = (one, two) => one.length === two.length && one.every((byte, i) => byte === two[i]);
