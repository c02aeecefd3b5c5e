"""What compression costs: the server's time for each delivery of a broadcast, with it and without, and the memory of idle sessions.

    .build/interop/venv/bin/python Tests/Interop/bench_compression.py [ROUNDS]

Rounds alternate between the kinds, so that all see the same machine. The server is pinned to one processor and the generator to
another, where there are two. Not a part of `make test`.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

from clients import connect, frame, handshake, read_head
from conftest import SLUICE, Gateway
from test_compression import deflate, packed, read_raw

ROUTES = """
installed_apps: [echo, broadcast]
channel_layers: {default: {backend: memory}}
server: {threads: 1}
limits: {compression_memory: 1GiB, ping: none}
applications:
  main:
    websocket:
      - {path: news/plain/, consumer: broadcast, group: plain}
      - {path: news/fast/, consumer: broadcast, group: fast, compression: {level: 1}}
      - {path: news/deflated/, consumer: broadcast, group: deflated, compression: true}
      - {path: idle/plain/, consumer: echo}
      - {path: idle/alone/, consumer: echo, compression: true}
      - {path: idle/kept-9/, consumer: echo, compression: {context_takeover: true, window: 9}}
      - {path: idle/kept-12/, consumer: echo, compression: {context_takeover: true, window: 12}}
      - {path: idle/kept-15/, consumer: echo, compression: {context_takeover: true}}
"""
SUBSCRIBERS, RATE, SECONDS = 1000, 40, 3
# Sessions that are measured, and earlier sessions, with which the process takes the memory that all share.
IDLE, WARM_UP = 500, 100


def document(size: int) -> str:
    """JSON as an API sends it, with a place for the generator's stamp."""
    orders = []
    while True:
        number = len(orders)
        order = {
            "id": 48_211 + 37 * number, "symbol": f"AB{number * 7 % 90 + 10}", "side": "buy" if number % 3 else "sell",
            "price": round(101.17 + number * 1.37, 2), "quantity": number * 113 % 900, "open": number % 2 == 0,
        }
        text = json.dumps({"type": "orders", "sequence": "{body}", "orders": [*orders, order]})
        room = size - len(text) + len("{body}") - 32
        if room < 0:
            return json.dumps({"type": "orders", "sequence": "{body}", "orders": orders})
        orders.append(order)


def pinned(processor: int) -> list[str]:
    return ["taskset", "-c", str(processor)] if (os.cpu_count() or 1) > 1 else []


def fan_out(gateway: Gateway, path: str, *options: str) -> dict:
    command = [*pinned(1), SLUICE, "bench", "fanout", "--connections", SUBSCRIBERS, "--rate", RATE, "--seconds", SECONDS]
    command += ["--size", 1024, "--template", document(1024), "--pid", gateway.process.pid, "--format", "json", "--quiet"]
    done = subprocess.run([*map(str, command), *options, gateway.ws(path)], capture_output=True, text=True, timeout=60)
    result = json.loads(done.stdout)
    assert result["is_good"], result
    return result


def deliveries(gateway: Gateway, rounds: int) -> None:
    kinds = {"plain": ("/news/plain/",), "level 1": ("/news/fast/", "--compress"), "level 6": ("/news/deflated/", "--compress")}
    found: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(rounds):
        for name, options in kinds.items():
            found[name].append(fan_out(gateway, *options)["server"]["us_per_operation"])
    plain = statistics.median(found["plain"])
    for name, times in found.items():
        ratios = [time / other for time, other in zip(times, found["plain"])]
        print(
            f"{name:8} {statistics.median(times):6.2f} us of the server for each delivery ({min(times):.2f} to {max(times):.2f}), "
            f"{statistics.median(times) / plain:.2f} x, median of the rounds' ratios {statistics.median(ratios):.2f} x"
        )


def idle(gateway: Gateway, path: str, offer: str) -> float:
    """Bytes of each of many sessions that have echoed one message of 4 KiB and then wait."""
    message = document(4096).encode()
    before, socks = 0, []
    for number in range(WARM_UP + IDLE):
        if number == WARM_UP:
            before = gateway.resident_kib
        sock = connect(gateway.port)
        sock.sendall(handshake(path, *([f"Sec-WebSocket-Extensions: {offer}"] if offer else [])))
        head = read_head(sock)
        assert ("permessage-deflate" in head) == bool(offer), head
        sock.sendall(packed(0xC2, deflate(message, 9)) if offer else frame(2, message))
        assert read_raw(sock)[0] == (0xC2 if offer else 0x82)
        socks.append(sock)
    size = (gateway.resident_kib - before) * 1024 / IDLE
    for sock in socks:
        sock.close()
    return size


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "routes.yaml"
        file.write_text(ROUTES)
        gateway = Gateway(file)
        try:
            if pinned(0):
                subprocess.run(["taskset", "-a", "-p", "-c", "0", str(gateway.process.pid)], check=True, stdout=subprocess.DEVNULL)
            template = document(1024)
            # What the generator makes of it, but for the stamp.
            body = "".join(chr(ord("a") + index % 26) for index in range(1024 - len(template) + len("{body}")))
            text = template.replace("{body}", body).encode()
            print(f"{SUBSCRIBERS} sessions, {RATE} broadcasts of {len(text)} bytes of JSON a second (about {len(deflate(text))} deflated)")
            deliveries(gateway, rounds)
        finally:
            gateway.stop()
        offer = "permessage-deflate; client_max_window_bits"
        for path in ["plain", "alone", "kept-9", "kept-12", "kept-15"]:
            gateway = Gateway(file)
            try:
                print(f"{path:8} {idle(gateway, f'/idle/{path}/', offer if path != 'plain' else ''):9.0f} bytes for each idle session")
            finally:
                gateway.stop()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
