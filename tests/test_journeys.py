"""Five journeys of a new user, each from an empty folder with the installed wheel.

Every line is typed as a user types it. What is published is read back with the Hub's own clients.
"""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from german_text import german_documents
from random_moments import seeded
from test_docs import text_of

from l2t_hub.hub.local_server import running_local_hub

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

SMALL = """\
extends: nano
source: {limit: 60}
validation: {near_duplicates: keep}
model: {num_hidden_layers: 1, hidden_size: 32, num_attention_heads: 2, num_key_value_heads: 1, head_dim: 16, intermediate_size: 64}
train: {max_steps: 40, warmup_steps: 4, eval_steps: 20, save_steps: 10}
"""


class User:
    """A user in an empty folder, whose `l2t` is that of the installed wheel."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        self.folder = folder
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "PYTHON"))}
        self.environment = kept | {
            "PATH": f"{wheel / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(wheel),
            "HOME": str(folder.parent / "home"),
            "OMP_NUM_THREADS": "1",
        }

    def write(self, name: str, text: str, encoding: str = "utf-8") -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding=encoding)

    def type(self, line: str, status: int = 0, **environment: str) -> str:
        """Type a command, which must end with `status`; all that it prints."""
        done = subprocess.run(
            shlex.split(line), cwd=self.folder, env=self.environment | environment,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=900,
        )  # fmt: skip
        assert done.returncode == status, f"{line}\nexit {done.returncode}\n{done.stdout[-4000:]}"
        assert "Traceback" not in done.stdout, done.stdout
        return done.stdout

    @contextmanager
    def local_hub(self, folder: str) -> Iterator[dict[str, str]]:
        """Run `l2t hub serve`; the environment that leads the Hub's clients to it."""
        command = ["l2t", "hub", "serve", "--dir", folder, "--port", "0"]
        server = subprocess.Popen(
            command, cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, text=True
        )
        assert server.stdout is not None
        try:
            url = next(
                found[0]
                for line in server.stdout
                if (found := re.search(r"http://127\.0\.0\.1:\d+[\w/]*", line))
            )
            token = json.loads((self.folder / folder / "tokens.json").read_text("utf-8"))["write"]
            yield {"HF_ENDPOINT": url.rstrip("/"), "HF_TOKEN": token}
        finally:
            server.send_signal(signal.SIGINT)
            server.communicate(timeout=60)

    def python(self, code: str, **environment: str) -> str:
        """Run Python with the Hub's clients, as a user of what was published does."""
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=self.folder, env=self.environment | environment,
            capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout

    def card(self, path: str) -> str:
        return (self.folder / path / "README.md").read_text("utf-8")

    def front_matter(self, path: str) -> dict[str, object]:
        matter: dict[str, object] = yaml.safe_load(self.card(path).split("---\n")[1])
        return matter


@pytest.fixture
def user(tmp_path: Path, installed_wheel: Path) -> User:
    (tmp_path / "empty").mkdir()
    (tmp_path / "home").mkdir()
    return User(tmp_path / "empty", installed_wheel)


def test_own_german_text_becomes_a_released_dataset(user: User) -> None:
    rows = [f'"{text}";{number}' for number, text in enumerate(german_documents(150))]
    user.write("texte.csv", "\n".join(["text;nummer", *rows, ""]), encoding="cp1252")
    user.write(
        "deutsch.yaml",
        "name: deutsch\nextends: nano\nvariants: {nano-raw: null, nano-l2t: {name: deutsch}}\n"
        "source: {path: texte.csv, id_column: nummer, language: de, title: Kurze Texte}\n",
    )
    user.type("l2t recipes validate deutsch.yaml")
    built = user.type("l2t build deutsch.yaml --out data/deutsch")
    assert "cp1252" in built  # what was detected
    user.type("l2t verify data/deutsch")
    refused = user.type("l2t release data/deutsch --repo my-org/deutsch --hub local:hub", status=1)
    assert "licence" in refused
    user.type("l2t release data/deutsch --repo my-org/deutsch --hub local:hub --license cc0-1.0")
    with user.local_hub("hub") as hub:
        printed = user.python(
            "from huggingface_hub import DatasetCard\n"
            "from datasets import load_dataset\n"
            "card = DatasetCard.load('my-org/deutsch')\n"
            "print(card.data.language, card.data.license)\n"
            "print(str(card).count('apache'), 'sample of l2t_hub' in str(card), 'texte.csv' in str(card))\n"
            "typos = load_dataset('my-org/deutsch', 'typo', split='train')\n"
            "print(len(typos), 'ß' in str(typos['text']) or 'ü' in str(typos['text']))\n",
            **hub,
        )
    language, mentions, examples = printed.splitlines()
    assert "de" in language
    assert language.endswith("cc0-1.0")
    assert mentions == "0 False True"
    assert int(examples.split()[0]) > 0
    assert examples.endswith("True")


