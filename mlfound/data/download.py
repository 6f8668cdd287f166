"""One URL into memory, bounded in bytes and in time: nothing that a mirror says is trusted."""

import threading
import time
from collections.abc import Callable, Mapping

from mlfound.errors import UserError

CONNECT_S = 5.0
SILENCE_S = 20.0  # the longest pause in an answer
GRACE_S = 30.0  # each file may take this long, and longer by its size over the slowest speed we wait for
SLOWEST_BYTES_PER_S = 50_000
CHUNK = 1 << 16


class ClosedRoadError(UserError):
    """A road that is closed or too slow: no use trying it for another file."""


def download(url: str, limit: int, told: Callable[[int, int], None]) -> bytes:
    """The body at `url`, at most `limit` bytes; `told` hears how many have come, and of how many.

    A thread receives it, so that a server that drips a byte a second, in its headers or its body, cannot
    hold us past the deadline. Errors: a UserError with the reason in plain words.
    """
    transfer = _Transfer(url, limit)
    transfer.start()
    allowed = GRACE_S + limit / SLOWEST_BYTES_PER_S
    deadline = time.monotonic() + allowed
    while transfer.is_alive() and time.monotonic() < deadline:
        transfer.join(0.1)
        told(len(transfer.body), transfer.length)
    if transfer.is_alive():
        transfer.abandoned = True
        raise ClosedRoadError(f"not done after {allowed:.0f} s")
    if transfer.error:
        raise transfer.error
    return bytes(transfer.body)


class _Transfer(threading.Thread):
    """Fills `body`; `error` says why it ended early; when `abandoned` it ends at the next chunk."""

    def __init__(self, url: str, limit: int) -> None:
        super().__init__(daemon=True)
        self.url = url
        self.limit = limit
        self.length = limit  # until the answer says how long it really is
        self.body = bytearray()
        self.error: UserError | None = None
        self.abandoned = False

    def run(self) -> None:
        import requests  # here: it takes 80 ms, and with the data in the cache nobody needs it

        try:
            # No redirects: requests would read their bodies to the end, however long.
            with requests.get(
                self.url,
                stream=True,
                allow_redirects=False,
                timeout=(CONNECT_S, SILENCE_S),
                headers={"Accept-Encoding": "identity"},
            ) as answer:
                self.length = _length(answer.status_code, answer.headers, self.limit)
                for part in answer.iter_content(CHUNK):
                    self.body += part
                    if self.abandoned:
                        break
        except UserError as error:
            self.error = error
        except requests.exceptions.ChunkedEncodingError:
            self.error = UserError(f"broke off after {len(self.body):,} bytes")
        except requests.exceptions.SSLError:
            self.error = ClosedRoadError("its certificate does not hold")
        except requests.Timeout:
            self.error = ClosedRoadError("no answer in time")
        except requests.ConnectionError:
            self.error = ClosedRoadError("fell silent" if self.body else "no connection")
        except Exception as error:  # whatever nonsense it sent, another road may work
            self.error = UserError(f"failed with {type(error).__name__}")


def _length(status: int, headers: Mapping[str, str], limit: int) -> int:
    """How long the answer says it is; a UserError unless it is a plain file, and not too long."""
    if status != 200:
        raise UserError(f"HTTP status {status}")
    if "html" in headers.get("Content-Type", ""):
        raise UserError("a web page instead of the file")
    length = headers.get("Content-Length", "")
    if not length.isdecimal() or "Transfer-Encoding" in headers or "Content-Encoding" in headers:
        raise UserError("does not say how long the file is")
    if int(length) > limit:
        raise UserError(f"sends more than {limit:,} bytes")
    return int(length)
