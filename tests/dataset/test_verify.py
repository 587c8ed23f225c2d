"""`verify` finds damage of every kind."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dataset_helpers import RecipeFactory, build_silently

from l2t_hub.dataset.verify import verify
from l2t_hub.errors import UserError


def test_damage_of_every_kind_is_found_by_verify(make_recipe: RecipeFactory, tmp_path: Path) -> None:
    out = tmp_path / "out"
    build_silently(make_recipe({"source.limit": 60}), out)
    shard = next((out / "data/packed").glob("train-00000-*"))
    manifest = out / "l2t_manifest.json"
    tree = json.loads(manifest.read_text())
    name = shard.relative_to(out).as_posix()
    entry = next(n for n, s in enumerate(tree["shards"]) if s["path"] == name)

    def edited(change: Callable[[dict[str, Any]], None]) -> list[str]:
        copy = json.loads(json.dumps(tree))
        change(copy)
        manifest.write_text(json.dumps(copy))
        problems = verify(out).problems
        manifest.write_text(json.dumps(tree))
        return problems

    assert verify(out).problems == []
    assert any("tokens" in p for p in edited(lambda t: t["shards"][entry].update(tokens=1)))
    assert any("rows" in p for p in edited(lambda t: t["shards"][entry].update(rows=1)))
    assert any("bytes" in p for p in edited(lambda t: t["shards"][entry].update(bytes=1)))
    assert any("SHA-256" in p for p in edited(lambda t: t["shards"][entry].update(sha256="0" * 64)))
    assert any("not in the manifest" in p for p in edited(lambda t: t["shards"].pop(entry)))
    assert any("ledger" in p for p in edited(lambda t: t["ledger"][0].update({"in": 0})))
    assert any("tokenizer" in p for p in edited(lambda t: t["tokenizer"].update(vocab_size=5)))
    assert any("fingerprint" in p for p in edited(lambda t: t["recipe"].update(seed=43)))
    assert any("fingerprint" in p for p in edited(lambda t: t.update(fingerprint="0" * 64)))
    assert any("key" in p for p in edited(lambda t: t["partitions"][0].update(inputs="0" * 64)))
    assert any("key" in p for p in edited(lambda t: t["made_by"].update(numpy="0")))
    assert any("README.md" in p for p in edited(lambda t: t["files"].update({"README.md": "0" * 64})))
    shard.unlink()
    assert verify(out).problems[0] == f"{name}: missing, but listed in the manifest"
    with pytest.raises(UserError, match=r"l2t_manifest\.json is missing"):
        verify(tmp_path)
    manifest.write_text("{")
    with pytest.raises(UserError, match="cannot be read as a manifest"):
        verify(out)
