"""Headless Chromium by chromedriver's own protocol (W3C WebDriver, over HTTP): pages opened, used and photographed."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

CHROMIUM, DRIVER = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
MISSING = "" if CHROMIUM and DRIVER else "chromium and chromedriver are not installed"
FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
    "--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND",
]  # fmt: skip


class Browser:
    """One window; a context manager."""

    def __enter__(self) -> Browser:
        self.home = tempfile.TemporaryDirectory()
        self.driver = subprocess.Popen([str(DRIVER), "--port=0"], stdout=subprocess.PIPE, text=True)
        assert self.driver.stdout is not None
        for line in self.driver.stdout:
            found = re.search(r"started successfully on port (\d+)", line)
            if found:
                break
        self.address = f"http://127.0.0.1:{found[1]}/session"  # type: ignore[index]
        options = {"binary": CHROMIUM, "args": [*FLAGS, f"--user-data-dir={self.home.name}"]}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        made = self.ask("", {"capabilities": {"alwaysMatch": {"browserName": "chrome", **wanted}}})
        self.address += f"/{made['sessionId']}"
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.ask("", method="DELETE")
        finally:
            self.driver.terminate()
            self.driver.wait(10)
            assert self.driver.stdout is not None
            self.driver.stdout.close()
            self.home.cleanup()

    def ask(self, what: str, said: dict[str, Any] | None = None, method: str = "POST") -> Any:
        body = None if method != "POST" else json.dumps(said or {}).encode()
        asked = urllib.request.Request(self.address + what, body, {"Content-Type": "application/json"}, method=method)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked, timeout=60) as reply:
            return json.loads(reply.read())["value"]

    def dev(self, command: str, **given: Any) -> Any:
        """A command of the DevTools protocol."""
        return self.ask("/goog/cdp/execute", {"cmd": command, "params": given})

    def open(self, page: Path, width: int = 1280, height: int = 900, scheme: str = "light", media: str = "") -> None:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.dev("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.dev("Emulation.setEmulatedMedia", features=features, media=media)
        self.ask("/url", {"url": page.resolve().as_uri()})

    def run(self, script: str, *given: Any) -> Any:
        """What a script returns."""
        return self.ask("/execute/sync", {"script": script, "args": list(given)})

    def complaints(self, *levels: str) -> list[str]:
        """What the page wrote to the console since it was asked last: all of it, or some levels (SEVERE) alone."""
        lines = self.ask("/se/log", {"type": "browser"})
        return [str(line["message"]) for line in lines if not levels or line["level"] in levels]

    def photograph(self, path: Path) -> None:
        """The whole page."""
        taken = self.dev("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(taken["data"]))
