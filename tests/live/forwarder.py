"""A TCP forwarder that can be cut: the database server is there or not, as a test wants it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator


class Forwarder:
    """Listens on a port of its own and passes everything on, until `cut`; then refuses, until `mend`."""

    def __init__(self, host: str, port: int) -> None:
        self._to = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._is_cut = self._is_closed = False
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def cut(self) -> None:
        self._is_cut = True
        with self._lock:
            for one in [one for pair in self._pairs for one in pair]:
                _shut(one)

    def mend(self) -> None:
        self._is_cut = False

    def close(self) -> None:
        self._is_closed = True
        self.cut()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(60)

    def _accept(self) -> None:
        while not self._is_closed:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self._is_cut:
                near.close()
                continue
            far = socket.create_connection(self._to)
            pair = (near, far)
            with self._lock:
                self._pairs.add(pair)
            first = threading.Thread(target=self._pump, args=(near, far), daemon=True)
            second = threading.Thread(target=self._pump, args=(far, near), daemon=True)
            first.start()
            second.start()
            threading.Thread(target=self._bury, args=(pair, first, second), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        _shut(source)
        _shut(sink)

    def _bury(self, pair: tuple[socket.socket, socket.socket], *pumps: threading.Thread) -> None:
        for pump in pumps:
            pump.join()
        with self._lock:
            self._pairs.discard(pair)
        for one in pair:
            one.close()


def _shut(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def running(host: str, port: int) -> Iterator[Forwarder]:
    forwarder = Forwarder(host, port)
    try:
        yield forwarder
    finally:
        forwarder.close()
