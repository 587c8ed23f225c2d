"""The verbs one by one, under a name of one's own, end with the same repos and cards as `l2t run`."""

import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from test_run import NAMES, TINY

from l2t_hub.hub.local_server import running_local_hub

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
KINDS = ("datasets", "models", "spaces")


def l2t(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "l2t_hub.cli", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{arguments}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


def fetch(hub: tuple[str, str], path: str) -> str:
    url, token = hub
    request = urllib.request.Request(f"{url}/{path}", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=60) as reply:
        return str(reply.read().decode())


def released(directory: Path) -> tuple[set[str], dict[str, set[str]], dict[str, str]]:
    """What is on a Hub: its repos and collections, the paths in each repo, and the cards."""
    with running_local_hub(directory) as hub:
        repos: dict[str, set[str]] = {}
        cards: dict[str, str] = {}
        for kind in KINDS:
            prefix = "" if kind == "models" else f"{kind}/"
            for repo in json.loads(fetch(hub, f"api/{kind}")):
                tree = json.loads(fetch(hub, f"api/{kind}/{repo['id']}/tree/main?recursive=true"))
                repos[f"{kind} {repo['id']}"] = {file["path"] for file in tree}
                cards[f"{kind} {repo['id']}"] = fetch(hub, f"{prefix}{repo['id']}/resolve/main/README.md")
        collections = json.loads(fetch(hub, "api/collections"))
        items = {f"{row['title']}: {item['id']}" for row in collections for item in row["items"]}
        return items, repos, {name: comparable(card) for name, card in cards.items()}


def comparable(card: str) -> str:
    """A card without what differs between any two runs: times, addresses, commits and what is hashed of them."""
    card = re.sub(r"http://127\.0\.0\.1:\d+", "HUB", card)
    card = re.sub(r"\b[0-9a-f]{40}\b", "COMMIT", card)
    card = re.sub(r"SHA-256 of this card without your own text: [0-9a-f]{64}", "SHA-256", card)
    card = re.sub(r"Training took .* tokens per second", "Training took", card)
    return re.sub(r"run on \S+ on", "run on", card)


def test_step_by_step_ends_where_the_whole_run_ends(tmp_path: Path) -> None:
    sets = [f"--set={key}={value}" for key, value in TINY.items()]
    l2t(tmp_path, "run", "nano", "--out", "all", "--namespace", "my-org", *sets)
    for name in NAMES:
        variant = ["nano", "--variant", name, *sets]
        l2t(tmp_path, "build", *variant, "--out", f"data/{name}")
        l2t(tmp_path, "train", *variant, "--data", f"data/{name}", "--out", f"models/{name}")
        assert "Not evaluated yet" in (tmp_path / "models" / name / "README.md").read_text(encoding="utf-8")
    models = [f"models/{name}" for name in NAMES]
    l2t(tmp_path, "eval", *models)
    assert "### L2T probes" in (tmp_path / models[1] / "README.md").read_text(encoding="utf-8")
    l2t(tmp_path, "space", *models, "--out", "spaces/nano-compare")
    directories = ["spaces/nano-compare", *models, *(f"data/{name}" for name in NAMES)]
    to = ["--namespace", "my-org", "--hub", "local:hub", "--collection", "nano"]
    assert l2t(tmp_path, "release", *directories, *to, "--dry-run").count("nothing was sent") == 5
    l2t(tmp_path, "release", *directories, *to)

    whole, steps = released(tmp_path / "all" / "hub"), released(tmp_path / "hub")
    assert steps[0] == whole[0]
    assert steps[1] == whole[1]
    assert len(steps[1]) == 5
    assert steps[2] == whole[2]
    for card in steps[2].values():
        assert str(tmp_path) not in card
        assert "rehearsal" not in card.replace("HUB/rehearsal", "HUB")

    again = l2t(tmp_path, "release", *directories, *to)
    assert again.count("unchanged: ") == 5
    other = ["--namespace", "lab", "--hub", "local:hub", "--collection", "nano"]
    l2t(tmp_path, "release", *directories, *other)
    for name, card in released(tmp_path / "hub")[2].items():
        if " lab/" in name:
            assert "my-org" not in card, name
