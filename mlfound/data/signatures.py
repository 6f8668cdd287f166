"""What a refused file really is, by its first bytes: only for the message, nothing is read by it."""

WEB_PAGE = "a web page: the link leads to a page about the file; download the file itself"
KINDS = {
    b"<": WEB_PAGE,
    b"\x1f\x8b": "packed by gzip once more than it should be; unpack it once with gunzip",
    b"PK\x03\x04": "a zip archive; unpack it",
    b"\x80": "a pickle that gzip has not packed; pack it with gzip",
    b"version https://git-lfs": "a pointer of Git LFS; fetch the file itself with `git lfs pull`",
}


def describe(content: bytes | bytearray) -> str | None:
    """What it is and what to do, as "FILE is ..." goes on; None where the bytes do not tell."""
    head = bytes(content[:64]).removeprefix(b"\xef\xbb\xbf").lstrip()
    return next((words for begin, words in KINDS.items() if head.startswith(begin)), None)
