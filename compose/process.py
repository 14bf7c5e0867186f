"""A service as a plain process: started, known again, asked to end, ended, paused."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from install import Trouble

HOST = "127.0.0.1"
PROBE_S = 3
MAKE_S = 120
START_S = 120
STOP_S = 30
KILL_S = 10


class Process:
    """What all services have in common. In the set's folder each has its data `NAME/`, `NAME.conf`, `NAME.log`,
    `NAME.pid`, and `NAME.made`, which is there once its data are whole."""

    stop_signal = signal.SIGTERM
    # The user whose process it is, as `pwd` has it, where that is not the caller.
    user = None

    def __init__(self, name, folder, port, fast):
        self.name = name
        self.folder = folder
        self.data = folder / name
        self.settings = folder / (name + ".conf")
        self.log = folder / (name + ".log")
        self.port = port
        self.fast = fast
        self.child = None

    # What each kind says of itself.

    def ports(self):
        """Every port it listens on."""
        return [self.port]

    def packages(self):
        """The Debian packages that it lacks."""
        return []

    def check(self):
        """Fails where what is installed will not do."""

    def configure(self):
        """Writes its settings, before every start: they follow the code and the ports."""
        raise NotImplementedError

    def make(self):
        """Makes its data, where it does not do so itself."""

    def command(self):
        """What to run. `self.settings` is part of an argument: by that its process is known again."""
        raise NotImplementedError

    def answers(self):
        """Whether it answers a request."""
        raise NotImplementedError

    # What is done to it.

    def launch(self):
        """Starts it where it does not run, without waiting for an answer."""
        if self.pid():
            self.resume()
            return
        for port in self.ports():
            check_free(port, self.name)
        self.configure()
        made = self.folder / (self.name + ".made")
        if not made.exists():
            # What an interrupted call has left is not used.
            shutil.rmtree(self.data, ignore_errors=True)
            self.data.mkdir()
            if self.user:
                os.chown(self.data, self.user.pw_uid, self.user.pw_gid)
            self.make()
            made.touch()
        # A shell notes its own id before it becomes the service: so there is no moment in which the service runs and
        # an interrupted caller has not noted it.
        noting = ["/bin/sh", "-c", 'echo $$ && exec "$@" >&2', self.name]
        with open(self.pid_file(), "wb") as note, open(self.log, "ab") as log:
            # In a session of its own, what the terminal sends to the caller does not reach it.
            self.child = subprocess.Popen(noting + self.command(), stdin=subprocess.DEVNULL, stdout=note, stderr=log,
                                          start_new_session=True, **self.circumstances())

    def wait_until_it_answers(self):
        """After `launch`."""
        until = time.monotonic() + START_S
        while not self.answers():
            ended = self.child.poll() is not None if self.child else self.pid() is None
            if ended or time.monotonic() > until:
                what = "has ended" if ended else f"has not answered for {START_S} s"
                raise Trouble(f"{self.name} {what}; the end of {self.log}:\n{last_lines(self.log)}")
            time.sleep(0.1)

    def stop(self):
        """Asks it to end, and makes it end where it does not."""
        pid = self.pid()
        if pid is None:
            return
        send(self.stop_signal, [pid])
        # One that is paused would not notice.
        self.resume()
        if not wait_until(lambda: self.pid() != pid, STOP_S):
            self.kill()

    def kill(self):
        """Ends it at once, with its children."""
        pid = self.pid()
        if pid is None:
            return
        self.pause()
        family = self.family()
        send(signal.SIGKILL, family)
        if not wait_until(lambda: processes().keys().isdisjoint(family), KILL_S):
            raise Trouble(f"{self.name} (process {pid}) does not end, even though it was killed")

    def pause(self):
        """Lets it stand still; its connections stay open."""
        stopped = []
        # Again, until no child was born meanwhile.
        while self.family() != stopped:
            stopped = self.family()
            send(signal.SIGSTOP, stopped)

    def resume(self):
        """Lets it go on."""
        send(signal.SIGCONT, self.family())

    # What is known of it.

    def pid_file(self):
        """Where its process is noted."""
        return self.folder / (self.name + ".pid")

    def pid(self):
        """The id of its process, where that runs. The note alone says little: it outlives a reboot, and its number is
        given again."""
        try:
            pid = int(self.pid_file().read_text())
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError):
            return None
        return pid if os.fsencode(str(self.settings)) in arguments else None

    def family(self):
        """Its process and all that descend from it, in the order of their birth. A signal to its process group would
        miss PostgreSQL's children, which have groups of their own."""
        pid = self.pid()
        found = [pid] if pid else []
        running = processes()
        for pid in found:
            found += sorted(child for child, (parent, _) in running.items() if parent == pid)
        return found

    def state(self):
        """In one word."""
        pid = self.pid()
        if pid is None:
            return "stopped"
        if processes().get(pid, (0, ""))[1] == "T":
            return "paused"
        return "answers" if self.answers() else "silent"

    # What its programs are run with.

    def circumstances(self):
        """Where, in which environment and as whom, in the words of `subprocess`."""
        # PostgreSQL's programs would heed PGHOST and the like, which speak of some other server.
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        found = {"cwd": self.data, "env": dict(kept, LC_ALL="C")}
        if self.user:
            found.update(user=self.user.pw_uid, group=self.user.pw_gid, extra_groups=[])
        return found

    def run(self, command, text="", limit_s=MAKE_S):
        """Runs one of its programs to the end. What that said is told where it fails."""
        try:
            run = subprocess.run(command, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                 text=True, timeout=limit_s, **self.circumstances())
        except subprocess.TimeoutExpired:
            raise Trouble(f"{self.name}: {command[0]} did not end within {limit_s} s") from None
        if run.returncode != 0:
            raise Trouble(f"{self.name}: {command[0]} failed:\n{run.stdout}")


def ask(port, request, size):
    """The first bytes of the answer to a request: fewer where there are fewer, none where nobody answers in time."""
    try:
        with socket.create_connection((HOST, port), PROBE_S) as connection:
            connection.sendall(request)
            with connection.makefile("rb") as answer:
                return answer.read(size)
    except OSError:
        return b""


def check_free(port, name):
    """Fails where a service could not listen."""
    with socket.socket() as listener:
        # As services do it, so that connections which ended a while ago do not count.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError as error:
            taken = f"{name} cannot have the port {port} ({error.strerror}): choose others with --port BASE"
            raise Trouble(taken) from None


def processes():
    """Every process that has not ended: its parent and the letter of its state."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name of the program comes first, in brackets, and may hold anything.
            state, parent = stat.read_text(errors="replace").rpartition(")")[2].split()[:2]
        except OSError:
            continue
        # A zombie has ended; whether somebody reaps it is not our affair.
        if state != "Z":
            found[int(stat.parent.name)] = (int(parent), state)
    return found


def send(number, pids):
    """Sends a signal; who has ended needs none."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def wait_until(condition, limit_s):
    """Whether it came true in time."""
    until = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def last_lines(path):
    """The end of a log."""
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-15:])
    except OSError as error:
        return str(error)
