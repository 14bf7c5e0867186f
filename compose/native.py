#!/usr/bin/env python3
"""PostgreSQL, Redis and Kafka as plain processes, for machines without a container engine.

A set of services is a folder and eight ports from a base on. `up` makes and starts one, `down` stops what it started;
sets with other bases live beside it. Everything listens on 127.0.0.1 only.
"""

import argparse
import contextlib
import fcntl
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import install
from install import Trouble, say
from process import wait_until
from services import SERVICES

# Below 32768: from there on Linux gives ports to outgoing connections, and one of those may sit on the port of a
# service that is being restarted.
PORT = 21000
PORT_MAX = 65535 - 7
# Without those that are there for the sake of a test.
USUAL = [name for name in SERVICES if name != "kafka39"]
NAMES = ", ".join(SERVICES)
LOCK_S = 300


class Set:
    """The services of one folder, by default one that is named after the ports. What a set was made with is kept in
    it, so that later commands find it by either."""

    def __init__(self, folder, port):
        self.folder = folder or default_folder(port or PORT)
        self.note = self.folder / "set.json"
        self.made = json.loads(self.note.read_text()) if self.note.exists() else None
        if self.made and port not in (None, self.made["port"]):
            raise Trouble(f"the set in {self.folder} has the ports from {self.made['port']} on: `down --remove` "
                          "it first, or name another --folder")
        self.port = self.made["port"] if self.made else port or PORT

    def make(self, fast):
        """Makes its folder, where there is none."""
        if self.made:
            if fast and not self.made["fast"]:
                raise Trouble(f"the set in {self.folder} was made without --fast: `down --remove` it first")
            return
        if self.folder.exists() and any(self.folder.iterdir()):
            raise Trouble(f"{self.folder} holds something else: name another --folder")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.made = {"port": self.port, "fast": fast}
        draft = self.note.with_suffix(".draft")
        draft.write_text(json.dumps(self.made))
        draft.replace(self.note)

    def services(self, names=tuple(SERVICES)):
        """The services of these names, none where the set is not made."""
        if not self.made:
            return []
        known = [(name, *SERVICES[name]) for name in SERVICES if name in names]
        return [kind(name, self.folder, self.port + offset, self.made["fast"]) for name, kind, offset in known]

    def up(self, names, fast, tell=print):
        """Starts what does not run of these, installs what is missing for it, and waits until all answer."""
        self.make(fast)
        services = self.services(names)
        install.packages(sorted({package for service in services for package in service.packages()}))
        for service in services:
            service.check()
        with self.alone():
            for service in services:
                service.launch()
        for service in services:
            service.wait_until_it_answers()
            tell(f"{service.name:9} {service.address()}")

    def down(self, remove):
        """Stops all, last started first."""
        if not self.made:
            return
        with self.alone():
            for service in reversed(self.services()):
                service.stop()
            if remove:
                # The note goes last: while anything is left, it is known as a set.
                for path in set(self.folder.iterdir()) - {self.note}:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
                shutil.rmtree(self.folder)
                self.made = None

    @contextlib.contextmanager
    def alone(self):
        """One call at a time starts or stops services."""
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            if not wait_until(lambda: locked(folder), LOCK_S):
                raise Trouble(f"another call has been at work in {self.folder} for {LOCK_S} s")
            yield
        finally:
            os.close(folder)

    def variables(self):
        """What tests need to know of what runs."""
        running = [service for service in self.services() if service.pid()]
        known = {service.name: service.address() for service in running}
        shards = [address for name, address in known.items() if name.startswith("redis-")]
        found = {
            "TRIBUTARY_TEST_POSTGRES": known.get("postgres"),
            "TRIBUTARY_TEST_REDIS": ",".join(shards),
            "TRIBUTARY_TEST_KAFKA": known.get("kafka"),
            "TRIBUTARY_TEST_KAFKA_39": known.get("kafka39"),
            # For tests that stop and start services: the --folder to name.
            "TRIBUTARY_TEST_SERVICES": str(self.folder) if running else None,
        }
        return {name: value for name, value in found.items() if value}

    def run(self, command):
        """Runs a command with all services, new ones that are gone afterwards. The exit status is the command's."""
        if "TRIBUTARY_TEST_POSTGRES" in os.environ:
            # The caller has brought services along; also this very command, further out.
            os.execvp(command[0], command)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, _frame: sys.exit(128 + number))
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with open(f"{self.folder}.lock", "w") as lock:
            if not locked(lock):
                raise Trouble(f"another run has the services in {self.folder}: name other ports by "
                              "TRIBUTARY_TEST_PORT=BASE")
            if self.made and not self.made["fast"]:
                raise Trouble(f"the services in {self.folder} are not for tests, which remove theirs: name other ports "
                              "by TRIBUTARY_TEST_PORT=BASE")
            # What a run that was killed has left.
            self.down(remove=True)
            try:
                self.up(list(SERVICES), fast=True, tell=say)
                return finish(command, dict(os.environ, **self.variables()))
            finally:
                self.down(remove=True)


