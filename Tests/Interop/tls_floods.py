"""Floods of what costs a server with TLS much, from a separate process."""

import multiprocessing
import os
import socket
import ssl
import time

from clients import frame, handshake
from openssl_client import OpenSSLClient

HELLO = frame(0x1, b"hello")
ECHO = b"\x81\x05hello"


def opened(port: int, **options) -> OpenSSLClient:
    client = OpenSSLClient(port, **options)
    assert client.send(handshake("/ws/echo/"))
    assert client.receive().startswith(b"HTTP/1.1 101")
    return client


def flood(pipe, port: int, kind: str, count: int, niceness: int) -> None:
    os.nice(niceness)
    if kind == "handshakes":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        raw = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(count)]
        clients = [context.wrap_socket(sock, do_handshake_on_connect=False) for sock in raw]
        for client in clients:
            client.setblocking(False)
        pipe.send("ready")
        pipe.recv()
        start = time.monotonic()
        left = clients
        while left:
            waiting = []
            for client in left:
                try:
                    client.do_handshake()
                except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    waiting.append(client)
            left = waiting
    else:
        clients = [opened(port) for _ in range(4)]
        pipe.send("ready")
        pipe.recv()
        start = time.monotonic()
        for _ in range(count):
            for client in clients:
                for _ in range(30):
                    assert client.update_keys()
                assert client.send(HELLO)
        for client in clients:
            got = b""
            while len(got) < count * len(ECHO):
                got += client.receive(1 << 16)
    pipe.send(time.monotonic() - start)


def begun(port: int, kind: str, count: int, niceness: int = 0):
    """The flood's pipe, which it begins at a word from and sends the seconds to that it took, and its process."""
    context = multiprocessing.get_context("spawn")
    pipe, other = context.Pipe()
    process = context.Process(target=flood, args=(other, port, kind, count, niceness), daemon=True)
    process.start()
    assert pipe.poll(120) and pipe.recv() == "ready"
    return pipe, process
