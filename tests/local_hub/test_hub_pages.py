"""The pages show a release, and nothing in a release can run on them."""

import html
import re
import shutil

import pytest
from hub_clients import ask, commit, make_repo, put_lfs

from l2t_hub.local_hub.card_metadata import problems_of, split_card
from l2t_hub.local_hub.markdown_html import render_markdown, size_text
from l2t_hub.local_hub.server import LocalHub

CARD = """---
license: cc0-1.0
tags: ["<b>bold</b>"]
configs:
- {config_name: typo, default: true, data_files: [{split: train, path: data/*}]}
- {config_name: '"><script>pwned()</script>', data_files: [{split: train, path: data/*}]}
model-index:
- name: m
  results: [{dataset: {name: probes}, metrics: [{type: accuracy, name: "<i>agreement</i>", value: 61.2}]}, 7, {metrics: x}]
---
# Title <script>pwned()</script>

<img src=x onerror=pwned()> **bold** [manifest](l2t_manifest.json#a) [out](https://example.org/x)
[bad](javascript:pwned()) [data](data:text/html,<script>pwned()</script>) [up](../../../../tokens.json) ![curve](images/loss.png)
![elsewhere](https://example.org/track.png) <iframe src="https://example.org"></iframe> <style>*{display:none}</style>

| a | n |
|---|--:|
| x | 1 |

`<code>` <!-- comment -->

```html
<script>pwned()</script>
```

```text
An example of a task is one long line: it wraps, so that a reader on a phone sees all of it without scrolling sideways.
```
"""
NASTY = "<script>pwned()</script>&\"'.txt"
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108020000009077"
    "53de0000000c49444154789c63f8cfc000000301010018dd8db00000000049454e44ae426082"
)


@pytest.fixture
def released(hub: LocalHub) -> LocalHub:
    make_repo(hub, "data", "dataset")
    files = {"README.md": CARD.encode(), f"data/{NASTY}": NASTY.encode(), "images/loss.png": PNG, "page.html": b"<script>pwned()</script>",
             "pic.svg": b"<svg xmlns='http://www.w3.org/2000/svg'><script>pwned()</script></svg>"}  # fmt: skip
    reply = commit(
        hub,
        "datasets/org/data",
        files,
        summary="<script>pwned()</script>",
        description="<img src=x onerror=pwned()>",
    )
    assert reply.status == 200, reply.body
    ask(
        hub,
        "POST",
        "/api/datasets/org/data/discussions",
        {"title": "<b onclick=pwned()>", "description": "<script>pwned()</script>"},
    )
    collection = ask(
        hub,
        "POST",
        "/api/collections",
        {"title": "<script>pwned()</script>", "namespace": "org", "description": "<b>d</b>"},
    ).json()
    item = {"item": {"id": "org/data", "type": "dataset"}, "note": "<script>pwned()</script>"}
    ask(hub, "POST", f"/api/collections/{collection['slug']}/items", item)
    return hub


def pages(hub: LocalHub) -> list[str]:
    head = ask(hub, "GET", "/api/datasets/org/data").json()["sha"]
    slug = ask(hub, "GET", "/api/collections").json()[0]["slug"]
    quoted = (
        NASTY.replace("<", "%3C")
        .replace(">", "%3E")
        .replace('"', "%22")
        .replace("/", "%2F")
        .replace("&", "%26")
    )
    home = "/datasets/org/data"
    return [
        "/", "/org", home, f"{home}/tree/main", f"{home}/tree/main/data", f"{home}/blob/main/data%2F{quoted}", f"{home}/blob/main/README.md",
        f"{home}/blob/main/images/loss.png", f"{home}/commits/main", f"{home}/commit/{head}", f"{home}/discussions", f"{home}/discussions/1",
        f"/collections/{slug}", "/org/%3Cscript%3Epwned()%3C%2Fscript%3E", f"{home}/tree/%3Cscript%3Epwned()%3C%2Fscript%3E",
    ]  # fmt: skip


