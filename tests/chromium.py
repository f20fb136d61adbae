"""A headless Chromium that tests look at pages with, over its DevTools protocol."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from websockets.sync.client import connect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENCE = 180.0


class Browser:
    """One browser with one page."""

    def __init__(self, profile: Path) -> None:
        assert CHROMIUM is not None
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        command = [
            CHROMIUM,
            "--headless",
            "--disable-gpu",
            *sandbox,
            f"--user-data-dir={profile}",
            "--window-size=1300,1400",
            "--remote-debugging-port=0",
            "about:blank",
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        address = next(line.split()[-1] for line in self.process.stderr if line.startswith("DevTools listening on "))
        self.socket, self.number, self.session = connect(address, max_size=None, open_timeout=PATIENCE), 0, ""
        (page,) = [each for each in self.call("Target.getTargets")["targetInfos"] if each["type"] == "page"]
        self.session = self.call("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()
        self.process.terminate()
        self.process.wait(60)

    def call(self, method: str, **parameters: Any) -> Any:
        """What the browser answers."""
        self.number += 1
        self.socket.send(
            json.dumps(
                {
                    "id": self.number,
                    "method": method,
                    "params": parameters,
                    **({"sessionId": self.session} if self.session else {}),
                }
            )
        )
        while (told := json.loads(self.socket.recv(PATIENCE))).get("id") != self.number:
            pass
        assert "error" not in told, told
        return told["result"]

    def open(self, address: str) -> None:
        self.call("Page.navigate", url=address)

    def evaluate(self, expression: str) -> Any:
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def words(self) -> str:
        """What is to be read on the page."""
        return " ".join(str(self.evaluate("document.body ? document.body.innerText : ''")).split())

    def shows(self, *words: str) -> None:
        """Wait until the page shows every one of ``words``."""
        deadline = time.monotonic() + PATIENCE
        while missing := [word for word in words if word not in self.words()]:
            assert time.monotonic() < deadline, (
                f"{self.evaluate('location.href')} does not show {missing}: {self.words()}"
            )
            time.sleep(0.3)

    def log_in(self, selector: str, text: str) -> None:
        """Type into the first such field and press Enter, until it is gone: a page may show it before it listens."""
        deadline, typed = time.monotonic() + PATIENCE, False
        focus = (
            f"(() => {{ const found = document.querySelector({json.dumps(selector)}); if (found) {{ found.focus(); "
            f"found.select() }} return !!found }})()"
        )
        while (there := self.evaluate(focus)) or not typed:
            assert time.monotonic() < deadline, f"{self.evaluate('location.href')} does not let in: {self.words()}"
            if there:
                self.call("Input.insertText", text=text)
                for kind in ("keyDown", "keyUp"):
                    self.call(
                        "Input.dispatchKeyEvent",
                        type=kind,
                        key="Enter",
                        code="Enter",
                        windowsVirtualKeyCode=13,
                        text="\r",
                    )
                typed = True
            time.sleep(2)
