// A client on the `ws` library: argv[2] is the URL, argv[3] its options and argv[4] what it does once open (JSON).
// Answers what happened as JSON lines, and ends with the connection.
"use strict";
const { WebSocket } = require("ws");
const { createHash } = require("crypto");

const say = (event, ...values) => console.log(JSON.stringify([event, ...values]));
const [url, options, steps] = [process.argv[2], JSON.parse(process.argv[3]), JSON.parse(process.argv[4])];
const { protocols, ...rest } = options;
const ws = new WebSocket(url, protocols ?? [], rest);

const noise = (size) => {
  let block = createHash("sha256").update(`${size}`).digest();
  const blocks = [];
  for (let n = 0; n < size; n += block.length) blocks.push((block = createHash("sha256").update(block).digest()));
  return Buffer.concat(blocks).subarray(0, size);
};

ws.on("open", () => {
  say("open", ws.extensions, ws.protocol);
  for (const [step, ...values] of steps) {
    if (step === "fragments") values.forEach((piece, n) => ws.send(piece, { fin: n === values.length - 1 }));
    else if (step === "repeat") ws.send(values[0].repeat(values[1]));
    else if (step === "noise") ws.send(noise(values[0]));
    else if (step === "zeros") ws.send(Buffer.alloc(values[0]));
    else ws[step](...values);
  }
});
ws.on("message", (data, binary) => {
  const digest = data.equals(noise(data.length)) ? "noise" : data.every((byte) => byte === 0) ? "zeros" : "other";
  say("message", binary ? `${data.length} ${digest}` : data.toString());
});
ws.on("ping", (data) => say("ping", data.toString()));
ws.on("pong", (data) => say("pong", data.toString()));
ws.on("close", (code, reason) => say("close", code, reason.toString()));
ws.on("error", (error) => say("error", error.code ?? error.message));
ws.on("unexpected-response", (_request, response) => {
  say("refused", response.statusCode);
  process.exit();
});
