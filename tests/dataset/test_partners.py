"""The other document of `last` and `deletion`: never raw, never the document itself, never simply its neighbour."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from dataset_helpers import RecipeFactory, build_silently, read_texts
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from l2t_hub.corpus.document import Document, Dropped
from l2t_hub.corpus.source_languages import source_languages
from l2t_hub.dataset import partners as module
from l2t_hub.dataset.partners import Partners, Pool, find_partners
from l2t_hub.dataset.views import Split
from l2t_hub.mixture import is_raw, is_validation, uniform
from l2t_hub.recipe import Recipe, recipe_from_tree
from l2t_hub.tasks.registry import TASKS


def recipe_with(**sections: object) -> Recipe:
    return recipe_from_tree({"name": "t", "source": {"path": "bundled:sample"}, **sections})


def split_of(recipe: Recipe, document_id: str) -> Split:
    return "validation" if is_validation(recipe.seed, document_id, recipe.validation.share) else "train"


def partners_of(recipe: Recipe, documents: list[Document]) -> Partners:
    return find_partners(recipe, TASKS, source_languages(recipe), documents)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    count=st.integers(0, 120),
    seed=st.integers(0, 2**31),
    scheme=st.sampled_from(("disjoint", "shared")),
    raw_share=st.sampled_from((0.0, 0.25, 0.5, 0.9)),
    share=st.sampled_from((0.0, 0.1, 0.5)),
)
def test_a_partner_is_another_task_document_of_the_same_split(
    count: int, seed: int, scheme: str, raw_share: float, share: float
) -> None:
    mixture = {"scheme": scheme, **({"raw_share": raw_share} if scheme == "disjoint" else {})}
    recipe = recipe_with(seed=seed, mixture=mixture, validation={"share": share})
    documents = [Document(f"d{n}", f"Text {n}.") for n in range(count)]
    partners = partners_of(recipe, documents)
    task_documents = {
        split: {
            d.id
            for d in documents
            if split_of(recipe, d.id) == split
            and (scheme == "shared" or not is_raw(seed, d.id, recipe.mixture))
        }
        for split in ("train", "validation")
    }
    for document in documents:
        split = split_of(recipe, document.id)
        partner = partners.of(document.id, split)
        others = task_documents[split] - {document.id}
        assert (partner.document.id in others) if partner else not others


def test_partners_are_uniform_over_the_other_documents() -> None:
    recipe = recipe_with(mixture={"scheme": "shared"}, validation={"share": 0})
    drawn = Counter[str]()
    for round_ in range(300):
        documents = [Document(f"{round_}-{n}", "T.") for n in range(9)]
        partners = partners_of(recipe, documents)
        places = {d.id: place for place, d in enumerate(documents)}
        for d in documents:
            partner = partners.of(d.id, "train")
            assert partner is not None
            drawn[str((places[partner.document.id] - places[d.id]) % 9)] += 1
    assert set(drawn) == set("12345678")
    assert chisquare(list(drawn.values())).pvalue > 0.001


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    lengths=st.lists(st.integers(1, 40), max_size=30),
    order=st.randoms(use_true_random=False),
    limits=st.tuples(st.integers(2, 12), st.integers(1, 200)),
)
def test_a_pool_has_the_smallest_draws_in_any_order(
    lengths: list[int], order: object, limits: tuple[int, int]
) -> None:
    offers = [(uniform(1, f"d{n}", "pool"), Document(f"d{n}", "x" * size)) for n, size in enumerate(lengths)]
    expected: list[Document] = []
    for _, document in sorted(offers, key=lambda offer: offer[0]):
        characters = sum(len(d.text) for d in expected) + len(document.text)
        if len(expected) == limits[0] or (characters > limits[1] and len(expected) >= 2):
            break
        expected.append(document)
    order.shuffle(offers)  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "POOL_DOCUMENTS", limits[0])
        patch.setattr(module, "POOL_CHARACTERS", limits[1])
        pool = Pool()
        for draw, document in [*offers, *offers[:5]]:  # some IDs twice
            pool.offer(draw, document)
    assert pool.documents() == expected


def test_dropped_records_are_no_partners() -> None:
    recipe = recipe_with(mixture={"scheme": "shared"}, validation={"share": 0})
    records = [Document("a", "A."), Dropped("unreadable row"), Dropped("null text"), Document("b", "B.")]
    partners = find_partners(recipe, TASKS, source_languages(recipe), records)
    assert partners.of("a", "train").document.id == "b"  # type: ignore[union-attr]
    assert partners.of("b", "train").document.id == "a"  # type: ignore[union-attr]


def test_nothing_is_read_if_no_task_needs_another_document() -> None:
    records = (pytest.fail("a record was read") for _ in range(1))
    recipe = recipe_with()
    partners = find_partners(recipe, {"typo": TASKS["typo"]}, source_languages(recipe), records)
    assert partners.of("a", "train") is None


@pytest.mark.parametrize("keys", [{}, {"mixture.unit": "tokens"}, {"build.partitions": 1}])
def test_no_sentence_of_a_raw_or_held_out_document_gets_into_task_data(
    make_recipe: RecipeFactory, tmp_path: Path, corpus: Path, keys: dict[str, object]
) -> None:
    tasks = {"mixture.tasks": ["deletion"], "validation.share": 0.3}
    build_silently(make_recipe({**tasks, **keys}), tmp_path / "out")
    texts = {document_id: " ".join(text.split()) for document_id, text in read_texts(corpus).items()}
    raw = {
        row["document_id"]
        for path in (tmp_path / "out" / "data" / "raw").glob("*.parquet")
        for row in pq.read_table(path).to_pylist()
    }
    intruders = 0
    for path in (tmp_path / "out" / "data" / "examples" / "deletion").glob("*.parquet"):
        split = path.name.split("-")[0]
        for row in pq.read_table(path).to_pylist():
            intruder = " ".join(row["completion"].split())
            if intruder in texts[row["document_id"]]:
                continue
            owners = {document_id for document_id, text in texts.items() if intruder in text}
            assert any(
                owner not in raw and (split == "validation") == is_validation(42, owner, 0.3)
                for owner in owners
            ), intruder
            intruders += 1
    assert intruders > 10


def test_a_source_sorted_by_book_pairs_books_by_chance(shared_data: Path) -> None:
    rows = pq.read_table(
        shared_data / "gutenberg" / "part-0.parquet", columns=["id", "title", "text"]
    ).to_pylist()
    rows.sort(key=lambda row: row["title"])
    book = {row["id"]: row["title"] for row in rows}
    documents = [Document(row["id"], row["text"][:10]) for row in rows]
    sizes = Counter(book.values())
    chance = sum(n * (n - 1) for n in sizes.values()) / (len(rows) - 1)
    neighbours = sum(book[a.id] == book[b.id] for a, b in pairwise(documents))
    assert neighbours > 0.7 * len(rows), "what pairing neighbours would give"
    same, seeds = 0, 10
    for seed in range(seeds):
        recipe = recipe_with(seed=seed, mixture={"scheme": "shared"}, validation={"share": 0})
        partners = partners_of(recipe, documents)
        pairs = [(d.id, partners.of(d.id, "train")) for d in documents]
        same += sum(book[a] == book[b.document.id] for a, b in pairs if b)
        assert len({b.document.id for _, b in pairs if b}) > 1000
    assert same == pytest.approx(seeds * chance, rel=0.4)
