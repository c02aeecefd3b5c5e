// A WebSocket that comes back: when Sluice tells it to, and otherwise after random pauses that grow, but not after a final code.
const final = [1002, 1003, 1007, 1008, 1009, 4400, 4401, 4403, 4404];

// `address` gives the URL of each attempt, and `token` a token that is still good; both are asked every time.
function reconnecting(address, { token, opened, received, waiting, ended }) {
  let socket, timer, shown, pause = 500, renewed = false, stopped = false;
  async function connect() {
    let since = Infinity, fault = "no token";
    try {
      shown = await token?.();
      if (stopped) return;
      fault = "";
      socket = new WebSocket(address(), shown ? ["bearer." + shown] : []);
    } catch (error) {
      if (!stopped) fault ? again(1006, fault) : ended?.(1006, `${error}`);   // an address that is none
      return;
    }
    socket.onopen = () => { since = Date.now(); opened?.(); };
    socket.onmessage = ({ data }) => received(data);
    socket.onclose = ({ code, reason }) => {
      if (Date.now() - since > 5000) [pause, renewed] = [500, false];   // it was open for a while
      if (code === 4401 && token && !renewed) renewed = true;           // once more, with a new token
      else if (final.includes(code)) return ended?.(code, reason);
      again(code, reason);
    };
  }
  function again(code, reason) {
    const told = reason.match(/retry in ([\d.]+)s/);
    const wait = told ? 1000 * told[1] + 100 * Math.random() : pause * (0.5 + Math.random() / 2);
    if (!told) pause = Math.min(2 * pause, 30000);
    waiting?.(wait, code, reason);
    timer = setTimeout(connect, wait);
  }
  connect();
  return {
    get isOpen() { return socket?.readyState === WebSocket.OPEN; },
    send: (data) => socket.send(data),
    close() { stopped = true; clearTimeout(timer); if (socket) socket.onclose = null; socket?.close(); },
  };
}
