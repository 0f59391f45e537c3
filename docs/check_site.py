"""Check the built pages: every link, anchor and picture is there, nothing comes from the net, and a browser opens them.

python docs/check_site.py FOLDER               # then, where Chromium is, some pages and a search
python docs/check_site.py FOLDER --no-browser  # links, anchors and pictures alone
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parents[1]
SHOWN = {
    "img": ("src", "srcset"),
    "source": ("src", "srcset"),
    "script": ("src",),
    "iframe": ("src",),
    "embed": ("src",),
}
SHOWN |= {"video": ("src", "poster"), "audio": ("src",), "object": ("data",), "input": ("src",), "image": ("href",)}
LOADED = {"stylesheet", "icon", "preload", "modulepreload", "manifest", "prefetch"}  # what <link rel=...> fetches
IN_STYLES = re.compile(r"""(?:url\(\s*|@import\s+)['"]?([^'")\s;]+)""")
NARROW = 400  # pixels: a phone's
GENERATED = ("Pruner", "heatmaps.heatmap", "timecourse.permutation_test")
OPENED = (
    *("index.html", "start.html", "guide/index.html", "auto_gallery/index.html", "notebooks/index.html"),
    *("how_it_computes.html", "coming_from.html", "developer.html", "changelog.html", "genindex.html"),
    *("api/index.html", "api/networks.html", *(f"api/generated/secateur.{name}.html" for name in GENERATED)),
)
# What of a page lies beyond the right edge, but for what can be scrolled to.
BEYOND = """
return [...document.querySelectorAll("article.bd-article *, .prev-next-area *")].filter(part => {
  if (part.getBoundingClientRect().right <= innerWidth + 1) return false;
  for (let around = part.parentElement; !around.matches("article, .prev-next-area"); around = around.parentElement)
    if (["auto", "scroll"].includes(getComputedStyle(around).overflowX)) return false;
  return true;
}).map(part => `<${part.localName}> ${part.textContent.trim().slice(0, 50)}`)
"""
SOUGHT = "permutation_test"


class Page(HTMLParser):
    """What one page holds: its anchors, where its links lead, and what is loaded to show it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.in_style = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if given.get(name)}
        self.in_style = tag == "style"
        if tag in ("a", "area") and "href" in given:
            self.links.append(given["href"])
        if tag == "link" and LOADED & set(given.get("rel", "").lower().split()):
            self.loaded.append(given.get("href", ""))
        for name in SHOWN.get(tag, ()):
            if name in given:
                parts = given[name].split(",") if name == "srcset" else [given[name]]
                self.loaded += [part.split()[0] if name == "srcset" else part for part in parts if part.strip()]
        self.loaded += IN_STYLES.findall(given.get("style", ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.in_style = False

    def handle_data(self, data: str) -> None:
        if self.in_style:
            self.loaded += IN_STYLES.findall(data)

    def handle_endtag(self, tag: str) -> None:
        self.in_style = False


def problems_of(site: Path) -> Iterator[str]:
    """One sentence for each link that leads nowhere, and each file that is missing or would come from the net."""
    site = site.resolve()
    paths = [path for path in sorted(site.rglob("*.html")) if "_static" not in path.relative_to(site).parts]
    if site / "index.html" not in paths:
        yield f"{site} must hold the built pages, got no index.html there"
        return
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in paths}

    def place_of(address: str, here: Path) -> Path:
        path = unquote(urlsplit(address).path)
        found = (site / path.lstrip("/") if path.startswith("/") else here.parent / path).resolve() if path else here
        return found / "index.html" if found.is_dir() else found

    for here, page in pages.items():
        name = here.relative_to(site).as_posix()
        for address in page.links:
            parts = urlsplit(address)
            if parts.scheme in ("http", "https", "mailto"):
                continue
            there = place_of(address, here)
            if parts.scheme or parts.netloc or not there.is_relative_to(site):
                yield f"{name}: a link leads out of the pages: {address}"
            elif not there.is_file():
                yield f"{name}: a link leads nowhere: {address}"
            elif parts.fragment and there in pages and unquote(parts.fragment) not in pages[there].anchors:
                yield f"{name}: a link's anchor is not on its page: {address}"
        yield from missing(page.loaded, here, name, place_of)
    for here in sorted(site.rglob("*.css")):
        found = IN_STYLES.findall(re.sub(r"/\*.*?\*/", "", here.read_text(encoding="utf-8"), flags=re.DOTALL))
        yield from missing(found, here, here.relative_to(site).as_posix(), place_of)


def missing(addresses: list[str], here: Path, name: str, place_of: Callable[[str, Path], Path]) -> Iterator[str]:
    """Of what a page or a style sheet loads: what is not here."""
    for address in addresses:
        parts = urlsplit(address)
        if parts.scheme == "data" or not (parts.path or parts.netloc):
            continue
        if parts.scheme or parts.netloc:
            yield f"{name}: this would come from the net: {address}"
        elif not place_of(address, here).is_file():
            yield f"{name}: a picture, script or style sheet is missing: {address}"


def complaints_of(site: Path) -> Iterator[str]:
    """What a browser says of some pages, which of them are wider than a phone, and whether the search finds."""
    sys.path.insert(0, str(ROOT / "tests"))
    import browser

    if browser.MISSING:
        sys.stdout.write(f"SKIPPED: the pages were not opened, since {browser.MISSING}\n")
        return
    with browser.Browser() as window:
        for name in OPENED:
            window.open(site / name, width=NARROW)
            yield from (f"{name}: {line}" for line in window.complaints("SEVERE"))
            beyond = window.run(BEYOND)
            if beyond:
                yield f"{name}: {len(beyond)} parts don't fit into {NARROW} pixels, the first is {beyond[0]}"
        window.ask("/url", {"url": f"{(site / 'search.html').resolve().as_uri()}?q={SOUGHT}"})
        until, found = time.monotonic() + 20, []
        while not found and time.monotonic() < until:
            found = window.run("return [...document.querySelectorAll('#search-results li a')].map(a => a.href)")
            time.sleep(0.1)
        if not any(address.partition("#")[0].endswith(f"secateur.{SOUGHT}.html") for address in found):
            yield f"the search for {SOUGHT} finds {found}"
        yield from (f"search.html: {line}" for line in window.complaints("SEVERE"))


def main(arguments: list[str]) -> str | None:
    """What is wrong, as sys.exit takes it."""
    folders = [Path(argument) for argument in arguments if not argument.startswith("-")]
    if len(folders) != 1:
        return str(__doc__)
    problems = list(problems_of(folders[0]))
    sys.stdout.write(f"{len(list(folders[0].rglob('*.html')))} pages: {len(problems)} links or files are wrong\n")
    if not problems and "--no-browser" not in arguments:
        problems += complaints_of(folders[0])
    return "\n".join([*problems, f"{len(problems)} problems"]) if problems else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
