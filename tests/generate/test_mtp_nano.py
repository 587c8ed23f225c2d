"""The models of recipes/mtp/nano.yaml, trained as `l2t run` does: drafts give the same text on a thousand prompts."""

import json
from pathlib import Path

import pytest

from l2t_hub.corpus.files import SAMPLE, find_files
from l2t_hub.dataset.build import build
from l2t_hub.dataset.progress import SilentReporter
from l2t_hub.generate import generate
from l2t_hub.recipe import load_releases
from l2t_hub.train import train
from l2t_hub.train.verify_model import verify_model

PROMPTS, NEW, WORDS = 1000, 24, 6


def prompts() -> list[str]:
    """A thousand windows of words of the bundled sample."""
    words = " ".join(path.read_text(encoding="utf-8") for path in find_files(SAMPLE, "")[1]).split()
    step = len(words) // PROMPTS
    return [" ".join(words[n * step : n * step + 1 + n % WORDS]) for n in range(PROMPTS)]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_drafts_of_the_nano_models_give_the_greedy_text_of_a_thousand_prompts(
    tmp_path: Path, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    releases = load_releases(str(repository / "recipes" / "mtp" / "nano.yaml"))
    assert [release.name for release in releases] == [
        "nano-l2t",
        "nano-l2t-mtp",
        "nano-l2t-mtp-forward",
        "nano-l2t-mtp-reverse",
    ]
    build(releases[0], tmp_path / "data", workers=1, progress=SilentReporter())
    report = {}
    for release in releases:
        out = tmp_path / release.name
        result = train(release, tmp_path / "data", out)
        assert not verify_model(out).problems
        report[release.name] = {"eval_loss": result.eval_loss, "seconds": result.seconds}
        if release.objective.kind == "next_token":
            continue
        greedy = generate(str(out), prompts(), max_new_tokens=NEW)
        drafted = generate(str(out), prompts(), max_new_tokens=NEW, speculative=True)
        for one, other in zip(greedy.continuations, drafted.continuations, strict=True):
            assert one.tokens == other.tokens, one.prompt
        assert drafted.passes < greedy.passes
        report[release.name] |= drafted.as_dict() | {"continuations": None, "greedy_seconds": greedy.seconds}
    with capsys.disabled():
        print(json.dumps(report, indent=2))
