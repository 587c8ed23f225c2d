"""Read a text file as one document, or as many: its lines, its paragraphs, or runs of words (`source.split_on`).

A split file is read a line at a time, so memory does not grow with the file.
"""

import re
from collections.abc import Iterable, Iterator

from l2t_hub.corpus.columns import Columns
from l2t_hub.corpus.document import Dropped, Record, decoded, document_of
from l2t_hub.corpus.files import Segment, SourceFile, numbered_lines, opened

Part = tuple[int, bytes]
"""The byte at which a document starts, and its bytes."""

# Scripts without spaces. Each character counts as a word: Thai and Lao, Burmese, Khmer, kana, CJK ideographs.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
_WORD = re.compile(f"[{_UNSPACED}]|[^\\s{_UNSPACED}]+")
_SENTENCE_END = re.compile(r"[.!?…。！？।؟]+[\"'”’»)\]」』]*$")
# A document of N words ends with its sentence, but after this many times N words at the latest.
MOST_WORDS = 2


def read_text(segment: Segment, columns: Columns) -> Iterator[Record]:
    """Yield the documents of a text file. Their ids are the file's name and, if it is split, their first byte."""
    file = segment.file
    with opened(file) as stream:
        if file.split_on == "none":
            data = b"".join(line for _, line in numbered_lines(stream))
            yield _document(data, file, 0, file.stem, columns)
            return
        for offset, data in parts(numbered_lines(stream, segment.start), file.split_on, file.line_encoding):
            if not file.is_whole and offset >= segment.stop:
                return
            yield _document(data, file, offset, f"{file.stem}@{offset}", columns)


def parts(lines: Iterable[Part], split_on: str | int, encoding: str) -> Iterator[Part]:
    """Divide the lines of a file into documents. None is blank, and blank text between them is left out."""
    if split_on == "lines":
        return (line for line in lines if not line[1].isspace())
    if split_on == "blank_lines":
        return _paragraphs(lines)
    return _runs_of_words(lines, int(split_on), encoding)


def _document(data: bytes, file: SourceFile, offset: int, document_id: str, columns: Columns) -> Record:
    def where() -> str:
        return f"{file.path}, byte {offset:,}" if offset else str(file.path)

    text = decoded(data, file.line_encoding, offset, where, columns)
    if isinstance(text, Dropped):
        return text
    return document_of(text if file.split_on == "none" else text.strip(), document_id, None, where, columns)


def _paragraphs(lines: Iterable[Part]) -> Iterator[Part]:
    start, held = 0, list[bytes]()
    for offset, line in lines:
        if line and not line.isspace():
            start = start if held else offset
            held.append(line)
        elif held:
            yield start, b"".join(held)
            held = []
    if held:
        yield start, b"".join(held)


def _runs_of_words(lines: Iterable[Part], count: int, encoding: str) -> Iterator[Part]:
    """Cut after the first sentence that ends with word `count` or a later one, MOST_WORDS * `count` at the latest."""
    start, held, words = 0, "", 0
    for offset, line in lines:
        # Bytes that do not decode are kept as they are; the document that has them is refused.
        text, first = line.decode(encoding, "surrogateescape"), 0
        for word in _WORD.finditer(text):
            if not words:
                first = word.start()
                start = offset + len(text[:first].encode(encoding, "surrogateescape"))
            words += 1
            if words >= MOST_WORDS * count or (words >= count and _SENTENCE_END.search(word.group())):
                yield start, (held + text[first : word.end()]).encode(encoding, "surrogateescape")
                held, words, first = "", 0, word.end()
        held += text[first:] if words else ""
    if words:
        yield start, held.encode(encoding, "surrogateescape")
