"""Schemathesis against a server of its own: run.py PROGRAM, where PROGRAM is tributary. A few people who follow each
other are made first, so that there is something to read. The port is TRIBUTARY_API_PORT, or a free one."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOOLS = HERE.parents[2] / "compose/tools.py"
START_S = 60
# Longer than a run takes on a busy machine: one that hangs must not hold up everything.
RUN_S = 600
CONFIG = """
[http]
listen = "127.0.0.1:%d"
[store]
path = "data"
[auth]
dev_login = true
[limits]
requests_per_second = 0
posts_per_minute = 0
"""


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def ask(base, method, path, body=None, token=None):
    """The JSON of an answer, if it has any."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(base + path, method=method, data=data, headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read() or "null")


def wait(server, base):
    until = time.monotonic() + START_S
    while server.poll() is None and time.monotonic() < until:
        try:
            return ask(base, "GET", "/readyz")
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    sys.exit("the server is never ready")


def populate(base):
    """A token of an operator, who follows others and is followed."""
    people = [ask(base, "POST", "/v1/auth/dev", {"handle": handle, "operator": handle == "ann"})
              for handle in ["ann", "ben", "cleo"]]
    for one in people:
        posts = [ask(base, "POST", "/v1/posts", {"text": f"post {n}"}, one["access_token"]) for n in range(25)]
        for other in people:
            if other is not one:
                ask(base, "PUT", f"/v1/follows/{other['user']['id']}", token=one["access_token"])
                ask(base, "PUT", f"/v1/likes/{posts[0]['id']}", token=other["access_token"])
    return people[0]["access_token"]


def main():
    program = Path(sys.argv[1]).resolve()
    port = int(os.environ.get("TRIBUTARY_API_PORT") or free_port())
    base = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "tributary.toml").write_text(CONFIG % port)
        log = Path(folder) / "server.log"
        with open(log, "wb") as told:
            server = subprocess.Popen([program, "--config", "tributary.toml"], cwd=folder, stderr=told)
        try:
            wait(server, base)
            run = subprocess.run(
                [sys.executable, TOOLS, HERE / "requirements.txt", "schemathesis", "--config-file",
                 HERE / "schemathesis.toml", "run", f"{base}/openapi.json", *sys.argv[2:]],
                cwd=folder, env={**os.environ, "API_TOKEN": populate(base)}, timeout=RUN_S)
            status = run.returncode
            if server.poll() is not None:
                status = status or 1
                print(f"the server has ended by itself: {server.returncode}", file=sys.stderr)
        finally:
            server.terminate()
            server.wait(30)
        if status:
            print(log.read_text(errors="replace")[-4000:], file=sys.stderr)
        sys.exit(status)


main()
