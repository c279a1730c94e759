"""A model's ``serve`` as short as a test can say it."""

from __future__ import annotations

from textwrap import dedent, indent

_SERVE = """\
#!/usr/bin/env python3
import itertools, json, os, signal, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

signal.signal(signal.SIGTERM, lambda *_: os._exit(0))


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
{get}

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
{post}

    def answer(self, text, status=200):
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128


{start}
Server(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
"""


def serve(post: str, *, get: str = 'self.answer("")', start: str = "") -> str:
    """The program.

    Args:
        post: What it does with the ``body`` of a request; ``self.answer(text, status)`` answers it.
        get: What it does with a health check.
        start: What it does before it listens.
    """
    inside = {name: indent(dedent(text), " " * 8) for name, text in (("get", get), ("post", post))}
    return _SERVE.format(**inside, start=dedent(start))
