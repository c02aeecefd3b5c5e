"""Clients that send faster than they may, and go away."""

import os

from clients import frame, open_session, read_frame
from redis_stack import wait_until

ROUTES = """
installed_apps: [echo]
limits: {ping: 2s}
applications:
  main:
    websocket:
      - {path: ws/, consumer: echo, limits: {rate: 1/h}}
"""


def test_whoever_has_sent_too_much_and_is_gone_keeps_no_place(start):
    gateway = start(text=ROUTES)

    def descriptors() -> int:
        return len(os.listdir(f"/proc/{gateway.process.pid}/fd"))

    before = descriptors()
    for _ in range(20):
        sock = open_session(gateway.port, "/ws/")
        sock.sendall(frame(1, b"one") + frame(1, b"two") + frame(8, b"\x03\xe8"))
        assert read_frame(sock) == (1, b"one")
        sock.close()
    wait_until(lambda: descriptors() <= before + 1, 20)
