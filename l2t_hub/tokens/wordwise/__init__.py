"""The fast path of encoding: texts are cut into words, each word is encoded once and its ids are cached.

The result equals that of encoding whole texts. `decide` says for which tokenizers this holds, `cut` cuts the texts,
`WordTable` caches ids, and `Joiner` and `encode_one_by_one` encode the words that are not in the table. This package
exports everything the rest of the project uses; import nothing from its modules elsewhere.
"""

from l2t_hub.tokens.wordwise.decision import decide
from l2t_hub.tokens.wordwise.joiner import Flat, Joiner, encode_one_by_one, interleave
from l2t_hub.tokens.wordwise.pieces import OPENING, Pieces, cut
from l2t_hub.tokens.wordwise.word_table import NEEDS_LIBRARY, OPEN_END, Key, WordTable, gather

__all__ = [
    "NEEDS_LIBRARY",
    "OPENING",
    "OPEN_END",
    "Flat",
    "Joiner",
    "Key",
    "Pieces",
    "WordTable",
    "cut",
    "decide",
    "encode_one_by_one",
    "gather",
    "interleave",
]
