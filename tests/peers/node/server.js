// A server on the `ws` library. Its options are argv[2] (JSON); it writes what happens as JSON lines. A message "do …"
// is an order, anything else is echoed.
"use strict";
const { WebSocketServer } = require("ws");

const say = (event, ...values) => console.log(JSON.stringify([event, ...values]));
const server = new WebSocketServer({ host: "127.0.0.1", port: 0, ...JSON.parse(process.argv[2] ?? "{}") }, () =>
  say("listening", server.address().port),
);

server.on("connection", (ws, request) => {
  say("connection", ws.extensions, ws.protocol, request.headers["sec-websocket-extensions"] ?? "");
  ws.on("ping", (data) => say("ping", data.toString()));
  ws.on("pong", (data) => say("pong", data.toString()));
  ws.on("close", (code, reason) => say("close", code, reason.toString()));
  ws.on("error", (error) => say("error", error.code ?? error.message));
  ws.on("message", (data, binary) => {
    if (binary || !data.toString().startsWith("do ")) {
      ws.send(data, { binary });
      return;
    }
    const [order, ...values] = JSON.parse(data.toString().slice(3));
    const orders = {
      close: () => ws.close(...values),
      terminate: () => ws.terminate(),
      ping: () => ws.ping(values[0]),
      fragments: () =>
        values.forEach((piece, n) => {
          ws.send(piece, { fin: n === values.length - 1 });
          ws.ping(`${n}`);
        }),
    };
    orders[order]();
  });
});
