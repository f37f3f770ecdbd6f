"""A headless Chromium driven through its DevTools pipe: what a reader of a page would see."""

import base64
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager

import numpy as np
from PIL import Image

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-extensions",
    "--disable-background-networking",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
# Chromium reads descriptor 3 and writes descriptor 4.
AT_3_AND_4 = """
import fcntl, os, sys
r, w = (fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3])
os.dup2(r, 3), os.dup2(w, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
TIMEOUT_SECONDS = 120.0


def find_chromium():
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Page:
    """One open page, with everything it said and asked for."""

    def __init__(self, to_browser, from_browser):
        self._to, self._from = to_browser, from_browser
        self._n_sent, self._session, self._left = 0, None, b""
        self.console, self.requests = [], []

    def send(self, method, **parameters):
        self._n_sent += 1
        message = {"id": self._n_sent, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._n_sent:
                if "error" in answer:
                    raise RuntimeError(answer["error"])
                return answer["result"]

    def open(self, address, width, height):
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        found = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = found["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        self.send("Page.navigate", url=address)

    def evaluate(self, expression):
        found = self.send(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"])
        return found["result"].get("value")

    def wait_for(self, expression):
        end = time.monotonic() + TIMEOUT_SECONDS
        while not self.evaluate(expression):
            if time.monotonic() > end:
                raise TimeoutError(expression)
            time.sleep(0.1)

    def picture(self, selector=None):
        """Return an element, or the whole page, as an RGB array."""
        where = f"document.querySelector({json.dumps(selector or 'html')})"
        box = self.evaluate(
            f"(() => {{ const b = {where}.getBoundingClientRect(); return "
            "[b.x + scrollX, b.y + scrollY, b.width, b.height]; })()"
        )
        clip = dict(zip(("x", "y", "width", "height"), box, strict=True)) | {"scale": 1}
        shot = self.send("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        image = Image.open(io.BytesIO(base64.b64decode(shot["data"])))
        return np.asarray(image.convert("RGB"), dtype=np.float32)

    def click(self, x, y):
        """Press and release the left button at a point of the page in view."""
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def settle(self):
        """Wait until two frames have been drawn."""
        self.evaluate(
            "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )

    def _next(self):
        while b"\0" not in self._left:
            part = os.read(self._from, 1 << 20)
            if not part:
                raise EOFError
            self._left += part
        text, self._left = self._left.split(b"\0", 1)
        message = json.loads(text)
        self._note(message)
        return message

    def _note(self, message):
        method, facts = message.get("method"), message.get("params", {})
        if method == "Runtime.consoleAPICalled" and facts["type"] in ("error", "warning"):
            self.console.append(str(facts["args"]))
        elif method == "Runtime.exceptionThrown":
            self.console.append(str(facts["exceptionDetails"]))
        elif method == "Log.entryAdded" and facts["entry"]["level"] == "error":
            self.console.append(facts["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(facts["request"]["url"])


@contextmanager
def opened(path, width=1100, height=900, flags=()):
    """Open a file in a Chromium of its own."""
    to_browser, ours_out = os.pipe()
    ours_in, from_browser = os.pipe()

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        ends = [str(to_browser), str(from_browser)]
        command = [sys.executable, "-c", AT_3_AND_4, *ends]
        command += [find_chromium(), *FLAGS, *flags, f"--user-data-dir={profile}"]
        process = subprocess.Popen(
            command,
            pass_fds=(to_browser, from_browser),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        try:
            page = Page(ours_out, ours_in)
            page.open(path.resolve().as_uri(), width, height)
            yield page
        finally:
            process.kill()
            process.wait()
            os.close(ours_out)
            os.close(ours_in)