def test_an_own_task_file_becomes_a_released_dataset(user: User, repository: Path) -> None:
    code = re.search(r"```python\n(.*?)```", text_of(repository / "docs" / "own-task.md"), re.DOTALL)
    assert code
    user.write("my_tasks.py", code[1])
    user.type("l2t tasks reversed_word --module my_tasks.py")
    mixture = '--set "mixture.modules=[my_tasks.py]" --set "mixture.tasks=[typo, reversed_word]"'
    user.type(f"l2t build nano --variant nano-l2t --out data/mine {mixture}")
    user.type("l2t release data/mine --repo my-org/mine --hub local:hub")
    refused = user.type("l2t reproduce my-org/mine --hub local:hub", status=1)
    (digest,) = set(re.findall(r"\b[0-9a-f]{64}\b", refused))
    user.type(f"l2t reproduce my-org/mine --hub local:hub --trust-modules {'0' * 64}", status=1)
    user.type(f"l2t reproduce my-org/mine --hub local:hub --trust-modules {digest}")


def test_nano_extended_to_shared_with_a_named_tokenizer(user: User) -> None:
    user.type("l2t build nano --variant nano-l2t --out data/first")
    user.write(
        "shared.yaml",
        "name: shared\nextends: nano\ntokenizer: {name: data/first/tokenizer}\n"
        "variants: {nano-raw: null, nano-l2t: {name: nano-shared, mixture: {scheme: shared}}}\n",
    )
    assert "raw_share" in user.type(
        "l2t recipes validate shared.yaml"
    )  # a note: the inherited key is dropped
    user.type("l2t build shared.yaml --out data/shared")
    manifest = json.loads((user.folder / "data/shared/l2t_manifest.json").read_text("utf-8"))
    assert manifest["recipe"]["mixture"]["scheme"] == "shared"
    user.type("l2t reproduce data/shared")
    disagrees = user.type("l2t train nano --variant nano-l2t --data data/shared --out models/wrong", status=2)
    assert "mixture.scheme" in disagrees


def test_step_by_step_ends_where_a_run_ends(user: User) -> None:
    user.write("mine.yaml", f"name: mine\n{SMALL}")
    names = ("nano-raw", "nano-l2t")
    user.type("l2t run mine.yaml --out run --hub local:whole --namespace my-org")
    for name in names:
        user.type(f"l2t build mine.yaml --variant {name} --out data/{name}")
        user.type(f"l2t train mine.yaml --variant {name} --data data/{name} --out models/{name}")
        assert "Not evaluated yet" in user.card(f"models/{name}")
    models = " ".join(f"models/{name}" for name in names)
    user.type(f"l2t eval {models} --suite probes --out scores.json")
    assert "### L2T probes" in user.card("models/nano-l2t")
    user.type(f"l2t space {models} --out spaces/mine-compare")
    release = f"l2t release spaces/mine-compare {models} data/nano-raw data/nano-l2t --collection mine"
    to = "--namespace my-org --hub local:steps"
    assert user.type(f"{release} {to} --dry-run").count("nothing was sent") == 5
    user.type(f"{release} {to}")

    whole, steps = published(user.folder / "whole"), published(user.folder / "steps")
    assert steps.collections == whole.collections
    assert steps.files == whole.files
    assert len(steps.files) == 5
    assert steps.cards == whole.cards
    for card in steps.cards.values():
        assert str(user.folder) not in card
        assert "rehearsal" not in card.replace("HUB/rehearsal", "HUB")

    assert user.type(f"{release} {to}").count("unchanged: http") == 5
    user.type("l2t reproduce my-org/nano-l2t --hub local:steps")
    user.type(f"{release} --namespace lab --hub local:steps")
    lab = {name: card for name, card in published(user.folder / "steps").cards.items() if " lab/" in name}
    assert len(lab) == 5
    assert [name for name, card in lab.items() if "my-org" in card] == []


