"""The look of the page, and what of Gradio's server it leaves closed: the arguments of `launch()`.

Gradio's theme colours its own controls; page.css has the colours of what this package renders. In both, a text has a
contrast of 4.5:1 or more to what is behind it, in light and dark.
"""

from pathlib import Path
from typing import Any

import gradio as gr

from l2t_hub.demo.front_door import FrontDoor

STYLES = sorted(Path(__file__).parent.glob("*.css"), key=lambda path: (path.name != "page.css", path.name))
SYSTEM_FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")

# Screen readers read what changes in a live region, but not a region that is new on the page, as every answer is.
ANNOUNCE = """() => {
  const said = document.createElement('div');
  said.setAttribute('role', 'status');
  said.id = 'l2t-announced';
  said.style.cssText = 'position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%)';
  document.body.append(said);
  const announce = () => {
    for (const line of document.querySelectorAll('.l2t-summary[role=status]')) {
      line.removeAttribute('role');
      if (line.checkVisibility()) said.textContent = line.textContent;
    }
  };
  new MutationObserver(announce).observe(document.body, {childList: true, subtree: true});
  announce();
}"""


def launch_settings() -> dict[str, Any]:
    """Return the arguments of `launch()` that every page has. Gradio 6 takes theme and CSS there."""
    from starlette.middleware import Middleware  # comes with Gradio

    return {
        "theme": page_theme(),
        "css_paths": STYLES,
        "js": ANNOUNCE,
        "footer_links": [],
        "ssr_mode": False,
        "pwa": False,
        "run_history": False,
        "enable_monitoring": False,
        "show_error": False,
        "app_kwargs": {"middleware": [Middleware(FrontDoor)]},
    }


def page_theme() -> gr.themes.Base:
    """Return the theme: fonts of the visitor's system, and colours that can be read."""
    theme = gr.themes.Default(
        primary_hue=gr.themes.colors.blue,
        neutral_hue=gr.themes.colors.gray,
        font=SYSTEM_FONTS,
        font_mono=("ui-monospace", "Consolas", "monospace"),
    )
    return theme.set(
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        block_label_text_color="*neutral_700",
        block_label_text_color_dark="*neutral_200",
        block_title_text_color="*neutral_700",
        block_title_text_color_dark="*neutral_200",
        input_placeholder_color="*neutral_500",
        input_placeholder_color_dark="*neutral_400",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_800",
        color_accent="*primary_700",
    )
