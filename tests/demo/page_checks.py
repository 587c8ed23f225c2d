"""What a page must keep on every screen, as lists of sentences that are empty when all is well.

The checks read the page as a person does who uses it without a mouse, with a screen reader, or on a phone: names and
contrast (axe-core), texts that are cut or cover each other, scrolling sideways, and where the keyboard's focus is.
"""

from playwright.sync_api import JSHandle, Page

SERIOUS = ("serious", "critical")

# Rectangles of all texts that are seen, a line each. Texts that only a screen reader reads have a box of 1 pixel.
TEXTS = """
() => {
  const seen = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, parent = node.parentElement;
    if (!node.data.trim() || !parent.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue;
    if (parent.closest('script, style, noscript, title, option')) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const box of range.getClientRects()) {
      if (box.width < 2 || box.height < 2) continue;
      let sticky = 0, clip = {left: -1e9, right: 1e9, top: -1e9, bottom: 1e9}, scrolls = false, hides = '';
      for (let up = parent; up && up !== document.documentElement; up = up.parentElement) {
        const style = getComputedStyle(up), edge = up.getBoundingClientRect();
        if (/auto|scroll/.test(style.overflowX + style.overflowY)) scrolls = true;
        if (style.overflowX !== 'visible' && up !== document.body) {
          clip = {left: Math.max(clip.left, edge.left), right: Math.min(clip.right, edge.right),
                  top: Math.max(clip.top, edge.top), bottom: Math.min(clip.bottom, edge.bottom)};
          if (style.textOverflow === 'ellipsis') hides = 'ellipsis';
        }
        if (style.position === 'sticky') sticky = 2;  // drawn over what scrolls below it
        if (style.position === 'fixed') break;
      }
      const shown = {left: Math.max(box.left, clip.left), right: Math.min(box.right, clip.right),
                     top: Math.max(box.top, clip.top), bottom: Math.min(box.bottom, clip.bottom)};
      if (shown.right - shown.left < 2 || shown.bottom - shown.top < 2) {
        if (clip.right - clip.left < 2 || clip.bottom - clip.top < 2 || scrolls) continue;
      }
      seen.push({text: node.data.trim().slice(0, 40), box, shown, scrolls, hides,
                 layer: parent.closest('[role=listbox], [role=dialog], [role=tooltip], .options, .toast-wrap') ? 1 : sticky,
                 node: seen.length && seen[seen.length - 1].data === node ? seen[seen.length - 1].node : seen.length,
                 data: node});
    }
  }
  return seen;
}
"""

CUT = (
    "() => { const texts = (" + TEXTS + ")(); const width = document.documentElement.clientWidth;"
    """
  return texts.filter(t => !t.scrolls && !t.hides && (
      t.box.right - t.shown.right > 2 || t.shown.left - t.box.left > 2 ||
      t.box.bottom - t.shown.bottom > t.box.height / 3 || t.box.right > width + 1 || t.box.left < -1))
    .map(t => `"${t.text}" is cut`);
}"""
)

OVERLAPS = (
    "() => { const texts = (" + TEXTS + ")(); const said = [];"
    """
  const trim = t => ({left: t.shown.left + 1, right: t.shown.right - 1,
                      top: t.shown.top + t.box.height * .2, bottom: t.shown.bottom - t.box.height * .2});
  const boxes = texts.map(trim);
  for (let a = 0; a < texts.length; a++)
    for (let b = a + 1; b < texts.length; b++) {
      if (texts[a].data === texts[b].data || texts[a].layer !== texts[b].layer) continue;
      const x = boxes[a], y = boxes[b];
      if (Math.min(x.right, y.right) - Math.max(x.left, y.left) > 1 &&
          Math.min(x.bottom, y.bottom) - Math.max(x.top, y.top) > 1)
        said.push(`"${texts[a].text}" and "${texts[b].text}" overlap`);
    }
  return said;
}"""
)

# A field shows one line of what is in it; all other text must be readable without scrolling sideways.
SIDEWAYS = """
() => {
  const root = document.documentElement, said = [];
  if (root.scrollWidth > root.clientWidth)
    said.push(`the page is ${root.scrollWidth} px wide on a screen of ${root.clientWidth}`);
  return said;
}
"""

# How the element with the focus looks, and its nearest surroundings: Gradio draws some focus rings around a parent.
LOOK = """
element => {
  const said = [];
  for (let up = element, n = 0; up && n < 4; up = up.parentElement, n++) {
    const s = getComputedStyle(up);
    said.push([s.outlineStyle === 'none' ? 'none' : s.outline, s.boxShadow, s.borderColor, s.backgroundColor,
               s.textDecorationLine].join('|'));
  }
  return said.join(' / ');
}
"""

FOCUSED = """
() => {
  const e = document.activeElement;
  if (!e || e === document.body) return null;
  const box = e.getBoundingClientRect();
  const label = e.getAttribute('aria-label') || e.title || (e.labels && e.labels[0] && e.labels[0].innerText)
      || e.innerText || e.id || e.outerHTML.slice(0, 80);
  return {label: label.trim().slice(0, 60), tag: e.tagName.toLowerCase(), role: e.getAttribute('role') || '',
          seen: box.width > 1 && box.height > 1, id: e.id};
}
"""


def axe_findings(page: Page) -> list[str]:
    """Run axe-core's rules; give those that matter to somebody who cannot use the page otherwise."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        f"{rule['id']} ({rule['impact']}): {node['html'][:200]} {node['failureSummary'][:400]}"
        for rule in found
        if rule["impact"] in SERIOUS
        for node in rule["nodes"]
    ]


def layout_findings(page: Page) -> list[str]:
    """Give what does not fit the screen: scrolling sideways, texts that are cut, texts over each other."""
    found: list[str] = []
    for check in (SIDEWAYS, CUT, OVERLAPS):
        found.extend(page.evaluate(check))
    return found


def tab_through(page: Page, most: int = 80) -> tuple[list[str], list[str]]:
    """Press Tab from the top of the page. Give the labels of what gets the focus, and where that cannot be seen."""
    page.add_style_tag(
        content="*, ::before, ::after { transition: none !important; animation: none !important; }"
    )
    page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
    labels: list[str] = []
    unseen: list[str] = []
    first: JSHandle | None = None
    last: tuple[JSHandle, str, str] | None = None
    for _ in range(most):
        page.keyboard.press("Tab")
        if last and last[0].evaluate("e => e.isConnected") and last[0].evaluate(LOOK) == last[1]:
            unseen.append(f"{last[2]} does not show that it has the focus")
        focused = page.evaluate(FOCUSED)
        if focused is None:
            if last is None:
                break
            last = None  # Gradio's open list of options takes the focus and closes; the next Tab goes on from there
            continue
        element = page.evaluate_handle("document.activeElement")
        if first is None:
            first = element
        elif first.evaluate("e => e === document.activeElement"):
            break  # all round
        name = f"{focused['label']!r} ({focused['tag']})"
        last = (element, element.evaluate(LOOK), name)
        if not focused["seen"]:
            unseen.append(f"{name} gets the focus and is not to be seen")
        labels.append(focused["label"])
    return labels, unseen