@dataclass(frozen=True)
class Published:
    """What is on a Hub: the items of its collections, and the paths and the card of each repo."""

    collections: set[str]
    files: dict[str, set[str]]
    cards: dict[str, str]


def fetch(hub: tuple[str, str], path: str) -> str:
    url, token = hub
    request = urllib.request.Request(f"{url}/{path}", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=60) as reply:
        return str(reply.read().decode())


def published(directory: Path) -> Published:
    with running_local_hub(directory) as hub:
        repos: dict[str, set[str]] = {}
        cards: dict[str, str] = {}
        for kind in ("datasets", "models", "spaces"):
            prefix = "" if kind == "models" else f"{kind}/"
            for repo in json.loads(fetch(hub, f"api/{kind}")):
                tree = json.loads(fetch(hub, f"api/{kind}/{repo['id']}/tree/main?recursive=true"))
                repos[f"{kind} {repo['id']}"] = {file["path"] for file in tree}
                cards[f"{kind} {repo['id']}"] = fetch(hub, f"{prefix}{repo['id']}/resolve/main/README.md")
        collections = json.loads(fetch(hub, "api/collections"))
        items = {f"{row['title']}: {item['id']}" for row in collections for item in row["items"]}
        return Published(items, repos, {name: comparable(card) for name, card in cards.items()})


def comparable(card: str) -> str:
    """A card without what differs between any two runs: times, addresses, commits and what is hashed of them."""
    card = re.sub(r"http://127\.0\.0\.1:\d+", "HUB", card)
    card = re.sub(r"\b[0-9a-f]{40}\b", "COMMIT", card)
    card = re.sub(r"SHA-256 of this card without your own text: [0-9a-f]{64}", "SHA-256", card)
    card = re.sub(r"Training took .* tokens per second", "Training took", card)
    return re.sub(r"run on \S+ on", "run on", card)


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda by: by.name)
def test_each_verb_is_stopped_and_resumed(user: User, by: signal.Signals) -> None:
    moments, stopped = seeded(), 0
    user.write("mine.yaml", f"name: mine\n{SMALL}")
    lines = {
        "build": "l2t build mine.yaml --variant nano-l2t --out data/nano-l2t",
        "train": "l2t train mine.yaml --variant nano-l2t --data data/nano-l2t --out models/nano-l2t",
        "eval": "l2t eval models/nano-l2t --suite probes --out scores.json",
        "release": "l2t release data/nano-l2t models/nano-l2t --namespace my-org --hub local:hub",
        "run": "l2t run mine.yaml --out run --hub local:whole --namespace my-org",
    }
    for verb, line in lines.items():
        for _ in range(2):
            stopped += stop(user, line, by, moments.uniform(0.5, 8))
        user.type(line)
        if verb == "build":
            user.type("l2t verify data/nano-l2t")
        if verb == "train":
            user.type("l2t verify models/nano-l2t")
    assert stopped, "every command ended before it was stopped"
    user.type("l2t reproduce my-org/nano-l2t --hub local:hub --sample 1")


def stop(user: User, line: str, by: signal.Signals, seconds: float) -> bool:
    """Type a command and stop it after some seconds. Return whether it was not done by then."""
    command = subprocess.Popen(
        shlex.split(line), cwd=user.folder, env=user.environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    time.sleep(seconds)
    command.send_signal(by)
    printed = command.communicate(timeout=120)[0]
    expected = {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}[by]
    assert command.returncode in (0, expected), f"{line}: exit {command.returncode}\n{printed}"
    assert "Traceback" not in printed, printed
    assert "resource_tracker" not in printed, printed
    return command.returncode != 0