def locked(file):
    """Whether this process now holds the lock of a file. The system frees it, however the process ends."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def finish(command, environment):
    """Runs a command to its end, also when this process is told to end; its exit status."""
    child = subprocess.Popen(command, env=environment)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: child.send_signal(number))
    # The terminal has told the command too.
    signal.signal(signal.SIGINT, lambda _number, _frame: None)
    status = child.wait()
    return status if status >= 0 else 128 - status


def default_folder(port):
    """Where a set lies. Root's home is closed to the user `postgres`, as whom root's PostgreSQL runs."""
    parent = Path("/var/lib/tributary") if os.getuid() == 0 else Path.home() / ".cache" / "tributary"
    return parent / f"services-{port}"


def a_folder(text):
    """A folder as the settings of all services can have it."""
    folder = Path(text).expanduser().resolve()
    if not re.fullmatch(r"[\w./+@-]+", str(folder)):
        raise argparse.ArgumentTypeError(f"{folder}: only letters, digits and ./+@-_ are possible")
    return folder


def a_port(text):
    """A base of ports."""
    if not text.isdigit() or not 1024 <= int(text) <= PORT_MAX:
        raise argparse.ArgumentTypeError(f"{text} is not from 1024 to {PORT_MAX}")
    return int(text)


def a_name(text):
    """The name of a service."""
    if text not in SERVICES:
        raise argparse.ArgumentTypeError(f"{text} is none of {NAMES}")
    return text


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=a_folder, metavar="DIR",
                        help=f"of the set (default: {default_folder(PORT)})")
    parser.add_argument("--port", type=a_port, metavar="BASE", help=f"the first of its ports (default: {PORT})")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="start what does not run, and wait until it answers")
    up.add_argument("--fast", action="store_true", help="make a set that does not survive a loss of power")
    up.add_argument("names", nargs="*", type=a_name, metavar="NAME",
                    help=f"of {NAMES} (default: all but kafka39)")
    down = commands.add_parser("down", help="stop all services of the set")
    down.add_argument("--remove", action="store_true", help="and remove their data")
    deeds = {"start": "start, and wait until it answers", "stop": "ask to end", "kill": "end at once (SIGKILL)",
             "pause": "let it stand still (SIGSTOP)", "resume": "let it go on"}
    for deed, told in deeds.items():
        commands.add_parser(deed, help=told).add_argument("names", nargs="+", type=a_name, metavar="NAME")
    commands.add_parser("status", help="what runs, and whether it answers")
    commands.add_parser("env", help="what runs, as variables for a shell")
    run = commands.add_parser("run", help="run a command with a new set, and remove the set")
    run.add_argument("words", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    return parser.parse_args()


def main():
    """Does one command; the exit status."""
    given = arguments()
    if os.getuid() == 0:
        # The user `postgres` reads its settings in folders that root makes here.
        os.umask(0o022)
    chosen = Set(given.folder, given.port)
    if given.command == "up":
        chosen.up(given.names or USUAL, given.fast)
    elif given.command == "down":
        chosen.down(given.remove)
    elif given.command == "status":
        for service in chosen.services():
            print(f"{service.name:9} {service.state():8} {service.address()}")
    elif given.command == "env":
        for name, value in chosen.variables().items():
            print(f"export {name}={shlex.quote(value)}")
    elif given.command == "run":
        words = given.words[1:] if given.words[:1] == ["--"] else given.words
        return chosen.run(words or ["true"])
    elif not chosen.made:
        raise Trouble(f"there are no services in {chosen.folder}: `up` makes them")
    elif given.command == "start":
        chosen.up(given.names, fast=False)
    else:
        for service in chosen.services(given.names):
            getattr(service, given.command)()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Trouble, OSError, subprocess.TimeoutExpired) as error:
        say(f"native: {error}")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
