//! What Linux knows of a process.

use std::path::Path;

use nix::unistd::{SysconfVar, sysconf};

/// What a process holds in memory, in MB.
pub fn resident(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|rest| rest.trim().split(' ').next()?.parse::<f64>().ok());
    kilobytes.expect("Linux tells") * 1_024.0 / 1_000_000.0
}

/// Numbers of a process from the second on, after its name.
fn stat(pid: u32) -> Option<Vec<i64>> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    let numbers = rest.split_whitespace().skip(1);
    Some(numbers.filter_map(|number| number.parse().ok()).collect())
}

/// The process that started another.
pub fn parent(pid: u32) -> u32 {
    let numbers = stat(pid).expect("it runs");
    u32::try_from(numbers[0]).expect("an id")
}

/// How many seconds of a core a process has used.
pub fn seconds(pid: u32) -> f64 {
    stat(pid).map_or(0.0, |numbers| ticks(&numbers[10..12]))
}

/// The same with all that it started, ended or not.
pub fn seconds_with_children(pid: u32) -> f64 {
    let ended = stat(pid).map_or(0.0, |numbers| ticks(&numbers[10..14]));
    let all = Path::new("/proc")
        .read_dir()
        .expect("this is Linux")
        .flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let children = pids
        .filter(|child| stat(*child).is_some_and(|numbers| u32::try_from(numbers[0]) == Ok(pid)));
    ended + children.map(seconds).sum::<f64>()
}

fn ticks(numbers: &[i64]) -> f64 {
    let a_second = sysconf(SysconfVar::CLK_TCK)
        .ok()
        .flatten()
        .expect("Linux tells");
    numbers.iter().sum::<i64>() as f64 / a_second as f64
}
