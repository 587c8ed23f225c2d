"""The encoding of a text file: by its byte order mark, as UTF-8 if it is, else as chardet detects it.

UTF-8 and encodings of one byte per character are decoded line by line. Of all others no byte value is sure to be a
newline, so a file in one of them is recoded to UTF-8 as a stream, and read whole as a compressed file is.
"""

import codecs
import io
import sys
from functools import cache
from typing import IO

AUTO = "auto"
UTF8 = "utf-8"
WINDOWS_LATIN = "cp1252"
# In this order: the mark of UTF-32-LE starts with that of UTF-16-LE. These codecs read and drop the mark.
MARKS = (
    (codecs.BOM_UTF8, UTF8),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
EVIDENCE_BYTES = 1 << 16
CHUNK = 1 << 20


def codec_name(name: str) -> str | None:
    """Return Python's name of a text encoding, such as cp1252 for "Windows-1252"; None if there is none."""
    try:
        found = codecs.lookup(name)
        "text".encode(name)
    except (LookupError, ValueError, TypeError):
        return None
    return found.name


@cache
def has_lines(encoding: str) -> bool:
    """Whether a file can be cut into lines before it is decoded: UTF-8, and ASCII with one byte per character."""
    if encoding == UTF8:
        return True
    codec = codecs.lookup(encoding)
    letters = bytes(range(128))
    if encoding in ("ascii", "iso8859-1"):
        return True
    # A charmap codec has a decoder of one table for all bytes; multi-byte and stateful codecs have another.
    table = getattr(sys.modules[codec.incrementaldecoder.__module__], "decoding_table", None)
    return table is not None and letters.decode(encoding, "replace") == letters.decode("ascii")


def recoded(stream: IO[bytes], encoding: str) -> io.BufferedReader:
    """Return a stream of the same text in UTF-8. Reading it raises UnicodeDecodeError for bytes of no character."""
    return io.BufferedReader(_Recoder(stream, encoding), CHUNK)


class Detector:
    """Finds the encoding of a file from all of its bytes, or from its first ones.

    A file with a few bad bytes among valid UTF-8 is damaged UTF-8; one where most are bad has another encoding.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder(UTF8)("surrogateescape")
        self._head: bytes | None = None
        self._good = self._bad = 0
        self._evidence = bytearray()

    def feed(self, chunk: bytes) -> None:
        """Look at the next bytes of the file."""
        if self._head is None:
            self._head = chunk[:4096]
        if chunk.isascii() and not self._decoder.getstate()[0]:
            return
        text = self._decoder.decode(chunk)
        bad = len(text) - len(text.encode(UTF8, "ignore").decode())
        self._bad += bad
        self._good += len(text) - bad - len(text.encode("ascii", "ignore"))
        if bad and len(self._evidence) < EVIDENCE_BYTES:
            lines = [line for line in chunk.splitlines(keepends=True) if not line.isascii()]
            self._evidence += b"".join(lines)[: EVIDENCE_BYTES - len(self._evidence)]

    def marked(self) -> str | None:
        """Return the encoding that a byte order mark or the zero bytes of UTF-16 tell; None without either."""
        head = self._head or b""
        by_mark = next((encoding for mark, encoding in MARKS if head.startswith(mark)), None)
        return by_mark or _utf16_without_mark(head)

    def encoding(self) -> str:
        """Return the encoding of what was fed, under Python's name."""
        marked = self.marked()
        if marked is not None or self._bad <= self._good:
            return marked or UTF8
        import chardet  # takes a sixth of a second, and most text is UTF-8

        detected = codec_name(chardet.detect(bytes(self._evidence))["encoding"] or WINDOWS_LATIN)
        # Windows-1252 has a character for most bytes that are controls in Latin-1, and no text has those controls.
        return WINDOWS_LATIN if detected in (None, "ascii", "iso8859-1", UTF8) else detected


def _utf16_without_mark(head: bytes) -> str | None:
    """Return UTF-16 of the byte order that puts zeros in every second byte, as it does for Latin letters."""
    pairs = len(head) // 2
    for offset, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        zeros, others = head[offset::2].count(0), head[1 - offset :: 2].count(0)
        if pairs and zeros > 0.4 * pairs and others < 0.1 * pairs:
            return encoding
    return None


class _Recoder(io.RawIOBase):
    def __init__(self, stream: IO[bytes], encoding: str) -> None:
        self._stream, self._decoder = stream, codecs.getincrementaldecoder(encoding)()
        self._pending = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview[int]") -> int:  # type: ignore[override]
        while not self._pending:
            data = self._stream.read(CHUNK)
            self._pending = self._decoder.decode(data, final=not data).encode(UTF8, "surrogatepass")
            if not data:
                break
        count = min(len(buffer), len(self._pending))
        buffer[:count], self._pending = self._pending[:count], self._pending[count:]
        return count
