"""`l2t plan`: figures that a build confirms, warnings of what is not meant, and a table that fits."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from l2t_hub import plan as planning
from l2t_hub.console import PIPE_WIDTH, SafeConsole, WholeTable
from l2t_hub.plan import Plan, make_plan, render_plan
from l2t_hub.recipe import load_recipe, load_releases

PACKAGE = Path(planning.__file__).parent


def plan_of(*overrides: str, variant: str = "nano-l2t") -> Plan:
    return make_plan([load_recipe("nano", overrides, variant)])


def shown(plan: Plan, width: int, **how: Any) -> str:
    console = SafeConsole(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    console.print(render_plan(plan, **how))
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def documents(folder: Path, count: int) -> Path:
    """Write JSON Lines whose records are only known after they have been read."""
    lines = (
        json.dumps({"id": str(n), "text": f"The mill stood by the river in year {n}. Nobody came. " * 20})
        for n in range(count)
    )
    path = folder / "text.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_documents_beyond_the_sample_are_counted_and_scaled_up(tmp_path: Path) -> None:
    (release,) = plan_of(f"source.path={documents(tmp_path, 1000)}").releases
    assert (release.data.documents, release.data.sampled) == (1000, 200)
    assert release.data.note.startswith(
        "Tokens are measured on the first 200 of 1,000 documents and scaled up"
    )


def test_a_source_too_large_to_count_has_unknown_totals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "COUNTED_DOCUMENTS", 50)
    monkeypatch.setattr("l2t_hub.corpus.source.LocalSource.records", None)
    (release,) = plan_of(f"source.path={documents(tmp_path, 300)}").releases
    assert (release.data.documents, release.data.task_tokens, release.epochs) == (None, None, None)
    assert (
        release.data.note == "The source has more than 50 documents: how many, and their tokens, is unknown."
    )
    assert "unknown" in shown(Plan((release,), ""), 80)


def test_parameters_count_the_vocabulary_of_the_named_tokenizer(shared_data: Path) -> None:
    named = ("source.dataset=org/text", f"tokenizer.name={shared_data / 'tokenizer-32k'}", "model.size=500m")
    (release,) = plan_of(*named).releases
    (default,) = plan_of("source.dataset=org/text", "tokenizer.vocab_size=4096", "model.size=500m").releases
    rows = -(
        -json.loads((shared_data / "tokenizer-32k" / "tokenizer.json").read_text())["model"][
            "vocab"
        ].__len__()
        // 128
    )
    assert release.parameters - default.parameters == (rows - 32) * 128 * 1024


def test_what_is_probably_not_meant_is_a_warning() -> None:
    (quiet,) = plan_of().releases
    assert quiet.warnings == ()
    (release,) = plan_of("packing.sequence_length=200", "train.max_steps=100000").releases
    blocks, epochs = release.warnings
    assert blocks.startswith(
        "warning: nano-l2t: an example repeats its block, so blocks of 128 tokens give examples of about 256, and a "
        "sequence has 200: many will be dropped. Set blocks.tokens_per_block to at most about 66"
    )
    assert re.fullmatch(
        r"warning: nano-l2t: training reads every sequence [\d,]+ times\. Lower train\.max_steps or "
        r"train\.batch_size, or use more text\.",
        epochs,
    )
    (raw,) = plan_of("packing.sequence_length=200", variant="nano-raw").releases
    assert raw.warnings == ()


def test_a_stream_writes_no_dataset_and_says_what_the_text_is_read_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = ("data.mode=stream", "train.shuffle=partitions")
    monkeypatch.setattr(planning, "LARGE_PARTITION", 1e5)
    (release,) = plan_of(*stream).releases
    assert release.writes == ()
    assert "no dataset is written" in release.data.note
    assert release.data.note.endswith(
        "the text is read for the tokenizer, for duplicates, for the held-out sequences."
    )
    assert "a partition has about 0.0 GB of sequences" in release.warnings[-1]
    (release,) = plan_of(*stream, "validation.share=0", "build.partitions=8").releases
    assert release.data.note.endswith("the text is read for the tokenizer.")
    assert not any("partition" in warning for warning in release.warnings)


def test_the_table_comes_first_and_the_recipe_only_if_asked() -> None:
    plan = make_plan(load_releases("nano"))
    brief, verbose = shown(plan, 100), shown(plan, 100, verbose=True)
    assert "learning_rate" not in brief
    assert verbose.index("parameters") < verbose.index("learning_rate")
    assert all(len(line) <= 100 for line in brief.splitlines())


def test_a_narrow_table_folds_names_and_cuts_none() -> None:
    table = WholeTable("file", "rows")
    name = "data/examples/masked_character/train-00000-of-00001.parquet"
    table.add_row(name, "12")
    console = Console(file=io.StringIO(), width=30)
    console.print(table)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    cells = re.findall(r"^[│┃] (\S+)", text, re.MULTILINE)
    assert "".join(cells).removeprefix("file") == name
    assert "…" not in text


def test_every_table_of_the_package_folds() -> None:
    plain = [
        f"{file.relative_to(PACKAGE)}: {line.strip()}"
        for file in sorted(PACKAGE.rglob("*.py"))
        for line in file.read_text(encoding="utf-8").splitlines()
        if re.search(r"(?<![\w.])Table\(", line) and "class WholeTable" not in line
    ]
    assert not plain, plain


def test_a_pipe_gets_whole_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    console = SafeConsole(file=io.StringIO())
    assert console.width == PIPE_WIDTH
    table = WholeTable("file")
    table.add_row("x" * 500)
    console.print(table)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "x" * 500 in text
    assert max(map(len, text.splitlines())) < 510


@pytest.mark.parametrize("text", ["a[/x]b", "[bold]x[/bold]", ":smile:", "[link=http://x]y"])
def test_brackets_and_colons_are_text(text: str) -> None:
    console = SafeConsole(file=io.StringIO())
    table = WholeTable(text, title=text, caption=text)
    table.add_row(text)
    console.print(text, table)
    assert console.file.getvalue().count(text) == 5  # type: ignore[attr-defined]
