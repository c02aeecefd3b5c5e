"""Servers of the tests that speak no HTTP by themselves."""

import contextlib
import socket
import threading


class Listener:
    """A server with a thread for each connection; `serve` has the connection until it returns."""

    def __init__(self, port: int = 0, server: socket.socket | None = None):
        """`server` listens already, perhaps on something else than a port."""
        self.server = server or socket.create_server(("127.0.0.1", port), backlog=512)
        self.port, self.connections = self.server.getsockname()[1], []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.server.accept()
            except OSError:
                return
            self.connections.append(sock)
            threading.Thread(target=self._run, args=[sock], daemon=True).start()

    def _run(self, sock: socket.socket) -> None:
        # The other side may go at any time, and the test may end.
        with sock, contextlib.suppress(OSError):
            self.serve(sock)

    def serve(self, sock: socket.socket) -> None:
        raise NotImplementedError

    def url(self, path: str = "") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def drop(self) -> None:
        """Ends its connections."""
        for sock in list(self.connections):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Ends the listener and its connections; it may have ended already."""
        with contextlib.suppress(OSError):
            self.server.shutdown(socket.SHUT_RDWR)
        self.drop()
        self.server.close()


class Cable(Listener):
    """Passes bytes on to a server, whatever they are. `cut(sock)` may end a connection, or hold it up, when its first bytes have come."""

    def __init__(self, to: int):
        self.to, self.cut, self.far = to, lambda sock: False, []
        super().__init__()

    def serve(self, sock: socket.socket) -> None:
        first = sock.recv(65536)
        if not first or self.cut(sock):
            return
        with socket.create_connection(("127.0.0.1", self.to), timeout=60) as server:
            self.far.append(server)
            server.sendall(first)
            back = threading.Thread(target=self._pass, args=[server, sock], daemon=True)
            back.start()
            self._pass(sock, server)
            back.join()

    def drop(self) -> None:
        super().drop()
        for sock in list(self.far):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    @staticmethod
    def _pass(here: socket.socket, there: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := here.recv(65536):
                there.sendall(piece)
        with contextlib.suppress(OSError):
            there.shutdown(socket.SHUT_WR)
