"""How probable a model finds a text, token by token: the one scorer of suites, page and reports."""

from l2t_hub.scoring.loading import ModelSource, Scorer, fetch_model, find_model, load_scorer
from l2t_hub.scoring.surprisal import Score, Token, score

__all__ = ["ModelSource", "Score", "Scorer", "Token", "fetch_model", "find_model", "load_scorer", "score"]
