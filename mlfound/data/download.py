"""Downloads one URL into memory, bounded in bytes and in time: nothing that a mirror says is trusted."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mlfound.errors import UserError

CONNECT_S = 5.0
MAX_PAUSE_S = 20.0  # within a response
GRACE_S = 30.0  # each file may take this long, and longer by its size over the lowest speed that we accept
MIN_BYTES_PER_S = 50_000
CHUNK = 1 << 16


class SourceError(UserError):
    """A source that cannot be reached or is too slow: no use trying it for another file."""


def download(url: str, limit: int, on_progress: Callable[[int, int], None]) -> bytes:
    """The body at `url`, at most `limit` bytes; `on_progress` gets the bytes received and the total.

    Errors: a UserError with the reason in plain words.
    """
    transfer = _Transfer(length=limit)
    # a thread, so that a server that drips a byte a second, in headers or body, cannot hold us past the deadline
    thread = threading.Thread(target=transfer.receive, args=(url, limit), daemon=True)
    thread.start()
    allowed = GRACE_S + limit / MIN_BYTES_PER_S
    deadline = time.monotonic() + allowed
    while thread.is_alive() and time.monotonic() < deadline:
        on_progress(len(transfer.body), transfer.length)
        thread.join(0.1)
    if thread.is_alive():
        transfer.abandoned = True
        raise SourceError(f"not done after {allowed:.0f} s")
    if transfer.error:
        raise transfer.error
    on_progress(len(transfer.body), transfer.length)  # a small file may be here before the first look
    return bytes(transfer.body)


@dataclass
class _Transfer:
    """What has been received; `receive` fills it, in a thread of its own."""

    length: int  # the limit, until the response gives the real one
    body: bytearray = field(default_factory=bytearray)
    error: UserError | None = None  # why it ended early
    abandoned: bool = False  # then it ends at the next chunk

    def receive(self, url: str, limit: int) -> None:
        import requests  # here: it takes 80 ms, and data in the cache do not need it

        try:
            # No redirects: requests would read their bodies to the end, however long.
            plain, timeout = {"Accept-Encoding": "identity"}, (CONNECT_S, MAX_PAUSE_S)
            with requests.get(
                url, headers=plain, timeout=timeout, stream=True, allow_redirects=False
            ) as response:
                self.length = _length(response.status_code, response.headers, limit)
                for part in response.iter_content(CHUNK):
                    self.body += part
                    if self.abandoned:
                        break
        except UserError as error:
            self.error = error
        except requests.exceptions.ChunkedEncodingError:
            self.error = UserError(f"ended early, after {len(self.body):,} bytes")
        except requests.exceptions.SSLError:
            self.error = SourceError("its certificate is not valid")
        except requests.Timeout:
            self.error = SourceError("no answer in time")
        except requests.ConnectionError:
            self.error = SourceError("stopped responding" if self.body else "no connection")
        except Exception as error:  # whatever it sent, another source may work
            self.error = UserError(f"failed with {type(error).__name__}")


def _length(status: int, headers: Mapping[str, str], limit: int) -> int:
    """The length that the response gives; a UserError unless it is a plain file of at most `limit` bytes."""
    if status != 200:
        raise UserError(f"HTTP status {status}")
    if "html" in headers.get("Content-Type", ""):
        raise UserError("a web page instead of the file")
    length = headers.get("Content-Length", "")
    if not length.isdecimal() or "Transfer-Encoding" in headers or "Content-Encoding" in headers:
        raise UserError("does not give the length of the file")
    if int(length) > limit:
        raise UserError(f"sends more than {limit:,} bytes")
    return int(length)
