"""A mirror on 127.0.0.1 that can misbehave: a real HTTP server, and its faults by name."""

import contextlib
import gzip
import http.server
import socket
import struct
import threading


class Mirror(http.server.ThreadingHTTPServer):
    """Serves the `.gz` files of a made dataset; `fault` is the name of an answer in FAULTS, for every file
    that has none of its own in `faults` (by path)."""

    def __init__(self, made, fault=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {f"/{name}.gz": packed for name, packed in made.packed.items()}
        self.url = f"http://127.0.0.1:{self.server_port}/"
        self.fault = fault
        self.faults = {}
        self.asked = []
        self.sent = 0
        self.closing = threading.Event()

    def start(self):
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def stop(self):
        self.closing.set()
        self.shutdown()
        self.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers well, or as the server's fault says."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.asked.append(self.path)
        self.close_connection = True
        fault = self.server.faults.get(self.path, self.server.fault)
        with contextlib.suppress(OSError):  # the client may hang up on us
            FAULTS[fault](self, self.server.files[self.path])

    def answer(self, body, length=None, status=200, **headers):
        self.send_response(status)
        if length != "unsaid":
            self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.send(body)

    def send(self, body):
        self.wfile.write(body)
        self.server.sent += len(body)

    def forever(self, body, pause=0.0):
        while not self.server.closing.wait(pause):
            self.send(body)

    def much(self, **how):
        self.answer(b"", **how)
        self.forever(bytes(1 << 16))

    def drip(self, body):
        self.answer(b"", length=len(body))
        self.forever(b"\x1f", pause=0.05)

    def drip_headers(self, body):
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        self.forever(b"x", pause=0.05)

    def many_headers(self, body):
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        self.forever(b"X-More: and more\r\n" * 1000)

    def hang_up(self, body):
        """Half the body, then a reset instead of an end."""
        self.answer(body[: len(body) // 2], length=len(body))
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def log_message(self, *_):
        pass


FAULTS = {
    None: lambda answer, body: answer.answer(body),
    "slow": lambda answer, body: answer.server.closing.wait(0.3) or answer.answer(body),
    "not found": lambda answer, body: answer.answer(b"", status=404),
    "broken": lambda answer, body: answer.answer(b"", status=500),
    "broken at length": lambda answer, body: answer.much(status=500, length=1 << 40),
    "a part": lambda answer, body: answer.answer(
        body[:9], status=206, Content_Range=f"bytes 0-8/{len(body)}"
    ),
    "elsewhere": lambda answer, body: answer.answer(b"", status=302, Location="http://127.0.0.1:9/"),
    "here again": lambda answer, body: answer.answer(b"", status=302, Location=answer.path),
    "page": lambda answer, body: answer.answer(b"<html>Please log in</html>", Content_Type="text/html"),
    "sly page": lambda answer, body: answer.answer(b"<html>Please log in</html>"),
    "half": lambda answer, body: answer.answer(body[: len(body) // 2], length=len(body)),
    "whole half": lambda answer, body: answer.answer(body[: len(body) // 2]),
    "hang up": Handler.hang_up,
    "hang up at once": lambda answer, body: None,
    "empty": lambda answer, body: answer.answer(b""),
    "longer": lambda answer, body: answer.answer(body + b"x"),
    "longer than said": lambda answer, body: answer.answer(body + b"x" * 100_000, length=len(body) + 1),
    "too much": lambda answer, body: answer.much(length=1 << 40),
    "no length": lambda answer, body: answer.much(length="unsaid"),
    "chunks": lambda answer, body: answer.much(length="unsaid", Transfer_Encoding="chunked"),
    "chunks and a length": lambda answer, body: answer.much(length=10, Transfer_Encoding="chunked"),
    "packed": lambda answer, body: answer.answer(body, Content_Encoding="gzip"),
    "odd length": lambda answer, body: answer.answer(body, length="-1"),
    "long length": lambda answer, body: answer.answer(body, length="9" * 5000),
    "no HTTP": lambda answer, body: answer.send(b"\x1f\x8b\x08 SSH-2.0\r\n\r\n" * 100),
    "headers without end": Handler.many_headers,
    "wrong bytes": lambda answer, body: answer.answer(gzip.compress(bytes(1000))),
    "other bytes": lambda answer, body: answer.answer(bytes(len(body))),
    "one bit": lambda answer, body: answer.answer(body[:-9] + bytes([body[-9] ^ 1]) + body[-8:]),
    "bomb": lambda answer, body: answer.answer(gzip.compress(bytes(30_000_000))),
    "drip": Handler.drip,
    "drip in headers": Handler.drip_headers,
    "silence": lambda answer, body: answer.server.closing.wait(5),
}
