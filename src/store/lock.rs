//! One writer at a time: a lock of the operating system on the file `LOCK`, which says who holds it.
//!
//! The system releases the lock when its holder ends, however it ends; the text left behind by then means nothing.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use fs4::{FileExt, TryLockError};

use crate::{Error, Result};

/// Held until dropped.
pub(super) struct Lock {
    file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a child that another thread is just starting has a copy of the descriptor until it
        // becomes its own program, and the lock would live as long. If this fails, closing releases it a moment later.
        let _ = FileExt::unlock(&self.file);
    }
}

impl Lock {
    pub(super) fn acquire(store: &Path) -> Result<Self> {
        let path = store.join("LOCK");
        let failed = |error| Error::io(&path, "cannot lock the store")(error);
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        match FileExt::try_lock(&file) {
            Ok(()) => {}
            Err(TryLockError::Error(error)) => return Err(failed(error)),
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // On some systems a locked file cannot be read by others.
                let read = file.read_to_string(&mut holder).is_ok();
                let holder = Some(holder.trim()).filter(|text| read && !text.is_empty()).unwrap_or("another process");
                return Err(Error::Locked { path: store.to_owned(), holder: holder.to_owned() });
            }
        }
        let text = format!("{}\n", description());
        let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(text.as_bytes()));
        written.map_err(failed)?;
        Ok(Self { file })
    }
}

fn description() -> String {
    let command: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let command: String = command.join(" ").chars().filter(|letter| !letter.is_control()).take(300).collect();
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    format!("process {} (`{command}`), since {}", std::process::id(), utc(seconds))
}

/// Seconds since 1970 as `2026-11-23 20:44:36 UTC`. Source of the calendar: Howard Hinnant, "chrono-Compatible Low-Level
/// Date Algorithms", `civil_from_days`.
pub fn utc(seconds: u64) -> String {
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_since_1970_become_a_date() {
        // `date -u -d @N` of GNU coreutils.
        assert_eq!(utc(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(utc(951_782_400), "2000-02-29 00:00:00 UTC");
        assert_eq!(utc(1_795_466_676), "2026-11-23 20:44:36 UTC");
        assert_eq!(utc(4_107_542_399), "2100-02-28 23:59:59 UTC");
    }

    #[test]
    fn the_second_to_come_is_told_who_holds_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let first = Lock::acquire(folder.path()).unwrap();
        let error = Lock::acquire(folder.path()).err().expect("the lock is held").to_string();
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
        drop(first);
        Lock::acquire(folder.path()).unwrap();
    }
}
