"""The names in a release: cards and records name what is on the Hub that it goes to, and no path of this machine."""

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from release_hub import WatchedHub, put, released, run
from tiny_release import TinyRelease

from l2t_hub.artifacts import sha256_of
from l2t_hub.errors import UsageError, UserError
from l2t_hub.publish.cards import write_card_again, write_model_card
from l2t_hub.publish.naming import check_card, check_license
from l2t_hub.publish.space import model_names, stage_space
from l2t_hub.records.card_text import BEGIN, card_digest, card_state
from l2t_hub.records.public_recipe import public_recipe, source_title

Copy = Callable[[Path], Path]


def read(hub: WatchedHub, kind: str, repo: str, path: str) -> bytes:
    prefix = {"model": "", "dataset": "datasets/", "space": "spaces/"}[kind]
    url = f"{hub.url}/{prefix}{repo}/resolve/main/{path}"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {hub.keys.read}"})
    with urllib.request.urlopen(request, timeout=30) as reply:
        return bytes(reply.read())


def files_of(directory: Path) -> dict[str, str]:
    return {str(path): sha256_of(path) for path in sorted(directory.rglob("*")) if path.is_file()}


def front_matter(card: str) -> dict:
    return dict(yaml.safe_load(card.split("---\n")[1]))


def test_a_release_under_a_name_names_everything_on_that_hub(
    hub: WatchedHub, tiny: TinyRelease, copied: Copy, tmp_path: Path
) -> None:
    raw, l2t, data = copied(tiny.baseline), copied(tiny.model), copied(tiny.dataset)
    for model in (raw, l2t):
        write_model_card(model, scores=[tiny.scores])
    before = files_of(tmp_path / "lab")
    where = {"home": tmp_path / "client"}
    commit = released(run(hub, data, "mine/tiny-l2t", "--collection", "Tiny", **where))["revision"]
    for model, repo in ((raw, "mine/tiny-raw"), (l2t, "mine/other-name")):
        released(run(hub, model, repo, "--collection", "Tiny", **where))
    space = stage_space(
        tmp_path / "space", models=["tiny-raw", "other-name"], datasets=["its/own"], results=["its/scores"]
    )
    released(run(hub, space, "mine/compare", "--collection", "Tiny", **where))
    assert files_of(tmp_path / "lab") == before, "the directories stay as they are"

    card = read(hub, "dataset", "mine/tiny-l2t", "README.md")
    manifest = json.loads(read(hub, "dataset", "mine/tiny-l2t", "l2t_manifest.json"))
    assert 'load_dataset("mine/tiny-l2t"' in card.decode()
    assert manifest["files"]["README.md"] == card_digest(card)

    card = read(hub, "model", "mine/other-name", "README.md").decode()
    assert card.partition("---\n\n# ")[2].startswith("other-name\n")
    assert f"[mine/tiny-l2t]({hub.url}/datasets/mine/tiny-l2t), revision `{commit}`" in card
    assert f"the baseline [tiny-raw]({hub.url}/mine/tiny-raw)" in card
    assert "l2t reproduce mine/other-name" in card
    assert front_matter(card)["datasets"] == ["mine/tiny-l2t"]
    record = json.loads(read(hub, "model", "mine/other-name", "training.json"))
    assert record["dataset"] == {"name": "mine/tiny-l2t", "repository": "mine/tiny-l2t", "revision": commit}
    report = read(hub, "model", "mine/other-name", "eval/probes.json")
    assert [model["model"] for model in json.loads(report)["models"]] == ["mine/tiny-raw", "mine/other-name"]
    for path in ("README.md", "training.json", "eval/probes.json"):
        assert b"/tmp" not in read(hub, "model", "mine/other-name", path), path

    card = read(hub, "space", "mine/compare", "README.md").decode()
    assert front_matter(card)["models"] == ["mine/tiny-raw", "mine/other-name"]
    assert front_matter(card)["preload_from_hub"] == ["mine/tiny-raw", "mine/other-name"]
    assert front_matter(card)["datasets"] == ["its/own", "mine/tiny-l2t"]
    assert front_matter(card)["l2t_results"] == ["its/scores"]
    assert f"and [mine/tiny-l2t]({hub.url}/datasets/mine/tiny-l2t)." in card
    assert sorted(hub.collected("Tiny")) == [
        "mine/compare",
        "mine/other-name",
        "mine/tiny-l2t",
        "mine/tiny-raw",
    ]


def test_what_the_hub_does_not_have_is_not_named(hub: WatchedHub, tiny: TinyRelease, copied: Copy) -> None:
    model = copied(tiny.model)
    record = json.loads((model / "training.json").read_text(encoding="utf-8"))
    record["dataset"] = {"name": "theirs/data", "repository": "theirs/data", "revision": "1" * 40}
    (model / "training.json").write_text(json.dumps(record), encoding="utf-8")
    write_model_card(model, scores=[tiny.scores])
    put(hub, "model", "mine/tiny-raw", {"model.safetensors": b"other weights of this name"})
    released(run(hub, model, "mine/tiny-l2t"))
    card = read(hub, "model", "mine/tiny-l2t", "README.md").decode()
    assert "The dataset had not been published" in card
    assert "theirs" not in card
    assert "the baseline `tiny-raw`" in card
    report = json.loads(read(hub, "model", "mine/tiny-l2t", "eval/probes.json"))
    assert [scored["model"] for scored in report["models"]] == ["tiny-raw", "mine/tiny-l2t"]
    published = json.loads(read(hub, "model", "mine/tiny-l2t", "training.json"))
    assert published["dataset"] == {"name": "data", "repository": None, "revision": None}


