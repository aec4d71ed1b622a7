//! What the kernel counted for a process.

use std::path::PathBuf;
use std::time::Duration;

/// The kernel shows processor time in hundredths of a second on every architecture.
const TICKS_PER_SECOND: u64 = 100;

/// Processor time that the process has used so far, in user space and in the kernel, threads that
/// have ended included. Nothing where there is no `/proc`, and if the process is gone.
pub fn cpu_time(pid: u32) -> Option<Duration> {
    parse_stat(&std::fs::read_to_string(file(pid, "stat")).ok()?)
}

/// The most memory that the process ever had resident, in bytes.
pub fn peak_memory(pid: u32) -> Option<u64> {
    parse_status(&std::fs::read_to_string(file(pid, "status")).ok()?)
}

fn file(pid: u32, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/{name}"))
}

fn parse_stat(stat: &str) -> Option<Duration> {
    // The second field is the program's name in parentheses, which may hold blanks and parentheses.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let kernel: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_millis(
        (user + kernel) * (1_000 / TICKS_PER_SECOND),
    ))
}

fn parse_status(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_kernel_time_are_added() {
        let stat = "4711 (a b) c) S 1 4711 4711 0 -1 4194304 100 0 0 0 123 45 7 8 20 0 9 0 1 2 3";
        assert_eq!(parse_stat(stat), Some(Duration::from_millis(1_680)));
        assert_eq!(parse_stat("4711 (x) S 1"), None);
    }

    #[test]
    fn peak_memory_is_in_bytes() {
        let status = "Name:\tweft\nVmPeak:\t  9000 kB\nVmHWM:\t  1234 kB\nVmRSS:\t 1000 kB\n";
        assert_eq!(parse_status(status), Some(1234 * 1024));
        assert_eq!(parse_status("Name:\tweft\n"), None);
    }

    #[test]
    fn this_process_has_both() {
        let pid = std::process::id();
        assert!(cpu_time(pid).is_some());
        assert!(peak_memory(pid).is_some_and(|bytes| bytes > 0));
    }
}
