"""The verb that continues texts with a model: generate."""

from pathlib import Path
from typing import Annotated

import typer

from l2t_hub.cli.models import PANEL, Device
from l2t_hub.cli.options import Json, SourceHub, examples
from l2t_hub.cli.terminal import answer, progress
from l2t_hub.errors import UsageError

MAX_NEW_TOKENS = 1 << 20
generation = typer.Typer()


@generation.command(
    name="generate",
    rich_help_panel=PANEL,
    epilog=examples(
        "l2t generate models/nano-l2t --prompt 'The old man walked'",
        "l2t generate models/mtp-none --prompts prompts.txt --speculative --json",
    ),
)
def generate_text(
    name: Annotated[
        str, typer.Argument(metavar="MODEL", help="A model directory, or the name of a model on the Hub.")
    ],
    prompt: Annotated[
        str | None, typer.Option("--prompt", metavar="TEXT", help="The text to continue.")
    ] = None,
    prompts: Annotated[
        Path | None,
        typer.Option("--prompts", metavar="FILE", help="A UTF-8 text file with a prompt on each line."),
    ] = None,
    speculative: Annotated[
        bool,
        typer.Option(
            "--speculative",
            help="Draft with the further heads of a model with multi-token prediction. The text is the same.",
        ),
    ] = False,
    max_new_tokens: Annotated[
        int,
        typer.Option(
            "--max-new-tokens",
            metavar="N",
            min=1,
            max=MAX_NEW_TOKENS,
            help="New tokens, if the text does not end before.",
        ),
    ] = 64,
    device: Device = None,
    hub: SourceHub = None,
    as_json: Json = False,
) -> None:
    """Continue a text with the tokens that a model finds likeliest (greedy decoding, in fp32).

    With --speculative, it also says how many of the drafts of each head became text.
    """
    texts = _texts(prompt, prompts)
    from l2t_hub.hub.connect import connected_for

    with connected_for(hub, name):
        from l2t_hub.generate import generate

        result = generate(name, texts, max_new_tokens=max_new_tokens, speculative=speculative, device=device)
    answer(as_json, result.as_dict(), *(one.prompt + one.text for one in result.continuations))
    if not as_json:
        progress(result.summary())


def _texts(prompt: str | None, prompts: Path | None) -> list[str]:
    """Return the prompts. Raises UsageError unless there is a text or a file with some, UserError for a bad file."""
    from l2t_hub.records.reading import read_bounded

    if (prompt is None) == (prompts is None):
        raise UsageError("one of --prompt and --prompts is needed", "Give a text, or a file of texts.")
    if prompts is None:
        return [prompt or ""]
    try:
        lines = read_bounded(prompts).decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise UsageError(f"{prompts}: not UTF-8: {error.reason} at byte {error.start:,}") from None
    texts = [line for line in lines if line.strip()]
    if not texts:
        raise UsageError(f"{prompts}: no prompts", "Write one prompt on each line.")
    return texts