def test_nothing_released_becomes_markup(released: LocalHub) -> None:
    for path in pages(released):
        reply = ask(released, "GET", path, headers={"Accept": "text/html"})
        html = reply.body.decode()
        assert reply.status == (404 if "%3Cscript%3E" in path and "blob" not in path else 200), path
        assert reply.headers["content-type"].startswith("text/html"), path
        policy = reply.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script" not in policy
        assert "unsafe" not in policy
        assert re.findall(r"<(script|iframe|object|embed|form|style|b onclick|i>agreement)", html) == [], path
        assert re.findall(r"<[^>]*\son\w+=", html) == [], path
        assert re.findall(r'(?:href|src)="(?:javascript|data|vbscript):', html) == [], path
        assert re.findall(r'src="(?!/rehearsal/)', html) == [], path
        assert "Rehearsal." in html


def test_the_card_page_shows_the_card_and_its_facts(released: LocalHub) -> None:
    html = ask(released, "GET", "/datasets/org/data").body.decode()
    head = ask(released, "GET", "/api/datasets/org/data").json()["sha"]
    assert "<strong>bold</strong>" in html
    assert f'src="/rehearsal/datasets/org/data/resolve/{head}/images/loss.png"' in html
    assert 'href="/rehearsal/datasets/org/data/blob/main/l2t_manifest.json#a"' in html
    assert "[image at https://example.org/track.png]" in html
    assert "tokens.json" in html
    assert "/../" not in html
    assert '<td class="number">1</td>' in html
    for fact in ("license:cc0-1.0", ">typo<", "61.2", "&lt;i&gt;agreement", head[:8]):
        assert fact in html


def test_a_line_that_is_a_comment_is_not_shown() -> None:
    text = "a\n<!-- hidden -->\nb <!-- in a line -->\n\n```\n<!-- code -->\n```\n<!-- open"
    html = render_markdown(text, "", "")
    assert "hidden" not in html
    assert all(f"&lt;!-- {shown}" in html for shown in ("in a line", "code", "open"))


def test_control_characters_are_visible(hub: LocalHub) -> None:
    make_repo(hub, "a")
    evil = "\x1b[2J\x07 \u202egnp.exe\u2066"
    files = {"README.md": f"# {evil}\n\n{evil}".encode(), "x.txt": f"a\tb\n{evil}".encode()}
    commit(hub, "models/org/a", files, summary=f"t {evil}", description=f"d {evil}")
    ask(hub, "POST", "/api/models/org/a/discussions", {"title": f"t {evil}", "description": evil})
    for path in (
        "/",
        "/org/a",
        "/org/a/blob/main/x.txt",
        "/org/a/commits/main",
        "/org/a/discussions",
        "/org/a/discussions/1",
    ):
        page = ask(hub, "GET", path).body.decode()
        assert "\ufffd[2J\ufffd" in page, path
        assert "\ufffdgnp.exe\ufffd" in page or path == "/", path
        assert not re.search("[\x00-\x08\x0e-\x1f\u202e\u2066]", page), path
    assert "a\tb\n" in ask(hub, "GET", "/org/a/blob/main/x.txt").body.decode()


def test_the_example_command_holds_no_name_that_a_shell_would_run(hub: LocalHub) -> None:
    make_repo(hub, "d", "dataset")
    card = "---\nconfigs:\n- {config_name: \"x'; touch /tmp/pwned; '\"}\n%s---\n# Card"
    for more, shown in (
        ("", 'load_dataset("org/d")'),
        ("- {config_name: typo}\n", 'load_dataset("org/d", "typo")'),
    ):
        commit(hub, "datasets/org/d", {"README.md": (card % more).encode()})
        assert shown in html.unescape(ask(hub, "GET", "/datasets/org/d").body.decode())


def test_a_card_that_does_not_parse_is_reported(hub: LocalHub) -> None:
    make_repo(hub, "odd")
    commit(hub, "models/org/odd", {"README.md": b"---\nlicense: [mit\n---\n# Shown all the same"})
    html = ask(hub, "GET", "/org/odd").body.decode()
    assert "not YAML" in html
    assert "Shown all the same" in html
    make_repo(hub, "bare")
    assert "has no card" in ask(hub, "GET", "/org/bare").body.decode()


