"""A model's states of a short text: what the suite `psychometric` compares."""

import numpy as np
import numpy.typing as npt

from l2t_hub.errors import UserError
from l2t_hub.scoring import Scorer

Floats = npt.NDArray[np.float64]


def states_of(label: str, scorer: Scorer, text: str) -> tuple[Floats, int]:
    """Return the mean state over the tokens of a text, a row for each layer, and the number of the tokens.

    The text follows one prefix token, without a space. Raises UserError if it has no tokens or more than the model
    reads, or if the states are not finite.
    """
    import torch

    ids = list(scorer.tokenizer(text, add_special_tokens=False)["input_ids"])
    if not ids:
        raise UserError(f"{label}: the tokenizer makes no token of '{text}'")
    check_length(label, scorer, text, len(ids) + 1)
    try:
        with torch.inference_mode():
            inputs = torch.tensor([[scorer.prefix_id, *ids]], device=scorer.model.device)
            output = scorer.model(input_ids=inputs, output_hidden_states=True, use_cache=False)
    except torch.OutOfMemoryError as error:
        raise UserError(
            f"{label}: the GPU has too little memory for {len(ids)} tokens: {str(error)[:200]}",
            "Use another device (`--device cpu`) or bfloat16 (`--dtype bfloat16`).",
        ) from error
    states = np.stack([layer[0, 1:].cpu().double().mean(dim=0).numpy() for layer in output.hidden_states])
    if not np.isfinite(states).all():
        raise UserError(
            f"{label}: its states of '{text}' are not finite",
            "The weights are probably not finite either, as after a training run that diverged.",
        )
    return states, len(ids)


def check_length(label: str, scorer: Scorer, text: str, tokens: int) -> None:
    """Raise UserError if a text has more tokens than a model reads."""
    if scorer.max_tokens is not None and tokens > scorer.max_tokens:
        raise UserError(
            f"{label}: '{text[:60]}' has {tokens} tokens, but the model reads at most {scorer.max_tokens}",
            "Shorten or remove this text.",
        )
