"""AWS Lambda as a function sees it: the runtime API, and a process in which Amazon's own client for that runs the function."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Union

from ...support.http_messages import DROP, RecordedRequest, Reply, json_reply
from ...support.peers import HandlerPeer
from ...support.plumbing import PATIENCE

_API = "/2018-06-01/runtime"
_ARN = "arn:aws:lambda:eu-central-1:123456789012:function:places"

# Root may write everywhere; without this capability it is bound by the modes of files, as a function's user is.
_START = """
import ctypes, os, sys
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE = 24, 1
ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


class Outcome(NamedTuple):
    """What the runtime reported. `error`: its type, message and stack, where the function failed; `None` for an `answer`."""

    answer: Any
    error: Union[dict[str, Any], None]


class RuntimeApi:
    """The end of Lambda that a runtime asks for invocations and tells what came of them (Lambda runtime API, 2018-06-01)."""

    def __init__(self) -> None:
        self.idle = threading.Event()
        """Set while the function waits for the next invocation, which is when Lambda freezes it."""
        self._events: queue.Queue[Any] = queue.Queue()
        self._outcomes: queue.Queue[Outcome] = queue.Queue()
        self._number = 0

    def invoke(self, event: Any, seconds: float) -> None:
        """Hand the function an event, with `seconds` until Lambda would end it."""
        self._number += 1
        self.idle.clear()
        self._events.put((event, int((time.time() + seconds) * 1000)))

    def outcome(self) -> Outcome:
        """What came of it."""
        return self._outcomes.get(timeout=PATIENCE)

    def end(self) -> None:
        """Let go of a function that waits."""
        self._events.put(None)

    def answer(self, request: RecordedRequest) -> Reply | None:
        """What Lambda answers."""
        assert request.path.startswith(_API)
        path = request.path[len(_API) :]
        if path == "/invocation/next":
            return self._next()
        current = f"/invocation/{self._number}"
        if path in (f"{current}/error", "/init/error"):
            self._outcomes.put(Outcome(None, request.json()))
        elif path == f"{current}/response":
            self._outcomes.put(Outcome(request.json(), None))
        else:
            return None
        return json_reply({"status": "OK"}, 202)

    def _next(self) -> Reply:
        self.idle.set()
        invocation = self._events.get()
        if invocation is None:
            return DROP
        event, deadline = invocation
        headers = {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": str(self._number),
            "Lambda-Runtime-Deadline-Ms": str(deadline),
            "Lambda-Runtime-Invoked-Function-Arn": _ARN,
        }
        return Reply(200, headers, json.dumps(event))


class Function:
    """A function in a process of its own."""

    def __init__(self, api: RuntimeApi, process: subprocess.Popen[bytes], log: Path) -> None:
        self._api = api
        self._process = process
        self._log = log

    def invoke(self, event: Any, seconds: float = PATIENCE) -> Outcome:
        """Invoke it, and wait for what it reports."""
        self.send(event, seconds)
        return self.report()

    def send(self, event: Any, seconds: float = PATIENCE) -> None:
        """Hand it an event, with `seconds` until Lambda would end it."""
        self._api.invoke(event, seconds)

    def report(self) -> Outcome:
        """What it reports next; without an invocation, that is why it could not start."""
        try:
            return self._api.outcome()
        except queue.Empty:
            raise AssertionError(f"The function said nothing, but in its log: {self.log}") from None

    def initialized(self) -> None:
        """Wait until it is ready for an invocation."""
        assert self._api.idle.wait(PATIENCE), self.log

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Inside, not one instruction of it is carried out."""
        self.initialized()
        os.kill(self._process.pid, signal.SIGSTOP)
        _, status = os.waitpid(self._process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        try:
            yield
        finally:
            os.kill(self._process.pid, signal.SIGCONT)

    @property
    def log(self) -> str:
        """What went to its log so far."""
        return self._log.read_text(encoding="utf-8")


@contextmanager
def running(code: Path, *packages: Path, log: Path, variables: Mapping[str, str]) -> Iterator[Function]:
    """The function in the folder `code`, with what is in the folders `packages` and nothing else that is installed.

    `variables` are in its environment, where there is no home. It ends with the block.
    """
    api = RuntimeApi()
    with HandlerPeer(api.answer) as peer, log.open("wb") as output:
        environment = {
            "AWS_LAMBDA_RUNTIME_API": f"{peer.host}:{peer.port}",
            "AWS_LAMBDA_FUNCTION_NAME": "places",
            "LAMBDA_TASK_ROOT": str(code),
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "PYTHONPATH": os.pathsep.join(map(str, [code, *packages])),
            **variables,
        }
        command = [sys.executable, "-S", "-c", _START, "-S", "-m", "awslambdaric", "lambda_function.handler"]
        process = subprocess.Popen(
            command, cwd=code, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            yield Function(api, process, log)
        finally:
            process.kill()
            process.wait()
            api.end()
