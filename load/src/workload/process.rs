//! What a process of this machine costs, by Linux' `/proc`: its CPU seconds and its memory. Elsewhere it is not known.

use std::fs;
use std::net::SocketAddr;

use serde::Serialize;

/// The kernel tells times in hundredths of a second, on every architecture.
const TICKS_PER_SECOND: f64 = 100.0;

/// What a process has used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Usage {
    /// User and system time together.
    pub cpu_seconds: f64,
    /// Resident now.
    pub rss_bytes: u64,
    /// Resident at the most.
    pub rss_max_bytes: u64,
}

/// The usage of a process; none where it is gone or this is not Linux.
pub fn usage(pid: u32) -> Option<Usage> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    parse(&stat, &status)
}

fn parse(stat: &str, status: &str) -> Option<Usage> {
    // The second field is the name, which may hold anything; the third comes after its last parenthesis.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    let kib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    Some(Usage {
        cpu_seconds: (ticks(14)? + ticks(15)?) as f64 / TICKS_PER_SECOND,
        rss_bytes: kib("VmRSS:")? * 1_024,
        rss_max_bytes: kib("VmHWM:")? * 1_024,
    })
}

/// The process of this machine that listens at a loopback address; none for other addresses, or where it is not to be
/// seen.
pub fn listening_at(address: SocketAddr) -> Option<u32> {
    if !address.ip().is_loopback() {
        return None;
    }
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].into_iter().filter_map(|path| fs::read_to_string(path).ok());
    let inode = tables.into_iter().find_map(|table| inode(&table, address.port()))?;
    let socket = format!("socket:[{inode}]");
    fs::read_dir("/proc").ok()?.flatten().find_map(|process| {
        let pid = process.file_name().to_str()?.parse().ok()?;
        let files = fs::read_dir(process.path().join("fd")).ok()?;
        let listens = |link: std::path::PathBuf| link.to_str() == Some(socket.as_str());
        files.flatten().any(|file| fs::read_link(file.path()).is_ok_and(listens)).then_some(pid)
    })
}

/// The socket that listens on a port, by the kernel's table.
fn inode(table: &str, port: u16) -> Option<u64> {
    const LISTENS: &str = "0A";
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (local, state) = (fields.get(1)?, fields.get(3)?);
        let found = u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok()?;
        (found == port && *state == LISTENS).then(|| fields.get(9)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_read_behind_any_name() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 4 0 100 1000 200 18446744073709551615";
        let status = "Name:\ta\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        let usage = parse(stat, status).unwrap();
        assert_eq!(usage, Usage { cpu_seconds: 3.0, rss_bytes: 1 << 20, rss_max_bytes: 2 << 20 });
        assert_eq!(parse("", status), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_listening_process_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let found = listening_at(listener.local_addr().unwrap());
        assert_eq!(found, Some(std::process::id()));
        assert!(usage(std::process::id()).unwrap().rss_bytes > 0);
        assert_eq!(listening_at("192.0.2.1:80".parse().unwrap()), None);
    }
}
