"""Retries: which failures, how long, and no secret in any line."""

from l2t_hub.hub.retry import without_secrets


def test_secrets_are_blotted_out() -> None:
    text = "PUT http://x/lfs/object/1?expires=5&signature=abcdef Authorization: Bearer secret-token hf_ABCDEFGHIJ mine"
    clean = without_secrets(text, "mine")
    assert not [secret for secret in ("abcdef", "secret-token", "hf_ABC", "mine") if secret in clean]
    assert "PUT http://x/lfs/object/1?expires=5" in clean
