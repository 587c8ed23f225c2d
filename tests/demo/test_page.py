"""The page as it is built: its tabs, and what it sends where."""

import pytest

from l2t_hub.demo.model_pool import ModelPool
from l2t_hub.demo.page import build_page
from l2t_hub.demo.page_context import PageContext


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # Gradio leaves its loop to the collector
def test_the_page_is_built_with_one_model_and_loads_none() -> None:
    models = {"only": "nowhere"}
    page = build_page(PageContext(models, ModelPool(models, memory=1)))
    labels = [block.label for block in page.blocks.values() if getattr(block, "label", None)]
    assert {"Compare", "Models", "Grammatical sentence"} <= set(labels)
    assert page.analytics_enabled is False
