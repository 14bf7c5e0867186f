"""What services and tests need on this machine: Debian packages, and the jars of Kafka.

As a program it installs programs by their names, where the PATH lacks them: `install.py chromium node npm`.
"""

import collections
import functools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

APT_S = 900
MAVEN_S = 900
JAVA_MIN = 17
JAVA_PACKAGES = ["openjdk-17-jre-headless", "openjdk-21-jre-headless", "openjdk-25-jre-headless"]

# The Debian packages of programs that are called otherwise.
PACKAGES = {"node": "nodejs"}


class Trouble(Exception):
    """What went wrong, and what to do about it."""


# A release of Kafka: the jars beside it that write its log, and how those are told to write warnings to the standard
# output. Each release knows one of the two libraries only.
Release = collections.namedtuple("Release", "version log_jars log_property log_settings")
KAFKA = {
    "kafka": Release(
        "4.1.1",
        ["org.apache.logging.log4j:log4j-slf4j-impl:2.24.3", "org.apache.logging.log4j:log4j-core:2.24.3"],
        "log4j2.configurationFile",
        """status=warn
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d %p %c: %m%n
rootLogger.level=warn
rootLogger.appenderRef.out.ref=out
"""),
    "kafka39": Release(
        "3.9.1",
        ["org.slf4j:slf4j-reload4j:1.7.36"],
        "log4j.configuration",
        """log4j.rootLogger=WARN, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%d %p %c: %m%n
"""),
}
DEPENDENCY = "<dependency><groupId>%s</groupId><artifactId>%s</artifactId><version>%s</version></dependency>"
POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion>
<groupId>tributary</groupId><artifactId>kafka-jars</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>%s</dependencies>
</project>
"""
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"


def say(text):
    """Tells what takes long; beside the output, which may be read by a program."""
    print(text, file=sys.stderr, flush=True)


@functools.cache
def major(program):
    """The major version that a program says it has, 0 where it says none."""
    option = "-version" if program.name == "java" else "--version"
    try:
        run = subprocess.run([program, option], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    said = re.search(r'(?:PostgreSQL\) |version ")(\d+)', run.stdout)
    return int(said.group(1)) if said else 0


def packages(names):
    """Installs Debian packages."""
    if not names:
        return
    wanted = " ".join(names)
    root = [] if os.getuid() == 0 else ["sudo", "-n"]
    if not shutil.which("apt-get"):
        raise Trouble(f"missing here: what Debian has as {wanted}. Install it, and run this again")
    if root and not (shutil.which("sudo") and quiet(root + ["true"])):
        raise Trouble(f"missing here, and installing needs root: sudo apt-get install {wanted}")
    say(f"installing the Debian packages {wanted}")
    apt = root + ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "DPkg::Lock::Timeout=120", "-qq"]
    install = apt + ["install", "--yes", "--no-install-recommends"] + names
    # The second time with fresh lists: where they are missing or old, apt does not find what it wants.
    if not quiet(install) and not (quiet(apt + ["update"]) and loud(install)):
        raise Trouble(f"apt-get could not install {wanted}; what it said stands above")


def quiet(command):
    """Whether a command succeeds."""
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          timeout=APT_S).returncode == 0


def loud(command):
    """Whether a command succeeds; its output is shown."""
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, timeout=APT_S).returncode == 0


def java():
    """The `java` to use: of JAVA_HOME, the PATH, or where Debian has them; none where none is new enough."""
    found = [Path(os.environ["JAVA_HOME"]) / "bin" / "java"] if os.environ.get("JAVA_HOME") else []
    found += [Path(shutil.which("java"))] if shutil.which("java") else []
    found += sorted(Path("/usr/lib/jvm").glob("*/bin/java"))
    return next((path for path in found if major(path) >= JAVA_MIN), None)


def kafka_packages(release):
    """The Debian packages that Kafka lacks."""
    missing = []
    if not java():
        # Each Debian has one or two of them.
        has = [name for name in JAVA_PACKAGES if shutil.which("apt-cache") and quiet(["apt-cache", "show", name])]
        missing += (has or JAVA_PACKAGES)[:1]
    if not kafka_jars(release).exists() and not shutil.which("mvn"):
        missing.append("maven")
    return missing


def kafka_jars(release):
    """The folder of a release's jars, for all sets; it is there whole or not at all."""
    return Path.home() / ".cache" / "tributary" / ("kafka-" + release.version)


def fetch_kafka(release):
    """Has Maven fetch the jars where they are missing."""
    jars = kafka_jars(release)
    if jars.exists():
        return
    say(f"fetching Kafka {release.version} with Maven (45 MB, once)")
    draft = Path(f"{jars}.draft-{os.getpid()}")
    draft.mkdir(parents=True)
    try:
        wanted = ["org.apache.kafka:kafka_2.13:" + release.version] + release.log_jars
        pom = draft / "pom.xml"
        pom.write_text(POM % "".join(DEPENDENCY % tuple(name.split(":")) for name in wanted))
        maven = ["mvn", "--batch-mode", "--quiet", "--strict-checksums", "--file", pom, COPY,
                 "-DincludeScope=runtime", f"-DoutputDirectory={draft}"]
        run = subprocess.run(maven, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             timeout=MAVEN_S, text=True)
        if run.returncode != 0:
            raise Trouble(f"Maven could not fetch Kafka {release.version}:\n{run.stdout[-3000:]}")
        try:
            draft.rename(jars)
        except OSError:
            # Somebody else was quicker, and has the same.
            if not jars.exists():
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)


if __name__ == "__main__":
    try:
        packages([PACKAGES.get(name, name) for name in sys.argv[1:] if not shutil.which(name)])
    except (Trouble, OSError, subprocess.TimeoutExpired) as error:
        say(f"install: {error}")
        sys.exit(1)
