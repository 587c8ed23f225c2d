"""Asks models a question, and offers that as plain functions for programs: the API of the page and its MCP tools."""

from collections.abc import Callable, Sequence
from typing import Any

from l2t_hub.demo.answers import (
    PREFERS,
    ModelAnswers,
    ModelReading,
    mean_preference,
    summarize_pairs,
    summarize_sentence,
)
from l2t_hub.demo.comparison import PairComparison, summarize_preferences
from l2t_hub.demo.model_pool import score_with
from l2t_hub.demo.page_context import PageContext
from l2t_hub.demo.pair_input import Question, pair_question, pairs_question, sentence_question
from l2t_hub.demo.word_matrix import Word, words_of
from l2t_hub.errors import UserError
from l2t_hub.scoring import Score
from l2t_hub.text import counted

MAX_MODELS = 4


def ask(context: PageContext, models: Sequence[str] | None, question: Question) -> ModelAnswers:
    """Let each model read the question. A model named twice reads once.

    Raises UserError for no model or too many, for one that the page does not offer or that cannot be loaded, and for
    a sentence that a model cannot read.
    """
    names = [name for name in models or () if name and name.strip()]
    if len(names) > MAX_MODELS:
        raise UserError(
            f"{counted(len(names), 'model')} selected; the page compares up to {MAX_MODELS}.", "Remove some."
        )
    choices = list(dict.fromkeys(context.resolve(name) for name in names))
    if not choices:
        raise UserError("No model selected.", f"Select one to {MAX_MODELS} models above.")
    return ModelAnswers(
        question,
        tuple(
            ModelReading(choice.label, tuple(score_with(context.pool, choice, question.sentences)))
            for choice in choices
        ),
    )


def compare_functions(context: PageContext) -> tuple[Callable[..., Any], ...]:
    """Return the functions for programs, bound to the models of the page."""

    def compare_sentences(models: list[str], grammatical: str, ungrammatical: str) -> dict[str, Any]:
        """Compare which sentence of a minimal pair each language model finds more probable, and by how many bits.

        Args:
            models: One to four models of the page, as NAME or NAME@REVISION.
            grammatical: The grammatical sentence, up to 1,000 characters; more are cut off.
            ungrammatical: The ungrammatical sentence, which differs in one point of grammar.

        Returns:
            A summary, and for each model its preference with the surprisal of both sentences by token and by word.
        """
        return _of_pair(ask(context, models, pair_question(grammatical, ungrammatical)))

    def compare_pairs(models: list[str], pairs: str) -> dict[str, Any]:
        """Compare language models on a list of minimal pairs: how often each prefers the grammatical sentence.

        Args:
            models: One to four models of the page, as NAME or NAME@REVISION.
            pairs: Up to 200 pairs, one per line: the grammatical sentence, a tab, the ungrammatical sentence.

        Returns:
            A summary, and for each model its totals and its preference on every pair.
        """
        return _of_list(ask(context, models, pairs_question(pairs)))

    def read_sentence(models: list[str], sentence: str) -> dict[str, Any]:
        """Measure how surprising a sentence is to language models, by token and by word.

        Args:
            models: One to four models of the page, as NAME or NAME@REVISION.
            sentence: The sentence, up to 1,000 characters; more are cut off.

        Returns:
            A summary, and for each model the surprisal of the sentence, of its tokens and of its words in bits.
        """
        return _of_sentence(ask(context, models, sentence_question(sentence)))

    return compare_sentences, compare_pairs, read_sentence


def _of_pair(answer: ModelAnswers) -> dict[str, Any]:
    words = [words_of([reading.scores[place] for reading in answer.readings]) for place in (0, 1)]
    found = [
        {
            "model": pair.model,
            **_preference(pair),
            "grammatical": _sentence(pair.good, words[0], number),
            "ungrammatical": _sentence(pair.bad, words[1], number),
        }
        for number, pair in enumerate(answer.comparisons)
    ]
    return {"summary": summarize_preferences(answer.comparisons), **_rest(answer, found)}


def _of_list(answer: ModelAnswers) -> dict[str, Any]:
    found = [
        {
            "model": reading.model,
            "prefers_grammatical": reading.count("good"),
            "ties": reading.count("tie"),
            "mean_preference_bits": round(mean_preference(reading), 4),
            "preferences": [_preference(pair) for pair in reading.pairs],
        }
        for reading in answer.readings
    ]
    pairs = [list(pair) for pair in answer.question.pairs]
    return {"summary": summarize_pairs(answer), "pairs": pairs, **_rest(answer, found)}


def _of_sentence(answer: ModelAnswers) -> dict[str, Any]:
    words = words_of([reading.scores[0] for reading in answer.readings])
    found = [
        {"model": reading.model, **_sentence(reading.scores[0], words, number)}
        for number, reading in enumerate(answer.readings)
    ]
    return {"summary": summarize_sentence(answer.readings), **_rest(answer, found)}


def _rest(answer: ModelAnswers, models: list[dict[str, Any]]) -> dict[str, Any]:
    return {"models": models, "notices": list(answer.question.notices)}


def _preference(pair: PairComparison) -> dict[str, Any]:
    return {"prefers": PREFERS[pair.choice], "preference_bits": round(pair.preference, 4)}


def _sentence(score: Score, words: Sequence[Word], model: int) -> dict[str, Any]:
    return {
        "text": score.sentence,
        "log2_p": round(-score.bits, 4),
        "tokens": [{"text": token.text, "bits": round(token.bits, 4)} for token in score.tokens],
        "words": [{"text": word.text.strip(), "bits": round(word.bits[model], 4)} for word in words],
    }
