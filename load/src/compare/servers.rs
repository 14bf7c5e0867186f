//! Redis and PostgreSQL as child processes, each in a temporary folder and on a free port, for one comparison.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_postgres::NoTls;

const START: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);
/// Where Debian puts PostgreSQL's programs.
const DEBIAN: &str = "/usr/lib/postgresql";

/// A server; it ends, and its folder goes, with this value.
pub struct Server {
    child: Child,
    folder: TempDir,
    port: u16,
}

impl Server {
    /// A Redis that keeps nothing on disk.
    ///
    /// # Errors
    /// When there is no `redis-server`, or it does not start.
    pub async fn redis() -> Result<Self> {
        let program = in_path(&["redis-server", "valkey-server"]).context(
            "neither redis-server nor valkey-server is in the PATH: install one, or name a server by --redis",
        )?;
        let (folder, port) = (folder()?, free_port()?);
        let mut command = Command::new(program);
        command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no"]);
        command.arg("--dir").arg(folder.path());
        let answers = async || TcpStream::connect(("127.0.0.1", port)).await.is_ok();
        Self::start(command, folder, port, answers).await
    }

    /// A PostgreSQL that does not wait for its disk. It refuses to run as root, so there it runs as `postgres`.
    ///
    /// # Errors
    /// When there is no PostgreSQL, or it does not start.
    pub async fn postgres() -> Result<Self> {
        let programs = postgres_programs()
            .context("initdb of PostgreSQL was not found: install it, or name a server by --postgres")?;
        let (folder, port) = (folder()?, free_port()?);
        let owner = owner()?;
        if let Some((user, group)) = owner {
            chown(folder.path(), Some(user), Some(group)).context("giving PostgreSQL its folder")?;
        }
        let data = folder.path().join("data");
        let run = |name: &str| {
            let mut command = Command::new(programs.join(name));
            if let Some((user, group)) = owner {
                command.uid(user).gid(group);
            }
            command.current_dir(folder.path()).arg("-D").arg(&data);
            command
        };
        let made = run("initdb")
            .args(["--username=tributary", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"])
            .output()
            .context("running initdb")?;
        ensure!(made.status.success(), "initdb failed: {}", String::from_utf8_lossy(&made.stderr).trim());
        let mut command = run("postgres");
        command.arg("-c").arg(format!("port={port}"));
        for setting in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "fsync=off",
            "full_page_writes=off",
            "synchronous_commit=off",
            "shared_buffers=512MB",
            "max_wal_size=4GB",
        ] {
            command.args(["-c", setting]);
        }
        // It listens before it lets anybody in.
        let url = format!("postgres://tributary@127.0.0.1:{port}/postgres");
        let answers = async || tokio_postgres::connect(&url, NoTls).await.is_ok();
        Self::start(command, folder, port, answers).await
    }

    async fn start(mut command: Command, folder: TempDir, port: u16, answers: impl AsyncFn() -> bool) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let log = fs::File::create(folder.path().join("log")).context("making the log of a server")?;
        let errors = log.try_clone().context("making the log of a server")?;
        // In a group of its own, what a terminal sends to this process does not end it first.
        command.process_group(0);
        let child = command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn();
        let child = child.with_context(|| format!("starting {name}"))?;
        let mut server = Self { child, folder, port };
        let until = Instant::now() + START;
        while !answers().await {
            let ended = server.child.try_wait().context("asking after a server")?.is_some();
            if ended || Instant::now() > until {
                let log = fs::read_to_string(server.folder.path().join("log")).unwrap_or_default();
                bail!("{name} does not start: {}", log.lines().last().unwrap_or("it says nothing"));
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(server)
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Interrupted, both end at once, whoever is connected. Killed, PostgreSQL would leave its children behind.
        let _ = Command::new("kill").args(["-s", "INT", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

fn folder() -> Result<TempDir> {
    tempfile::Builder::new().prefix("tributary-compare-").tempdir().context("making a temporary folder for a server")
}

/// A port that nobody has now.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("looking for a free port")?;
    Ok(listener.local_addr().context("looking for a free port")?.port())
}

fn in_path(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .flat_map(|folder| names.iter().map(move |name| folder.join(name)))
        .find(|file| file.is_file())
}

/// The folder of PostgreSQL's programs, of the newest version where there are several.
fn postgres_programs() -> Option<PathBuf> {
    let versions = fs::read_dir(DEBIAN).into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .max()
        .map(|version| Path::new(DEBIAN).join(version.to_string()).join("bin"));
    let linked = || in_path(&["initdb"])?.canonicalize().ok()?.parent().map(Path::to_owned);
    newest.filter(|folder| folder.join("initdb").is_file()).or_else(linked)
}

/// User and group that PostgreSQL runs as, where that is not the caller.
fn owner() -> Result<Option<(u32, u32)>> {
    if fs::metadata("/proc/self").context("asking who this is")?.uid() != 0 {
        return Ok(None);
    }
    let id = |what: &str| -> Result<u32> {
        let output = Command::new("id").args([what, "postgres"]).output().context("looking for the user `postgres`")?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        text.parse().ok().context("PostgreSQL does not run as root, and there is no user `postgres`: be another, or name a server by --postgres")
    };
    Ok(Some((id("-u")?, id("-g")?)))
}
