"""Small clients that send exactly the bytes they are given."""

import base64
import os
import select
import socket
import socketserver
import struct
import threading

KEY = base64.b64encode(b"0123456789abcdef").decode()


def ready(files: list, seconds: float, events: int = select.POLLIN) -> list:
    """Waits for some of the files, and returns those that can be read, or what else is asked for. Their numbers may be of any size."""
    poll = select.poll()
    for file in files:
        poll.register(file, events)
    found = {number for number, _ in poll.poll(1000 * seconds)}
    return [file for file in files if (file if isinstance(file, int) else file.fileno()) in found]


def connect(port: int, timeout: float = 20) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=timeout)


def handshake(path: str, *extra: str, version: str = "HTTP/1.1", leave_out: str = "", host: str = "localhost") -> bytes:
    lines = [
        f"GET {path} {version}",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {KEY}",
        "Sec-WebSocket-Version: 13",
        *extra,
    ]
    kept = [line for line in lines if not (leave_out and line.startswith(leave_out))]
    return ("\r\n".join(kept) + "\r\n\r\n").encode()


def read_head(sock: socket.socket) -> str:
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        byte = sock.recv(1)
        if not byte:
            break
        data += byte
    return data.decode()


def status_of(port: int, request: bytes) -> int:
    with connect(port) as sock:
        sock.sendall(request)
        return int(read_head(sock).split(" ")[1])


def open_session(port: int, path: str, *extra: str) -> socket.socket:
    sock = connect(port)
    sock.sendall(handshake(path, *extra))
    head = read_head(sock)
    assert head.startswith("HTTP/1.1 101"), head
    return sock


def frame(opcode: int, payload: bytes, final: bool = True) -> bytes:
    head = bytes([(0x80 if final else 0) | opcode])
    if len(payload) < 126:
        head += bytes([0x80 | len(payload)])
    elif len(payload) < 65536:
        head += b"\xfe" + struct.pack("!H", len(payload))
    else:
        head += b"\xff" + struct.pack("!Q", len(payload))
    mask = os.urandom(4)
    return head + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))


def read_exactly(sock: socket.socket, count: int) -> bytes:
    # In place, because joining the segments of megabytes would take longer than receiving them.
    data, done = bytearray(count), 0
    while done < count:
        part = sock.recv_into(memoryview(data)[done:])
        assert part, "the connection ended"
        done += part
    return bytes(data)


def read_raw(sock: socket.socket) -> tuple[int, bytes]:
    """The whole first byte of a frame, and its payload as it came."""
    first, second = read_exactly(sock, 2)
    length = second & 0x7F
    if length == 126:
        (length,) = struct.unpack("!H", read_exactly(sock, 2))
    elif length == 127:
        (length,) = struct.unpack("!Q", read_exactly(sock, 8))
    return first, read_exactly(sock, length)


def read_frame(sock: socket.socket) -> tuple[int, bytes]:
    """A frame's opcode and payload."""
    first, payload = read_raw(sock)
    return first & 0x0F, payload


def read_close(sock: socket.socket) -> tuple[int, str]:
    """Reads up to the close frame: its code and reason."""
    while True:
        opcode, payload = read_frame(sock)
        if opcode == 8:
            return struct.unpack("!H", payload[:2])[0], payload[2:].decode()


class Server(socketserver.ThreadingTCPServer):
    """A server for one test that serves each connection on a thread, from its creation until `shutdown`."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, handler: type[socketserver.BaseRequestHandler]):
        super().__init__(("127.0.0.1", 0), handler)
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def handle_error(self, request, client_address):
        pass  # a test cut the connection
