"""Headless Chromium, driven through its DevTools protocol by two pipes: pages opened, watched and asked."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
"""The browser's program, or None where there is none."""

PATIENCE = 60
"""Seconds in which the browser says something, on a busy machine too."""


@dataclass
class Browser:
    """One page of a running browser. What it asked for and complained of is gathered in `requested` and `errors`."""

    to: BinaryIO
    of: int
    session: str = ""
    requested: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    unread: bytes = b""
    last: int = 0

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the protocol; events that come in between are noted.

        Raises:
            RuntimeError: the browser refuses it.
        """
        self.last += 1
        message = {"id": self.last, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        self.to.write(json.dumps(message).encode() + b"\0")
        self.to.flush()
        while (answer := self._read()).get("id") != self.last:
            self._note(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def open(self, address: str, width: int = 1280, height: int = 900, scheme: str = "light") -> None:
        """Open a page and wait until it has loaded."""
        self.requested.clear()
        self.errors.clear()
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        if failed := self.call("Page.navigate", url=address).get("errorText"):
            raise RuntimeError(f"{address}: {failed}")
        self.ask("new Promise(done => document.readyState == 'complete' ? done() : addEventListener('load', done))")

    def ask(self, expression: str) -> Any:
        """The value of an expression in JavaScript on the page; a promise is waited for."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise RuntimeError(f"{expression}: {found['exceptionDetails']}")
        return found["result"].get("value")

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self.unread:
            if not select.select([self.of], [], [], PATIENCE)[0]:
                raise RuntimeError(f"the browser has said nothing for {PATIENCE} seconds")
            if not (more := os.read(self.of, 2**16)):
                raise RuntimeError("the browser ended")
            self.unread += more
        text, _, rest = self.unread.partition(b"\0")
        self.unread = rest
        return json.loads(text)

    def _note(self, event: dict[str, Any]) -> None:
        params = event.get("params", {})
        match event.get("method"):
            case "Network.requestWillBeSent":
                self.requested.append(params["request"]["url"])
            case "Network.loadingFailed":
                self.errors.append(params["errorText"])
            case "Runtime.exceptionThrown":
                self.errors.append(params["exceptionDetails"]["text"])
            case "Runtime.consoleAPICalled" if params["type"] in {"error", "assert"}:
                self.errors.append(str([value.get("value") for value in params["args"]]))
            case "Log.entryAdded" if params["entry"]["level"] == "error":
                self.errors.append(params["entry"]["text"])


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """A browser with a fresh profile in that folder; it ends with the block."""
    assert CHROMIUM is not None
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", f"--user-data-dir={profile}"]
    theirs, to = os.pipe()
    of, back = os.pipe()

    def as_three_and_four() -> None:
        """The protocol's pipes are descriptors 3 and 4."""
        first, second = os.dup(theirs), os.dup(back)
        os.dup2(first, 3)
        os.dup2(second, 4)

    process = subprocess.Popen(
        [CHROMIUM, *options, "--remote-debugging-pipe", "about:blank"],
        preexec_fn=as_three_and_four,  # noqa: PLW1509  (between fork and exec nothing but dup is called)
        close_fds=False,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs)
    os.close(back)
    with os.fdopen(to, "wb") as writing:
        try:
            page = Browser(writing, of)
            target = next(t for t in page.call("Target.getTargets")["targetInfos"] if t["type"] == "page")
            page.session = page.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
            for domain in ("Page", "Network", "Runtime", "Log"):
                page.call(f"{domain}.enable")
            yield page
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE)
            os.close(of)
