"""The programs that `benchmarks/build.py` runs in separate processes: baseline, build, and the parts of a build.

python benchmarks/build_parts.py library|build|parts RECIPE.json OUT WORKERS     prints one line of JSON
"""

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from l2t_hub.recipe import Recipe, recipe_from_tree

BATCH = 1000


def library(recipe: Recipe, out: Path, workers: int) -> dict[str, Any]:
    """Encode every text once with `encode_batch`, on as many threads as the process has cores."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(f"{recipe.tokenizer.name}/tokenizer.json")
    texts = _texts(recipe)
    wall, cpu, tokens = time.perf_counter(), time.process_time(), 0
    for start in range(0, len(texts), BATCH):
        encodings = tokenizer.encode_batch(texts[start : start + BATCH], add_special_tokens=False)
        tokens += sum(map(len, encodings))
    cost = {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
    return {**cost, "tokens": tokens, "documents": len(texts)}


def whole_build(recipe: Recipe, out: Path, workers: int) -> dict[str, Any]:
    """Build as `l2t build` does."""
    from l2t_hub.dataset.build import build
    from l2t_hub.dataset.progress import SilentReporter

    manifest = build(recipe, out, workers=workers, progress=SilentReporter())
    packed = [shard for shard in manifest.shards if shard.view == "packed"]
    return {
        "shards": len(manifest.shards),
        "bytes": sum(shard.bytes for shard in manifest.shards),
        "packed_tokens": sum(shard.tokens for shard in packed),
        "packed_rows": sum(shard.rows for shard in packed),
    }


class Clock:
    """CPU seconds by part of a build. A part that runs inside another is not counted twice."""

    def __init__(self) -> None:
        self.parts: dict[str, float] = {}
        self._inner = 0.0

    def calls(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function, with its time counted under `name`."""

        def timed(*arguments: Any, **options: Any) -> Any:
            start, outer = time.process_time(), self._inner
            self._inner = 0.0
            try:
                return function(*arguments, **options)
            finally:
                seconds = time.process_time() - start
                self.parts[name] = self.parts.get(name, 0.0) + seconds - self._inner
                self._inner = outer + seconds

        return timed

    def steps(self, name: str, items: Iterable[Any]) -> Iterator[Any]:
        """Yield the items, with the time of getting each counted under `name`."""
        following = self.calls(name, iter(items).__next__)
        while True:
            try:
                yield following()
            except StopIteration:
                return


class TimedEncoder:
    """An encoder with timed methods."""

    def __init__(self, encoder: Any, clock: Clock) -> None:
        self._encoder = encoder
        self.encode = clock.calls("encoding", encoder.encode)
        self.count = clock.calls("counting tokens", encoder.count)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)


def parts(recipe: Recipe, out: Path, workers: int) -> dict[str, Any]:
    """Return the CPU seconds of the parts of a build, within a build and each alone (its upper bound)."""
    from l2t_hub.artifacts import TOKENIZER
    from l2t_hub.corpus.source import open_source
    from l2t_hub.corpus.source_languages import SourceLanguages
    from l2t_hub.dataset.partners import find_partners
    from l2t_hub.dataset.pipeline import transform_setup
    from l2t_hub.dataset.progress import SilentReporter
    from l2t_hub.dataset.tokenizer import prepare_tokenizer
    from l2t_hub.dataset.transform import PartitionTransform
    from l2t_hub.dataset.workspace import open_workspace

    clock, source = Clock(), open_source(recipe)
    with open_workspace(out) as workspace:
        info = prepare_tokenizer(recipe, source, workspace, None, SilentReporter())
        setup = transform_setup(recipe, workspace.folder / TOKENIZER, info)
        timed = replace(setup, encoder=TimedEncoder(setup.encoder, clock))
        splitters = {
            of: clock.calls("splitting sentences", split) for of, split in splitters_of(recipe).items()
        }
        timed = replace(timed, languages=SourceLanguages(splitters))
        batches = []
        for number in range(recipe.build.partitions):
            find = clock.calls("choosing partners", find_partners)
            partners = find(recipe, timed.tasks, timed.languages, source.read(number))
            rows = PartitionTransform(timed, partners).rows(clock.steps("reading", source.read(number)))
            write, close = writers(out, f"{number}")
            for batch in clock.steps("tasks, packing and the rest", rows):
                clock.calls("writing", write)(batch)
                batches.append(batch)
            clock.calls("writing", close)()
        alone = upper_bounds(recipe, setup, batches, out)
    return {"within": clock.parts, "alone": alone}


