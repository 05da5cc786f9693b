// Plays a scenario (tests/python/support/scenarios.py) and answers its trace, as tests/python/support/traces.py writes it.
// What the page adds to the browser's own behaviour: nothing but the lines.

const STATES = ["connecting", "open", "closing", "closed"];
const LATER = 100; // ms after construction
const SETTLE = 30; // ms in which nothing may follow a close

window.playScenario = ({ url, protocols, actions, propertyLast }) =>
  new Promise((resolve) => {
    const trace = [];
    let ws;
    const state = () => STATES[ws.readyState];
    const act = (trigger) => {
      for (const [name, ...args] of actions[trigger] ?? []) {
        if (name === "throw") throw new Error("thrown by a handler, as the scenario wants");
        const before = ws.bufferedAmount;
        let line = `${name}(${args.map((value) => JSON.stringify(value)).join(", ")}): `;
        try {
          if (name === "send") ws.send(...args);
          else if (name === "sendBytes") ws.send(new ArrayBuffer(args[0]));
          else if (name === "listen") ws.onmessage = args[0];
          else ws.close(...args);
        } catch (error) {
          line += `raises ${error.name}, `;
        }
        const grown = ws.bufferedAmount - before;
        trace.push(line + state() + (state().startsWith("clos") && grown ? `, ${grown} more buffered` : ""));
      }
    };
    try {
      ws = new WebSocket(url, protocols);
    } catch (error) {
      resolve([`new WebSocket: raises ${error.name}`]);
      return;
    }
    ws.binaryType = "arraybuffer";
    ws.addEventListener("open", () => {
      trace.push(`open: ${state()}, protocol "${ws.protocol}"`);
      act("open");
    });
    ws.addEventListener("message", ({ data }) => {
      trace.push(`message: ${state()}, ${typeof data === "string" ? `"${data}"` : `${data.byteLength} bytes`}`);
      act("message");
    });
    ws.addEventListener("error", () => {
      trace.push(`error: ${state()}`);
      act("error");
    });
    ws.addEventListener("close", ({ code, reason, wasClean }) => {
      trace.push(`close: ${state()}, ${code} "${reason}", ${wasClean ? "clean" : "not clean"}`);
      setTimeout(() => resolve(trace), SETTLE);
      act("close");
    });
    if (propertyLast) ws.onmessage = () => trace.push("onmessage");
    act("start");
    setTimeout(() => act("later"), LATER);
  });
