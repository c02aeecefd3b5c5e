"""OpenSSL's client through its C interface, for what Python's `ssl` cannot send: key updates."""

import ctypes
import ctypes.util
import socket
import struct

_ssl = ctypes.CDLL(ctypes.util.find_library("ssl"))
for _name, _result, _arguments in [
    ("TLS_client_method", ctypes.c_void_p, []),
    ("SSL_CTX_new", ctypes.c_void_p, [ctypes.c_void_p]),
    ("SSL_CTX_free", None, [ctypes.c_void_p]),
    ("SSL_new", ctypes.c_void_p, [ctypes.c_void_p]),
    ("SSL_free", None, [ctypes.c_void_p]),
    ("SSL_set_fd", ctypes.c_int, [ctypes.c_void_p, ctypes.c_int]),
    ("SSL_connect", ctypes.c_int, [ctypes.c_void_p]),
    ("SSL_key_update", ctypes.c_int, [ctypes.c_void_p, ctypes.c_int]),
    ("SSL_do_handshake", ctypes.c_int, [ctypes.c_void_p]),
    ("SSL_write", ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]),
    ("SSL_read", ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]),
]:
    _function = getattr(_ssl, _name)
    _function.restype, _function.argtypes = _result, _arguments


class OpenSSLClient:
    """A connection with TLS 1.3 that trusts anybody; blocking."""

    def __init__(self, port: int, receive_buffer: int | None = None, send_buffer: int | None = None):
        self.sock = socket.socket()
        # Before the connection, because what the peer may send at once is settled with it.
        for option, size in [(socket.SO_RCVBUF, receive_buffer), (socket.SO_SNDBUF, send_buffer)]:
            if size:
                self.sock.setsockopt(socket.SOL_SOCKET, option, size)
        self.sock.connect(("127.0.0.1", port))
        # OpenSSL makes plain system calls, so the timeout has to be the kernel's.
        self.wait_for_input_at_most(20)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 20, 0))
        self._context = _ssl.SSL_CTX_new(_ssl.TLS_client_method())
        self._ssl = _ssl.SSL_new(self._context)
        _ssl.SSL_set_fd(self._ssl, self.sock.fileno())
        assert _ssl.SSL_connect(self._ssl) == 1

    def wait_for_input_at_most(self, seconds: float) -> None:
        """In one call of `receive`."""
        time = struct.pack("ll", int(seconds), int(seconds % 1 * 1_000_000))
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, time)

    def update_keys(self, wants_answer: bool = False) -> bool:
        """Sends one KeyUpdate. Returns whether it could be sent."""
        return _ssl.SSL_key_update(self._ssl, int(wants_answer)) == 1 and _ssl.SSL_do_handshake(self._ssl) == 1

    def send(self, data: bytes) -> bool:
        return _ssl.SSL_write(self._ssl, data, len(data)) == len(data)

    def receive(self, size: int = 4096) -> bytes:
        """Empty at the end, or when the connection failed."""
        buffer = ctypes.create_string_buffer(size)
        count = _ssl.SSL_read(self._ssl, buffer, size)
        return buffer.raw[: max(0, count)]

    def close(self) -> None:
        self.sock.close()
        _ssl.SSL_free(self._ssl)
        _ssl.SSL_CTX_free(self._context)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
