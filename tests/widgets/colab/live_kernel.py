"""A kernel of another environment, and the widgets that it shows, for a page of the tests."""

from __future__ import annotations

import json
import os
import queue
import time
from pathlib import Path
from typing import Any

from jupyter_client.manager import KernelManager

from utils.runtime import repo_root

SHOWN = "application/vnd.jupyter.widget-view+json"
SECONDS = 120  # for the slowest thing that the tests ask a kernel for


class LiveKernel:
    """Runs code, keeps the state of the widgets that it made, and passes messages to a page.

    ``page`` is a playwright page whose script defines what `front_end.js` does, or None.
    """

    def __init__(self, python: Path, settings: dict[str, str]) -> None:
        self.models: dict[str, dict[str, Any]] = {}
        self.page: Any = None
        self._manager = KernelManager()
        assert self._manager.kernel_spec is not None
        self._manager.kernel_spec.argv = [
            str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}",
        ]  # fmt: skip
        self._manager.start_kernel(env=os.environ | settings)
        self._client = self._manager.blocking_client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=SECONDS)
        self.run(f"import sys\nsys.path.insert(0, {str(repo_root())!r})")

    def close(self) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)

    def run(self, code: str) -> tuple[str, str]:
        """Execute ``code``: what it printed, and the model of the widget that it showed, or ""."""
        asked = self._client.execute(code)
        printed, shown = "", ""
        while True:
            message = self._client.get_iopub_msg(timeout=SECONDS)
            kind, content = message["msg_type"], message["content"]
            self._pass_on(message)
            if kind == "stream":
                printed += content["text"]
            elif kind == "error":
                raise RuntimeError(f"{content['ename']}: {content['evalue']}")
            elif kind in ("display_data", "execute_result") and SHOWN in content["data"]:
                shown = content["data"][SHOWN]["model_id"]
            is_ours = message["parent_header"].get("msg_id") == asked
            if kind == "status" and content["execution_state"] == "idle" and is_ours:
                return printed.strip(), shown

    def receive(self, model: str, text: str) -> None:
        """Take a message that the page's widget has sent."""
        content = {"comm_id": model, "data": json.loads(text)}
        message = self._client.session.msg("comm_msg", content)
        self._client.shell_channel.send(message)

    def until(self, done: Any, what: str) -> None:
        """Pass messages both ways until ``done()``. Raises ``TimeoutError`` naming ``what``."""
        end = time.monotonic() + SECONDS
        while not done():
            if time.monotonic() > end:
                raise TimeoutError(f"waited {SECONDS} s for {what}")
            self.page.wait_for_timeout(20)  # lets the page's messages come
            try:
                self._pass_on(self._client.get_iopub_msg(timeout=0.02))
            except queue.Empty:
                continue

    def _pass_on(self, message: dict[str, Any]) -> None:
        """Keep what a message says of a widget, and tell it to the page."""
        kind, content = message["msg_type"], message["content"]
        if kind not in ("comm_open", "comm_msg"):
            return
        assert not message["buffers"], "no widget of the course has binary traits"
        model, data = content["comm_id"], content["data"]
        if kind == "comm_open":
            self.models[model] = data["state"]
            call = "([model, data]) => { models[model] = data.state; }"
        else:
            self.models[model].update(data.get("state", {}))
            call = "([model, data]) => deliver(model, data)"
        if self.page is not None:
            self.page.evaluate(call, [model, data])
