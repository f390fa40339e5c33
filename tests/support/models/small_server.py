"""A small OpenAI-compatible server on a real socket, which can be told to misbehave."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Json = dict[str, Any]
# What to do with a request, by its body and how often the same body came before.
Trouble = Callable[[Json, int], str | None]


@dataclass
class SmallServer:
    """Its texts say what they were made of: "<question> <seed> <position>".

    prompting: "continued" obeys continue_final_message, "native" leaves the last turn open anyway,
    "turn" always closes it. trouble names what goes wrong: a status, hang, close, fewer, none,
    garbage.
    """

    prompting: str = "continued"
    takes_n: bool = True
    gives_log_probabilities: bool = True
    is_strict: bool = False
    models: tuple[str, ...] = ("tiny",)
    owner: str = "tests"
    finish_reason: str | None = None
    lora_path: str | None = None
    key: str | None = None
    trouble: Trouble = lambda body, n_before: None
    url: str = ""
    asked: list[Json] = field(default_factory=list)
    adapters: list[Json] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    most_at_once: int = 0
    _now: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _seen: dict[str, int] = field(default_factory=dict)
    closing: threading.Event = field(default_factory=threading.Event)

    def chat(self, body: Json) -> tuple[int, Json] | str:
        """A status with its JSON, or "hang" or "close"."""
        with self._lock:
            mark = json.dumps(body, sort_keys=True)
            n_before = self._seen.get(mark, 0)
            self._seen[mark] = n_before + 1
            self.asked.append(body)
            self.times.append(time.monotonic())
        if self.is_strict and {"top_k", "continue_final_message"} & set(body):
            return 422, {"detail": "unexpected fields"}
        action = self.trouble(body, n_before)
        if action in ("hang", "close"):
            return action
        if action is not None and action.isdigit():
            return int(action), {"error": {"message": f"told to say {action}"}}
        n = body.get("n", 1)
        answers: dict[str | None, Json] = {
            "garbage": {"choices": [{"text": "no message"}]},
            "fewer": self.answer(body, n=max(1, n // 2)),
            "none": self.answer(body, n=0),
        }
        return 200, answers.get(action) or self.answer(body)

    def answer(self, body: Json, n: int | None = None) -> Json:
        n = (body.get("n", 1) if self.takes_n else 1) if n is None else n
        question, begun = words_of(body)
        prompt_tokens = 7 + len(question.split())
        if begun is not None:
            prompt_tokens += len(begun.split())
            is_open = self.prompting == "native" or (
                self.prompting == "continued" and body.get("continue_final_message")
            )
            prompt_tokens += 0 if is_open else 5
        texts = [f" {question} {body.get('seed')} {position}" for position in range(n)]
        choices = [
            {"index": index, "message": {"role": "assistant", "content": text}}
            for index, text in enumerate(texts)
        ]
        if self.gives_log_probabilities and body.get("logprobs"):
            for choice in choices:
                choice["logprobs"] = {"content": [{"logprob": -0.5}, {"logprob": -0.25}]}
        if self.finish_reason is not None:
            for choice in choices:
                choice["finish_reason"] = self.finish_reason
        usage = {"prompt_tokens": prompt_tokens, "completion_tokens": 2 * n}
        return {"choices": choices, "usage": usage}

    @contextmanager
    def counted(self) -> Iterator[None]:
        with self._lock:
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        try:
            yield
        finally:
            with self._lock:
                self._now -= 1

    def of_draws(self) -> list[Json]:
        """Requests that are no probes."""
        return [body for body in self.asked if body["max_tokens"] > 1]


def words_of(body: Json) -> tuple[str, str | None]:
    """(question, begun answer) of a request."""
    messages = body["messages"]
    question = messages[0]["content"][1]["text"]
    return question, messages[1]["content"] if len(messages) > 1 else None


@contextmanager
def running(server: SmallServer) -> Iterator[SmallServer]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            if self.is_let_in():
                data = [
                    {
                        "id": name,
                        "owned_by": server.owner,
                        "parent": "tiny" if name.startswith("illume-") else None,
                    }
                    for name in server.models
                ]
                self.send(200, {"object": "list", "data": data})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if not self.is_let_in():
                return
            if self.path == server.lora_path:
                server.adapters.append(body)
                self.send(200, "Success: added")  # plain words, as vLLM says it
            elif self.path == "/v1/chat/completions":
                with server.counted():
                    self.chat(body)
            else:
                self.send(404, {"error": {"message": "no such address"}})

        def chat(self, body: Json) -> None:
            match server.chat(body):
                case "hang":
                    server.closing.wait(30)
                    self.close_connection = True
                case "close":
                    self.send_response(200)
                    self.send_header("Content-Length", "1000")
                    self.end_headers()
                    self.wfile.write(b'{"choices": [')
                    self.close_connection = True
                case (status, answer):
                    self.send(status, answer)

        def is_let_in(self) -> bool:
            if server.key and self.headers.get("Authorization") != f"Bearer {server.key}":
                self.send(401, {"error": "wrong key"})
                return False
            return True

        def send(self, status: int, answer: object) -> None:
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            if status == 429:
                self.send_header("Retry-After", "1")
            self.end_headers()
            self.wfile.write(content)

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, *_: object) -> None:
            pass  # a client that went away is what some tests are about

    with Quiet(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        server.url = f"http://127.0.0.1:{http.server_address[1]}/v1"
        try:
            yield server
        finally:
            server.closing.set()
            http.shutdown()
            thread.join()
