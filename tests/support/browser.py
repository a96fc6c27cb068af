"""Chromium without a window, driven over its DevTools protocol through a pipe: no package, no port."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# The browser reads commands from descriptor 3 and answers on 4.
_START = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)
_ATTACH = {"autoAttach": True, "waitForDebuggerOnStart": True, "flatten": True}


def find() -> str | None:
    """The path of an installed Chromium or Chrome."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One browser with one page; `requests`, `complaints` and `failed` fill while `call` and `wait` listen.

    requests: the URLs asked for, by the page and its workers. complaints: warnings, errors and exceptions of the
    console.
    """

    def __init__(self, program: str, profile: Path) -> None:
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self._next, self._answers, self._rest = 0, {}, b""
        there, here = os.pipe(), os.pipe()
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (there[0], here[1])]  # 3 and 4 must be free
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                 "--disable-component-update", "--disable-background-networking", "--remote-debugging-pipe",
                 f"--user-data-dir={profile}"]  # fmt: skip
        command = [sys.executable, "-c", _START, *map(str, high), program, *flags, "about:blank"]
        self._process = subprocess.Popen(command, pass_fds=high, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for fd in (there[0], here[1], *high):
            os.close(fd)
        self._write, self._read = there[1], here[0]
        self._session: str | None = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._watch(self._session)

    def call(self, method: str, session: str | None = None, seconds: float = 300, **params: Any) -> dict[str, Any]:
        """One command of the protocol, and its answer."""
        number = self._send(method, session or self._session, params)
        end = time.monotonic() + seconds
        while number not in self._answers:
            self._listen(end)
        answer = self._answers.pop(number)
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page, awaited if it is a promise."""
        result = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def open(self, url: str) -> None:
        """Go to another page; what was complained of and asked for is forgotten."""
        self.complaints.clear()
        self.requests.clear()
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def wait(self, expression: str, seconds: float = 300) -> Any:
        """Until the expression is true in the page."""
        end = time.monotonic() + seconds
        while not (value := self.evaluate(expression)):
            assert time.monotonic() < end, f"not within {seconds} s: {expression}; {self.complaints}"
            time.sleep(0.1)
        return value

    def press(self, key: str, code: int, text: str = "") -> None:
        """A key of the keyboard; `code` is its Windows virtual key code."""
        for kind in ("keyDown", "keyUp"):
            typed = {"text": text} if text and kind == "keyDown" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **typed)

    def type(self, text: str) -> None:
        """Text into what has the focus."""
        self.call("Input.insertText", text=text)

    def picture(self, file: Path) -> None:
        """The whole page as a PNG."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        shot = self.call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(shot["data"]))

    def close(self) -> None:
        """End the browser."""
        os.close(self._write)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._read)

    def _send(self, method: str, session: str | None, params: dict[str, Any]) -> int:
        self._next += 1
        message = {"id": self._next, "method": method, "params": params} | ({"sessionId": session} if session else {})
        os.write(self._write, json.dumps(message).encode() + b"\0")
        return self._next

    def _listen(self, end: float) -> None:
        """Take in what the browser says next."""
        ready, _, _ = select.select([self._read], [], [], max(0.0, end - time.monotonic()))
        assert ready, "the browser does not answer"
        data = os.read(self._read, 1 << 20)
        assert data, "the browser ended"
        *messages, self._rest = (self._rest + data).split(b"\0")
        for text in messages:
            message = json.loads(text)
            if "id" in message:
                self._answers[message["id"]] = message
            else:
                self._heard(message["method"], message["params"])

    def _heard(self, method: str, params: dict[str, Any]) -> None:
        if method == "Target.attachedToTarget":
            self._watch(params["sessionId"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.complaints.append(" ".join(str(part.get("value", part.get("description"))) for part in params["args"]))
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(params["exceptionDetails"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.complaints.append(params["entry"]["text"])

    def _watch(self, session: str) -> None:
        """Hear of a page's or worker's requests and complaints; a worker waits until then."""
        for method in ("Runtime.enable", "Log.enable", "Network.enable", "Page.enable"):
            self._send(method, session, {})
        self._send("Target.setAutoAttach", session, _ATTACH)
        self._send("Runtime.runIfWaitingForDebugger", session, {})
