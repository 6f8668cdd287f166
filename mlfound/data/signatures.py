"""What a refused file is, by its first bytes: for the message only."""

WEB_PAGE = "a web page: the link leads to a page about the file; download the file itself"
KINDS = {
    b"<": WEB_PAGE,
    b"\x1f\x8b": "packed by gzip once too often; unpack it once with gunzip",
    b"PK\x03\x04": "a zip archive; unpack it",
    b"\x80": "a pickle that gzip has not packed; pack it with gzip",
    b"version https://git-lfs": "a pointer of Git LFS; fetch the file itself with `git lfs pull`",
}


def describe(content: bytes | bytearray) -> str | None:
    """What it is and what to do: completes "FILE is ..."; None if the bytes do not say."""
    head = bytes(content[:64]).removeprefix(b"\xef\xbb\xbf").lstrip()
    return next((words for begin, words in KINDS.items() if head.startswith(begin)), None)
