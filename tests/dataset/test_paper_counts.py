"""What docs/method.md says of each task, block by block and in total, on a million words of real text.

Every document goes to one task, as in the paper's single-task recipes: BlingFire, blocks of 512 tokens of the 32k
tokenizer, 20 words at least. Another way to the answer than the task's code checks each example; the totals are pinned.
"""

import re
import string
from collections import Counter
from pathlib import Path

import pytest

from l2t_hub.corpus.blocks import blocks
from l2t_hub.corpus.document import Document
from l2t_hub.corpus.sentences import splitter
from l2t_hub.corpus.source import open_source
from l2t_hub.corpus.source_languages import source_languages
from l2t_hub.dataset.partners import find_partners
from l2t_hub.dataset.transform import PartitionTransform, TransformSetup
from l2t_hub.dataset.views import ExampleRow
from l2t_hub.recipe import Recipe, recipe_from_tree
from l2t_hub.tasks import language
from l2t_hub.tasks.registry import TASKS
from l2t_hub.tokens.encode import Encoder
from l2t_hub.tokens.load import encoder_of, load_tokenizer

CHARACTERS, WORDS = 5_588_242, 1_001_776
"""Of the texts of all blocks. Single spaces between words leave 5,584,863 characters."""

# Examples, characters, words and tokens (with BOS) of the texts that a model reads, and characters of the completions.
TOTALS = {
    "char_count": (2963, 5809136, 1036499, 1338412, 11763),
    "masked_char": (2963, 12902906, 2006082, 5166211, CHARACTERS),
    "space": (2963, 10193495, 1007256, 2908043, CHARACTERS),
    "typo": (2963, 11195411, 2006087, 2876435, CHARACTERS),
    "last": (2963, 5767001, 1030642, 1361317, 51729),
    "masked_word": (2963, 11052988, 2006050, 2935592, CHARACTERS),
    "random": (2963, 11445480, 2006071, 2640227, 5584863),
    "shuffle": (2963, 11189131, 2006109, 2556175, 5584863),
    "token_type": (2963, 5779903, 1035738, 1336023, 6428),
    "deletion": (2963, 8964876, 1605496, 2052328, 2957766),
    "reordering": (2962, 11194930, 2005956, 2562506, 5587837),
    "fill_middle": (4881, 5617531, 1008585, 1310923, 1843690),
    "half": (2963, 5601530, 1004310, 1285915, 2799029),
    "one": (2963, 5619185, 1007249, 1293643, CHARACTERS),
}
FAST = ("last", "random", "token_type")


@pytest.fixture(scope="module")
def encoder(shared_data: Path) -> Encoder:
    return encoder_of(load_tokenizer(str(shared_data / "tokenizer-32k")))


def recipe_of_task(shared_data: Path, task: str) -> Recipe:
    return recipe_from_tree(
        {
            "name": "counts",
            "source": {"path": str(shared_data / "gutenberg" / "sample-1m.parquet")},
            "tokenizer": {"name": str(shared_data / "tokenizer-32k")},
            "blocks": {"sentences": "blingfire"},
            "mixture": {"scheme": "single", "task": task},
            "validation": {"share": 0},
        }
    )


@pytest.fixture(scope="module")
def texts(shared_data: Path, encoder: Encoder) -> dict[tuple[str, int], str]:
    """The text of each block of 512 tokens, by document and number."""
    split = splitter("blingfire")
    documents = [
        d for d in open_source(recipe_of_task(shared_data, "one")).read(0) if isinstance(d, Document)
    ]
    counts = encoder.count([d.text for d in documents]).tolist()
    return {
        (document.id, number): block.text
        for document, count in zip(documents, counts, strict=True)
        for number, block in blocks(split(document.text), count, 512, 20, language())[0]
    }


def examples_of(shared_data: Path, encoder: Encoder, task: str) -> list[ExampleRow]:
    """The examples of a single-task recipe, as a build makes them."""
    recipe, tasks = recipe_of_task(shared_data, task), {task: TASKS[task]}
    source, languages = open_source(recipe), source_languages(recipe)
    partners = find_partners(recipe, tasks, languages, source.read(0))
    transform = PartitionTransform(TransformSetup(recipe, tasks, languages, encoder, 1), partners)
    return [e.row for batch in transform.batches(source.read(0)) for e in transform.examples(batch)]


def test_the_blocks_have_a_million_words(texts: dict[tuple[str, int], str]) -> None:
    assert len(texts) == 2963
    assert sum(map(len, texts.values())) == CHARACTERS
    assert sum(len(text.split()) for text in texts.values()) == WORDS


@pytest.mark.parametrize(
    "task", [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in TASKS]
)
def test_examples_are_what_the_method_says_to_the_last_token(
    shared_data: Path, encoder: Encoder, texts: dict[tuple[str, int], str], task: str
) -> None:
    rows = examples_of(shared_data, encoder, task)
    read = [row.text for row in rows]
    assert TOTALS[task] == (
        len(rows),
        sum(map(len, read)),
        sum(len(text.split()) for text in read),
        int(encoder.count(read, bos=True).sum()),
        sum(len(row.completion) for row in rows),
    )
    if task == "fill_middle":  # it has blocks of its own
        assert all(len(row.prompt.split("\n")) == 2 for row in rows)
        return
    for row in rows:
        assert agrees(row, texts[row.document_id, row.block]), row


def agrees(row: ExampleRow, text: str) -> bool:
    """Whether an example is one that docs/method.md allows for the text of its block."""
    single_spaced = " ".join(text.split())
    if row.task in ("masked_char", "space", "typo", "masked_word", "one", "reordering"):
        return row.completion == text
    if row.task in ("random", "shuffle"):
        return row.completion == single_spaced and len(row.prompt.split()) == len(text.split())
    if row.task == "half":
        return row.prompt + row.completion == single_spaced
    if row.task == "char_count":
        return row.completion == str(len(text)) and text in row.prompt
    if row.task == "token_type":
        return row.completion == str(answer(row.prompt.replace(text, "").strip(), text))
    if row.task == "deletion":
        places = [match.start() for match in re.finditer(re.escape(row.completion), row.prompt)]
        end = len(row.completion)
        without = {row.prompt[:n] + row.prompt[n + end + 1 :] for n in places}
        without |= {row.prompt[: n - 1] + row.prompt[n + end :] for n in places if n}
        return row.completion == text or text in without
    return row.completion in row.prompt.rsplit("\n", 2)[1:] and row.completion.endswith(text.split()[-1])


def answer(question: str, text: str) -> int:
    """The answer to a question of `token_type`, from the wording of docs/method.md."""
    stop_words = language().stop_words
    words = re.findall(r"\S+", text)
    kind = next(kind for kind, wordings in language().instructions.items() if question in wordings)
    return {
        "stop_words": sum(word.lower() in stop_words for word in words),
        "content_words": sum(word.isalnum() and word.lower() not in stop_words for word in words),
        "digits": sum(char.isdigit() for char in text),
        "punctuation": sum(char in string.punctuation for char in text),
    }[kind]


def test_the_words_that_token_type_counts(texts: dict[tuple[str, int], str]) -> None:
    """The paper's code counts as many; lists and words of our own gave 1.18 times the stop words, 1.30 the content."""
    stop_words = language().stop_words
    words = Counter(word for text in texts.values() for word in text.split())
    stops = sum(n for word, n in words.items() if word.lower() in stop_words)
    content = sum(n for word, n in words.items() if word.isalnum() and word.lower() not in stop_words)
    assert (stops, content) == (479_192, 344_392)
