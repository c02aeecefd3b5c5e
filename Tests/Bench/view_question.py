"""Processor time of the gateway for each question to a view: `view_question.py SLUICE keep|close|echo tcp|unix SESSIONS EACH`.

`close` ends each connection after its answer, as gunicorn's sync workers do; `echo` is the same traffic without a view, for comparison.
Needs gcc for the view's server, view_question.c.
"""
import asyncio, os, subprocess, sys, time, socket, base64, pathlib, tempfile
exe, mode, place, sessions, each = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
home = pathlib.Path(tempfile.mkdtemp()); unix = place == "unix"
def free():
    s = socket.socket(); s.bind(("127.0.0.1", 0)); p = s.getsockname()[1]; s.close(); return p
port, vport = free(), free()
target = str(home / "view.sock") if unix else str(vport)
subprocess.run(["gcc", "-O2", "-o", str(home / "view"), str(pathlib.Path(__file__).with_suffix(".c"))], check=True)
view = subprocess.Popen([str(home / "view"), target, mode])
url = f"unix:{home}/view.sock:/ws/" if unix else f"http://127.0.0.1:{vport}/ws/"
consumer = "consumer: echo" if mode == "echo" else f"consumer: view\n        url: {url}\n        secret: 0123456789abcdef0123456789abcdef0123456789\n        on: [receive]"
app = "echo" if mode == "echo" else "view"
(home / "c.yaml").write_text(f"server: {{bind: '127.0.0.1:{port}', threads: 1}}\ninstalled_apps: [{app}]\nchannel_layers: {{default: {{backend: memory}}}}\napplications:\n  main:\n    websocket:\n      - path: ws/\n        {consumer}\n")
gw = subprocess.Popen([exe, "serve", str(home / "c.yaml")], stdout=open(home/"log","w"), stderr=subprocess.STDOUT)
def cpu(pid):
    f = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split(); return (int(f[11]) + int(f[12])) * 10.0
def cpun(pid):
    return sum(int(open(f"/proc/{pid}/task/{t}/schedstat").read().split()[0]) for t in os.listdir(f"/proc/{pid}/task")) / 1e6
mask = b"\0\0\0\0"; text = b'{"message": "hello"}'; frame = bytes([0x81, 0x80 | len(text)]) + mask + text
async def client(times):
    r, w = await asyncio.open_connection("127.0.0.1", port)
    w.write(f"GET /ws/ HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n\r\n".encode())
    h = await r.readuntil(b"\r\n\r\n"); assert b" 101 " in h, h
    return r, w
async def talk(rw, n):
    r, w = rw
    for _ in range(n):
        w.write(frame); h = await r.readexactly(2); await r.readexactly(h[1])
async def main():
    for _ in range(200):
        try: c0 = await client(0); break
        except OSError: await asyncio.sleep(0.05)
    cs = [c0] + [await client(0) for _ in range(sessions - 1)]
    await asyncio.gather(*(talk(c, 50) for c in cs))
    a, t = cpun(gw.pid), time.time()
    await asyncio.gather(*(talk(c, each) for c in cs))
    b, d = cpun(gw.pid), time.time() - t
    n = sessions * each
    print(f"{mode} {place} {sessions} sessions: {(b-a)*1000/n:.1f} us of processor per question, {n/d:.0f}/s")
try: asyncio.run(main())
finally: gw.kill(); view.kill(); print(open(home/"log").read()[-600:] if "-v" in sys.argv else "", end="")
