"""The sizes of the family as plain numbers: checking a recipe or planning a run needs no torch and no transformers.

The sizes `100m`, `500m` and `1b` are the paper's (docs/method.md); `nano` trains in minutes on two cores.
"""

from dataclasses import dataclass

from l2t_hub.errors import UsageError
from l2t_hub.recipe import Recipe

VOCABULARY_MULTIPLE = 128


@dataclass(frozen=True)
class Architecture:
    """The shape of a Qwen2 model; field names are those of transformers' Qwen2Config."""

    num_hidden_layers: int
    hidden_size: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    intermediate_size: int

    def parameters(self, vocab_size: int) -> int:
        """Return the number of weights for a tokenizer of `vocab_size` entries, tied embeddings counted once.

        Queries, keys and values have biases; RMSNorm has a weight per channel, twice per layer and once at the end.
        """
        embedding = rounded_vocabulary(vocab_size) * self.hidden_size
        return embedding + self.num_hidden_layers * self._layer_parameters() + self.hidden_size

    def _layer_parameters(self) -> int:
        hidden, head = self.hidden_size, self.head_dim
        queries, keys = self.num_attention_heads * head, self.num_key_value_heads * head
        attention = (hidden + 1) * (queries + 2 * keys) + queries * hidden
        return attention + 3 * hidden * self.intermediate_size + 2 * hidden

    def flops_per_token(self, vocab_size: int, sequence_length: int) -> int:
        """Return the floating-point operations that training on a token takes: 6N + 12LHQT.

        This is how PaLM counts them (Chowdhery et al., 2022, arXiv 2204.02311, appendix B): forward and backward pass
        of the N parameters, and of attention in L layers of H heads of width Q over T positions. What is recomputed
        or skipped does not count, so a device that does more work for the same tokens shows a lower utilisation.
        """
        return 6 * self.parameters(vocab_size) + self.num_hidden_layers * self._attention(sequence_length)

    def head_flops_per_token(self, kind: str, vocab_size: int, sequence_length: int) -> int:
        """Return what a further prediction head adds: its layer or matrix, and the output layer once more."""
        own, attention = self.hidden_size**2, 0
        if kind == "layer":
            own, attention = self._layer_parameters(), self._attention(sequence_length)
        return 6 * (own + rounded_vocabulary(vocab_size) * self.hidden_size) + attention

    def _attention(self, sequence_length: int) -> int:
        return 12 * self.num_attention_heads * self.head_dim * sequence_length


SIZES: dict[str, Architecture] = {
    #                    layers hidden heads kv  head  MLP
    "nano": Architecture(4, 128, 4, 2, 32, 352),
    "100m": Architecture(12, 768, 12, 2, 64, 2560),
    "500m": Architecture(24, 1024, 24, 2, 42, 4864),  # head dimension = floor(1024 / 24)
    "1b": Architecture(30, 1728, 32, 4, 54, 4752),
}


def rounded_vocabulary(vocab_size: int) -> int:
    """Return the rows of the embedding for a tokenizer: its entries, rounded up to a multiple of 128."""
    return -(-vocab_size // VOCABULARY_MULTIPLE) * VOCABULARY_MULTIPLE


def architecture(recipe: Recipe) -> Architecture:
    """Return a recipe's architecture: its size with the recipe's own keys on top.

    A new width or head count changes the head dimension too, unless the recipe sets it.
    Raises UsageError if the heads do not divide evenly or the head dimension is odd.
    """
    base = SIZES[recipe.model.size]
    given = {k: v for k, v in recipe.model.model_dump(exclude={"size"}).items() if v is not None}
    if "head_dim" not in given and given.keys() & {"hidden_size", "num_attention_heads"}:
        hidden = given.get("hidden_size", base.hidden_size)
        given["head_dim"] = hidden // given.get("num_attention_heads", base.num_attention_heads)
    shape = Architecture(**(vars(base) | given))
    if shape.num_attention_heads % shape.num_key_value_heads:
        raise UsageError(
            f"{recipe.where('model.num_attention_heads')}: {shape.num_attention_heads} query heads cannot share "
            f"{shape.num_key_value_heads} key and value heads evenly",
            "Make `model.num_attention_heads` a multiple of `model.num_key_value_heads`.",
        )
    if shape.head_dim < 2 or shape.head_dim % 2:
        raise UsageError(
            f"{recipe.where('model.head_dim')}: the head dimension is {shape.head_dim}; it must be even",
            "Set `model.head_dim`, or choose `model.hidden_size` and `model.num_attention_heads` to suit.",
        )
    return shape