def test_uploads_are_never_served_as_html(released: LocalHub) -> None:
    for path, kind in (
        ("page.html", "text/plain"),
        ("pic.svg", "image/svg+xml"),
        ("images/loss.png", "image/png"),
        ("README.md", "text/plain"),
        (".gitattributes", "application/octet-stream"),
    ):
        reply = ask(released, "GET", f"/datasets/org/data/resolve/main/{path}")
        assert reply.headers["content-type"].split(";")[0] == kind, path
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in reply.headers["content-security-policy"]


def test_large_and_binary_files_are_offered_for_download(hub: LocalHub) -> None:
    make_repo(hub, "a")
    commit(hub, "models/org/a", {"long.txt": b"x" * 300_000, "nul.dat": b"a\0b"})
    put_lfs(hub, "org/a", b"\0")
    for name in ("long.txt", "nul.dat"):
        html = ask(hub, "GET", f"/org/a/blob/main/{name}").body.decode()
        assert "is not shown here" in html
        assert f"/{name}" in html
    assert ask(hub, "GET", "/org/a/blob/main/none.txt", headers={"Accept": "text/html"}).status == 404


def test_sizes_and_front_matter() -> None:
    assert [size_text(n) for n in (0, 999, 1000, 1_234_567, 10**12)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "1.2 MB",
        "1.0 TB",
    ]
    assert split_card("---\na: 1\n---\nbody") == ("a: 1\n", "body")
    assert split_card("no front matter\n---\n") == ("", "no front matter\n---\n")
    assert render_markdown("a\n\nb", "/b", "/r") == "<p>a</p>\n<p>b</p>\n"


@pytest.mark.parametrize(
    ("kind", "front", "word"),
    [
        ("dataset", "configs: [{data_files: x}]", "config_name"),
        ("dataset", "configs: [{config_name: a}, {config_name: a}]", "same"),
        ("dataset", "configs: [{config_name: a, default: true}, {config_name: b, default: true}]", "default"),
        ("dataset", "configs: [{config_name: a, data_files: [{path: x}]}]", "split"),
        ("model", "tags: 7", "tags"),
        ("model", "model-index: 7", "model-index"),
        ("space", "title: x", "sdk"),
        ("space", "sdk: gradio\ncolorFrom: mauve", "colorFrom"),
        ("space", f"sdk: gradio\nshort_description: {'x' * 61}", "short_description"),
    ],
)
def test_card_errors(kind: str, front: str, word: str) -> None:
    errors, _ = problems_of(f"---\n{front}\n---\n", kind)
    assert len(errors) == 1
    assert word in errors[0]
    assert problems_of("---\nlicense: mit\nsdk: gradio\n---\n", kind) == ([], [])


@pytest.mark.browser
@pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is not installed")
def test_a_browser_runs_nothing_and_loads_nothing_from_other_hosts(released: LocalHub) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(http_credentials={"username": "me", "password": released.keys.read})
        asked: list[str] = []
        ran: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.expose_function("pwned", lambda: ran.append(page.url))
        for path in [*pages(released), "/datasets/org/data/resolve/main/pic.svg"]:
            page.goto(released.url + path)
            assert page.evaluate("document.body ? document.body.scrollWidth <= window.innerWidth : true"), (
                path
            )
        page.set_viewport_size({"width": 390, "height": 844})
        for path in pages(released):
            page.goto(released.url + path)
            assert page.evaluate("document.documentElement.scrollWidth") == 390, f"{path} on a phone"
        page.goto(released.url + "/datasets/org/data")
        example = "document.querySelector('pre code.language-text')"
        assert page.evaluate(f"{example}.getBoundingClientRect().width") < 390, "the example wraps"
        assert page.evaluate(f"{example}.getBoundingClientRect().height") > 40
        assert page.evaluate("document.querySelector('article img').naturalWidth") == 1
        assert page.evaluate("getComputedStyle(document.querySelector('.ribbon')).textAlign") == "center"
        browser.close()
    assert ran == []
    assert {url.split("/rehearsal")[0] for url in asked if not url.endswith("favicon.ico")} == {
        released.url.removesuffix("/rehearsal")
    }
