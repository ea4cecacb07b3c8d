//! How much memory this process may have.

use std::fs::read_to_string;
use std::path::{Path, PathBuf};

/// The machine's memory, or what a control group (of a container, or of a batch job) allows, if that is less; nothing where the
/// system does not say.
pub(crate) fn allowed() -> Option<u64> {
    let machine = read_to_string("/proc/meminfo").ok().and_then(|text| total(&text));
    let groups = read_to_string("/proc/self/cgroup").unwrap_or_default();
    machine.into_iter().chain(limit(Path::new("/sys/fs/cgroup"), &groups)).min()
}

/// `MemTotal`, in bytes.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// The least limit of the control groups that a process is in, of either version, and of those that these are in. `groups` is
/// its `/proc/self/cgroup`.
fn limit(root: &Path, groups: &str) -> Option<u64> {
    groups.lines().filter_map(|line| limit_of(root, line)).min()
}

fn limit_of(root: &Path, line: &str) -> Option<u64> {
    let mut parts = line.splitn(3, ':');
    let (number, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
    let (root, name) = match (number, controllers) {
        ("0", "") => (root.to_owned(), "memory.max"),
        (_, controllers) if controllers.split(',').any(|name| name == "memory") => (root.join("memory"), "memory.limit_in_bytes"),
        _ => return None,
    };
    // In a container the path may be that of its host, where here there is only the root.
    let path = root.join(path.trim_start_matches('/'));
    let limit = |group: &Path| read_to_string(group.join(name)).ok()?.trim().parse().ok();
    path.ancestors().take_while(|group| group.starts_with(&root)).map(PathBuf::from).filter_map(|group| limit(&group)).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_limit_of_all_groups_counts() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let read = |groups: &str| limit(root.path(), groups);
        assert_eq!(read("0::/job\n"), None);
        write("job/step/memory.max", "max\n");
        write("job/memory.max", "4096\n");
        assert_eq!(read("0::/job/step\n"), Some(4096));
        write("memory.max", "1024\n");
        assert_eq!(read("0::/job/step\n"), Some(1024));
        // A container sees its own group as the root.
        assert_eq!(read("0::/not/here\n"), Some(1024));
        write("memory/batch/memory.limit_in_bytes", "512\n");
        assert_eq!(read("9:cpu:/batch\n4:memory:/batch\n0::/job\n"), Some(512));
        assert_eq!(read("9:cpu:/batch\n"), None);
        assert_eq!(read("nothing of the kind\n"), None);
        assert_eq!(total("MemFree: 3 kB\nMemTotal:       16 kB\n"), Some(16 * 1024));
        assert_eq!(total("MemTotal: much\n"), None);
    }
}