def writers(out: Path, name: str) -> tuple[Callable[[Any], None], Callable[[], None]]:
    """Return two functions: one writes a batch of rows of a partition, the other closes all its files."""
    from l2t_hub.dataset.shards import ShardWriter

    folder = out / f"benchmark-{name}"
    folder.mkdir(parents=True)
    files: dict[tuple[str, str, str], ShardWriter] = {}

    def write(batch: Any) -> None:
        file = (batch.view, batch.split, batch.task)
        if file not in files:
            files[file] = ShardWriter(folder, *file)
        files[file].write(batch.table, batch.tokens)

    def close() -> None:
        for file in files.values():
            file.close()

    return write, close


def upper_bounds(recipe: Recipe, setup: Any, row_batches: list[Any], out: Path) -> dict[str, float]:
    """Return the CPU seconds of each part alone, on one core. No build can be faster than any of them."""
    import numpy as np
    from tokenizers import Tokenizer

    from l2t_hub.corpus.minhash import signatures
    from l2t_hub.tokens.encode import Encoder
    from l2t_hub.tokens.pack import lay_out, pack_examples

    clock = Clock()
    texts = clock.calls("reading", _texts)(recipe)
    batches = [texts[start : start + BATCH] for start in range(0, len(texts), BATCH)]
    clock.calls("signatures", lambda: sum(map(len, signatures(texts))))()
    (split,) = splitters_of(recipe).values()
    clock.calls("splitting all sentences", lambda: sum(map(len, map(split, texts))))()
    tokenizer = Tokenizer.from_file(f"{recipe.tokenizer.name}/tokenizer.json")
    for name, encoder in (("encoding", Encoder(tokenizer)), ("encoding, words known", None)):
        known = encoder or known  # noqa: F821 - the first turn's encoder
        encoded = clock.calls(name, lambda encode: [encode(batch) for batch in batches])(known.encode)
    ids = np.concatenate([batch.ids for batch in encoded])
    lengths = np.diff(np.append(np.arange(0, len(ids), 1000), len(ids)))

    def pack() -> None:
        lay_out(ids, lengths, pack_examples(lengths, 2048), 0)

    clock.calls("packing", pack)()
    write, close = writers(out, "alone")
    for batch in row_batches:
        clock.calls("writing", write)(batch)
    clock.calls("writing", close)()
    return clock.parts


def splitters_of(recipe: Recipe) -> dict[Any, Callable[[str], list[str]]]:
    """Return the splitter of each language of the recipe."""
    from l2t_hub.corpus.sentences import splitter
    from l2t_hub.corpus.source_languages import languages_of

    return {of: splitter(recipe.blocks.sentences, of.code) for of in languages_of(recipe)}


def _texts(recipe: Recipe) -> list[str]:
    from l2t_hub.corpus.document import Document
    from l2t_hub.corpus.source import open_source

    source = open_source(recipe)
    records = (record for n in range(recipe.build.partitions) for record in source.read(n))
    return [record.text for record in records if isinstance(record, Document)]


if __name__ == "__main__":
    program, tree, folder, count = sys.argv[1:]
    programs = {"library": library, "build": whole_build, "parts": parts}
    answer = programs[program](recipe_from_tree(json.loads(Path(tree).read_text())), Path(folder), int(count))
    print(json.dumps(answer))
