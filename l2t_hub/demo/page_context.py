"""What every tab of the page is given: the models, data sets and results that the owner offers."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from l2t_hub.demo.choice import ModelChoice, parse_choice
from l2t_hub.demo.model_pool import ModelPool

__all__ = ["ModelChoice", "PageContext"]


@dataclass(frozen=True)
class PageContext:
    """What the owner of the page offers, and the models in memory.

    `models` and `datasets` map the name shown to a directory or Hub name. `results` are results datasets or files
    besides those of the models. With `guest_models`, visitors may type names of other models on the Hub.
    """

    models: Mapping[str, str]
    pool: ModelPool
    datasets: Mapping[str, str] = field(default_factory=dict)
    results: tuple[str, ...] = ()
    guest_models: bool = False

    def resolve(self, text: str) -> ModelChoice:
        """Return the model that a visitor chose or typed as NAME or NAME@REVISION.

        Raises UserError if this page does not offer it.
        """
        return parse_choice(text, self.models, guests=self.guest_models)
