"""What each service is: what it needs, how it is set, and how to tell that it answers."""

import base64
import contextlib
import os
import pwd
import shutil
import signal
import struct
import uuid
from pathlib import Path

import install
from install import Trouble
from process import HOST, PROBE_S, Process, ask


class Postgres(Process):
    """PostgreSQL, 15 or newer."""

    # "Fast": it ends sessions where it would wait for them.
    stop_signal = signal.SIGINT
    # No Unix socket: nobody needs it, and the length of its path is limited.
    conf = """listen_addresses = '{host}'
port = {port}
unix_socket_directories = ''
hba_file = '{access}'
max_connections = 200
shared_buffers = 256MB
"""
    # For sets that are thrown away: they survive kill -9, and not the machine's loss of power.
    conf_fast = "fsync = off\nfull_page_writes = off\n"
    # On this machine everybody is let in as `tributary`, a superuser: it is for machines of one's own. Other roles
    # need their passwords, so that a wrong password can be tried.
    access = """host all tributary 127.0.0.1/32 trust
host all all 127.0.0.1/32 scram-sha-256
"""

    @property
    def user(self):
        """It refuses to run as root."""
        try:
            return pwd.getpwnam("postgres") if os.getuid() == 0 else None
        except KeyError:
            raise Trouble("PostgreSQL does not run as root, and there is no user `postgres`: be another") from None

    def program(self, name):
        """The path of one of its programs, of the newest version that is installed; none where all are too old."""
        folders = list(Path("/usr/lib/postgresql").glob("*/bin"))
        if shutil.which("initdb"):
            # Where it is linked from, the others need not be.
            folders.append(Path(shutil.which("initdb")).resolve().parent)
        found = [(install.major(folder / "postgres"), folder) for folder in folders]
        version, folder = max(found, default=(0, None))
        return folder / name if version >= 15 else None

    def packages(self):
        return [] if self.program("postgres") else ["postgresql"]

    def check(self):
        if not self.program("postgres"):
            raise Trouble("PostgreSQL 15 or newer is needed, and the package `postgresql` of this system is older")

    def configure(self):
        access = self.folder / "postgres.access"
        access.write_text(self.access)
        conf = self.conf + (self.conf_fast if self.fast else "")
        self.settings.write_text(conf.format(host=HOST, port=self.port, data=self.data, access=access))
        # A note of its own keeps it from starting when the process in it has ended and nobody has reaped it, or when
        # its number was given again. Here that process has ended; children that linger are found without the note.
        with contextlib.suppress(FileNotFoundError):
            (self.data / "postmaster.pid").unlink()

    def make(self):
        try:
            self.run(["test", "-r", self.settings])
        except Trouble:
            raise Trouble(f"the user `postgres` cannot reach {self.folder}: name another with --folder") from None
        unsynced = ["--no-sync"] if self.fast else []
        self.run([self.program("initdb"), "--pgdata", self.data, "--username=tributary", "--auth=trust",
                  "--encoding=UTF8", "--locale=C"] + unsynced)
        self.run([self.program("postgres"), "--single", "-D", self.data, "postgres"],
                 text="CREATE DATABASE tributary\n")

    def command(self):
        return [self.program("postgres"), "-D", self.data, "-c", f"config_file={self.settings}"]

    def answers(self):
        try:
            self.run([self.program("psql"), "-XAtqc", "SELECT 1", self.address()], limit_s=PROBE_S)
        except Trouble:
            return False
        return True

    def address(self):
        return f"postgres://tributary@{HOST}:{self.port}/postgres"


class Redis(Process):
    """Redis or Valkey, as a cache: its disk is written only when a client says SAVE, and what does not fit is evicted.
    By allkeys-lru: volatile-lru would spare strings without a time to live, and refuse writes once only those were
    left. The engine can lose any key."""

    # Its process shows the arguments that it is known by only where it is told to leave them.
    conf = """bind {host}
port {port}
dir "{data}"
set-proc-title no
save ""
appendonly no
maxmemory 512mb
maxmemory-policy allkeys-lru
"""

    def program(self):
        """Its path; none where it is not installed."""
        return shutil.which("redis-server") or shutil.which("valkey-server")

    def packages(self):
        return [] if self.program() else ["redis-server"]

    def check(self):
        if not self.program():
            raise Trouble("neither redis-server nor valkey-server is in the PATH")

    def configure(self):
        self.settings.write_text(self.conf.format(host=HOST, port=self.port, data=self.data))

    def command(self):
        return [self.program(), self.settings]

    def answers(self):
        return ask(self.port, b"PING\r\n", 7) == b"+PONG\r\n"

    def address(self):
        return f"redis://{HOST}:{self.port}/0"


class Kafka(Process):
    """Kafka from its jars, as one node that is broker and controller."""

    # Where its defaults are for many topics and large machines (128 MB for the cleaner, 50 partitions of offsets),
    # they are smaller here. A node that was killed may be itself again once its old session has ended.
    conf = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
log.dirs={data}
auto.create.topics.enable=false
num.partitions=12
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=8388608
"""

    def __init__(self, name, folder, port, fast):
        super().__init__(name, folder, port, fast)
        self.release = install.KAFKA[name]
        self.log_settings = folder / (name + ".log.properties")

    def ports(self):
        return [self.port, self.port + 1]

    def packages(self):
        return install.kafka_packages(self.release)

    def check(self):
        if not install.java():
            raise Trouble(f"Kafka needs Java {install.JAVA_MIN} or newer: install it, or name it by JAVA_HOME")
        install.fetch_kafka(self.release)

    def configure(self):
        conf = self.conf.format(host=HOST, port=self.port, controller=self.port + 1, data=self.data)
        self.settings.write_text(conf)
        self.log_settings.write_text(self.release.log_settings)

    def make(self):
        # Kafka's own `random-uuid` would start a JVM for this. A name that began with a dash would be an option.
        cluster = "T" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]
        self.run(self.java("kafka.tools.StorageTool", "format", "--cluster-id", cluster, "--config",
                           self.settings))

    def java(self, *arguments):
        """One of its programs. With the quick compiler alone and the simplest collector it starts sooner and takes
        less memory."""
        return [install.java(), "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
                f"-D{self.release.log_property}=file:{self.log_settings}",
                "-cp", f"{install.kafka_jars(self.release)}/*"] + list(arguments)

    def command(self):
        return self.java("kafka.Kafka", self.settings)

    def answers(self):
        """It accepts connections before topics can be made. So it is asked for the brokers that are of use (Metadata,
        version 4, of no topic): in the end that is itself."""
        request = struct.pack(">hhihib", 3, 4, 0, -1, 0, 0)
        answer = ask(self.port, struct.pack(">i", len(request)) + request, 16)
        return len(answer) == 16 and struct.unpack(">iiii", answer)[3] == 1

    def address(self):
        return f"{HOST}:{self.port}"


# Kind, and where its ports begin.
SERVICES = {
    "postgres": (Postgres, 0),
    "redis-a": (Redis, 1),
    "redis-b": (Redis, 2),
    "redis-c": (Redis, 3),
    "kafka": (Kafka, 4),
    "kafka39": (Kafka, 6),
}
