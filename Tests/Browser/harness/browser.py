"""A headless Chromium, driven over the DevTools protocol."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.request import urlopen

import websocket


class Browser:
    """The browser. Each page has a context of its own, so that pages share no state."""

    def __init__(self, executable: str):
        self._folder = tempfile.mkdtemp(prefix="spegel-browser-")
        self._process = subprocess.Popen(
            [
                executable, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                "--no-first-run", "--no-default-browser-check", "--disable-extensions",
                "--disable-background-networking", "--disable-component-update", "--disable-sync",
                "--no-proxy-server", "--remote-debugging-port=0", "--remote-allow-origins=*",
                f"--user-data-dir={self._folder}", "about:blank",
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            self._port = self._wait_for_port()
        except BaseException:
            self.close()
            raise

    def _wait_for_port(self) -> int:
        file = Path(self._folder, "DevToolsActivePort")
        end = time.monotonic() + 40
        while time.monotonic() < end:
            if self._process.poll() is not None:
                raise AssertionError(f"chromium ended with {self._process.returncode}")
            lines = file.read_text().splitlines() if file.exists() else []
            if len(lines) >= 2:
                return int(lines[0])
            time.sleep(0.05)
        raise AssertionError("chromium did not start within 40 s")

    def page(self, **settings) -> Page:
        """A new page."""
        with urlopen(f"http://127.0.0.1:{self._port}/json/version", timeout=10) as answer:
            url = json.load(answer)["webSocketDebuggerUrl"]
        return Page(url, **settings)

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        shutil.rmtree(self._folder, ignore_errors=True)


class Page:
    """A page: its content, requests and errors."""

    def __init__(self, url: str, *, width=1280, height=900, dark=False, script=True, mobile=False):
        self._socket = websocket.create_connection(url, timeout=20)
        self._last = 0
        self._session = None
        self._loaded = 0
        #: Errors and warnings of scripts and of the console.
        self.errors: list[str] = []
        #: The requested addresses.
        self.requests: list[str] = []
        #: The transferred size of each response by address.
        self.sizes: dict[str, int] = {}
        self._addresses: dict[str, str] = {}
        self._context = self._call("Target.createBrowserContext")["browserContextId"]
        target = self._call("Target.createTarget", url="about:blank", browserContextId=self._context)["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log", "Accessibility"):
            self._call(f"{domain}.enable")
        scheme = "dark" if dark else "light"
        self._call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self._call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height,
            deviceScaleFactor=2 if mobile else 1, mobile=mobile)
        if not script:
            self._call("Emulation.setScriptExecutionDisabled", value=True)

    def _call(self, method: str, **params):
        self._last += 1
        message = {"id": self._last, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        self._socket.send(json.dumps(message))
        while True:
            answer = json.loads(self._socket.recv())
            if answer.get("id") == self._last:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']}")
                return answer["result"]
            self._note(answer)

    def _note(self, event: dict) -> None:
        params = event.get("params", {})
        match event.get("method"):
            case "Page.loadEventFired":
                self._loaded += 1
            case "Runtime.exceptionThrown":
                self.errors.append(f"exception: {params['exceptionDetails']}")
            case "Runtime.consoleAPICalled" if params["type"] in ("error", "warning", "assert"):
                self.errors.append(f"console: {params['args']}")
            case "Log.entryAdded" if params["entry"]["level"] in ("error", "warning"):
                self.errors.append(f"log: {params['entry']}")
            case "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"])
                self._addresses[params["requestId"]] = params["request"]["url"]
            case "Network.loadingFinished":
                address = self._addresses.get(params["requestId"], "")
                self.sizes[address] = int(params["encodedDataLength"])

    def settle(self, seconds: float) -> None:
        """Handles events of the page for a while."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                self._note(json.loads(self._socket.recv()))
            except websocket.WebSocketTimeoutException:
                break
        self._socket.settimeout(20)

    def _wait_for_load(self, before: int) -> None:
        end = time.monotonic() + 20
        while self._loaded == before:
            assert time.monotonic() < end, "the page has not loaded within 20 s"
            self.settle(0.05)

    def open(self, url: str) -> None:
        before = self._loaded
        result = self._call("Page.navigate", url=url)
        assert not result.get("errorText"), result
        self._wait_for_load(before)

    def submit(self, action) -> None:
        """Performs an action that leads to another page."""
        before = self._loaded
        action()
        self._wait_for_load(before)

    def evaluate(self, expression: str):
        """The value of an expression. Waits for a promise."""
        result = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait_for(self, expression: str, what: str, seconds: float = 15):
        """Waits until an expression is true."""
        end = time.monotonic() + seconds
        while True:
            value = self.evaluate(f"Boolean({expression})")
            if value:
                return value
            assert time.monotonic() < end, f"not within {seconds} s: {what}"
            self.settle(0.05)

    def text(self, selector: str = "body") -> str:
        return self.evaluate(f"document.querySelector({json.dumps(selector)}).innerText")

    def press(self, key: str, text: str = "") -> None:
        codes = {"Tab": 9, "Enter": 13}
        params = {"key": key, "code": key, "windowsVirtualKeyCode": codes[key]}
        if key == "Enter":
            text = "\r"
        self._call("Input.dispatchKeyEvent", type="keyDown", **params, **({"text": text} if text else {}))
        self._call("Input.dispatchKeyEvent", type="keyUp", **params)

    def type(self, text: str) -> None:
        self._call("Input.insertText", text=text)

    def click(self, selector: str) -> None:
        """Clicks in the middle of an element, like a mouse."""
        # In one step, because the page may replace the element at any time.
        x, y = self.evaluate(
            "(e => { e.scrollIntoView({block: 'center'}); const r = e.getClientRects()[0];"
            " return [r.x + r.width / 2, r.y + r.height / 2]; })"
            f"(document.querySelector({json.dumps(selector)}))")
        place = {"x": x, "y": y, "button": "left", "clickCount": 1}
        self._call("Input.dispatchMouseEvent", type="mousePressed", **place)
        self._call("Input.dispatchMouseEvent", type="mouseReleased", **place)

    def accessibility_tree(self) -> list[dict]:
        return self._call("Accessibility.getFullAXTree")["nodes"]

    def screenshot(self, file: Path) -> None:
        """The whole page, not only its visible part."""
        size = self._call("Page.getLayoutMetrics")["cssContentSize"]
        data = self._call(
            "Page.captureScreenshot", captureBeyondViewport=True,
            clip={"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1})["data"]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(base64.b64decode(data))

    def close(self) -> None:
        self._session = None
        self._call("Target.disposeBrowserContext", browserContextId=self._context)
        self._socket.close()