def test_a_space_of_models_that_are_not_there_is_refused_with_a_remedy(
    hub: WatchedHub, tmp_path: Path
) -> None:
    space = stage_space(tmp_path / "space", models=["nowhere"])
    done = run(hub, space, "mine/compare")
    assert done.returncode == 1
    assert "the Space shows mine/nowhere, which rehearsal Hub" in done.stderr
    assert "Release the models first" in done.stderr
    assert "Then continue the release with:\nl2t release" in done.stderr


def test_a_release_needs_a_licence(tiny: TinyRelease, copied: Copy) -> None:
    directory = copied(tiny.dataset)
    manifest = json.loads((directory / "l2t_manifest.json").read_text(encoding="utf-8"))
    manifest["recipe"]["source"]["license"] = None
    (directory / "l2t_manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    write_card_again(directory)
    with pytest.raises(UserError, match="no licence is known for this dataset") as caught:
        check_card(directory, "dataset", None)
    assert "--license cc-by-4.0" in str(caught.value)
    check_card(directory, "dataset", "cc-by-4.0")
    write_card_again(directory, "cc-by-4.0")
    check_card(directory, "dataset", None)
    for wrong in ("unknown", "CC BY", "../x", ""):
        with pytest.raises(UsageError, match="not an identifier of a licence"):
            check_license(wrong)


def test_a_licence_that_is_given_is_on_card_and_manifest(
    hub: WatchedHub, tiny: TinyRelease, copied: Copy
) -> None:
    released(run(hub, copied(tiny.dataset), "mine/data", "--license", "odc-by"))
    card = read(hub, "dataset", "mine/data", "README.md").decode()
    assert front_matter(card)["license"] == "odc-by"
    assert "Licence of the source text: `odc-by`" in card
    manifest = json.loads(read(hub, "dataset", "mine/data", "l2t_manifest.json"))
    assert manifest["recipe"]["source"]["license"] == "odc-by"


def test_an_edited_card_is_refused_with_a_remedy_that_works(tiny: TinyRelease, copied: Copy) -> None:
    for directory, kind in ((copied(tiny.dataset), "dataset"), (copied(tiny.model), "model")):
        card = write_card_again(directory)[0]
        card.write_text(
            card.read_text(encoding="utf-8").replace("## Limitations", "## Limits"), encoding="utf-8"
        )
        with pytest.raises(UserError, match="was edited outside your own section") as caught:
            check_card(directory, kind, None)
        assert f"`l2t card {directory}`" in str(caught.value)
        write_card_again(directory)
        check_card(directory, kind, None)
        text = card.read_text(encoding="utf-8")
        card.write_text(text.replace(f"{BEGIN}\n", f"{BEGIN}\nMine.\n"), encoding="utf-8")
        check_card(directory, kind, None)
    card.write_text("---\nlicense: mit\n---\n# All my own\n", encoding="utf-8")
    check_card(directory, kind, None)
    assert card_state(card.read_text(encoding="utf-8")) == "foreign"
    with pytest.raises(UserError, match="this card is your own, so --license does not change it"):
        check_card(directory, kind, "mit")


def test_a_card_of_a_damaged_dataset_is_an_error_that_says_what_to_do(
    tiny: TinyRelease, copied: Copy
) -> None:
    directory = copied(tiny.dataset)
    with (directory / "README.md").open("a", encoding="utf-8") as file:
        file.write("Edited.\n")
    card = (directory / "README.md").read_bytes()
    shard = next(directory.glob("data/examples/*/train-*.parquet"))
    for damage in (lambda: shard.write_bytes(b"PAR1 not a shard"), shard.unlink):
        damage()
        with pytest.raises(UserError, match="a shard is missing or damaged") as caught:
            write_card_again(directory)
        assert f"`l2t verify {directory}` says which" in str(caught.value)
        assert (directory / "README.md").read_bytes() == card


def test_a_space_names_directories_by_their_last_part(
    tiny: TinyRelease, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert model_names([str(tiny.model), "org/other"]) == ["tiny-l2t", "org/other"]
    with pytest.raises(UsageError, match="two models have one name"):
        model_names([str(tiny.model), str(tiny.model)])
    with pytest.raises(UsageError, match="nowhere: no such directory, and not a name on the Hub"):
        model_names(["nowhere"])
    monkeypatch.chdir(tiny.model.parent.parent)
    mistyped = f"{tiny.model.parent.name}/tiny-l2"
    with pytest.raises(UsageError, match=f"{mistyped}: no such directory") as caught:
        model_names([mistyped])
    assert (
        caught.value.hint
        == f"Did you mean '{mistyped}t'? If you mean the Hub, name a revision: {mistyped}@main."
    )
    assert model_names([f"{mistyped}@main"]) == [mistyped]


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/home/me/river.txt", "a local text, river.txt"),
        ("texts/2026/*.txt", "a local text, *.txt"),
        ("C:\\texts\\river.txt", "a local text, river.txt"),
        ("/", "a local text, text"),
        ("bundled:sample", "bundled:sample"),
    ],
)
def test_a_local_source_is_called_by_its_file_name(path: str, shown: str) -> None:
    tree = {"source": {"path": path, "dataset": None, "title": None}, "tokenizer": {"name": "/opt/tok"}}
    assert source_title(tree) == shown
    assert public_recipe(tree)["tokenizer"]["name"] == "tok"
    assert tree["source"]["path"] == path, "the tree itself stays"
