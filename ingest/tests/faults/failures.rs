//! Failing calls: each call of a load, an edit, a removal and a publishing that changes or syncs a file fails, once or from then on.

use std::fs;
use std::path::Path;

use crate::program::Action;
use crate::random::{Cases, Random, copy_folder, number, scratch, seed};
use crate::series::{Kind, Series};
use crate::verify;

#[test]
fn a_call_that_fails_is_a_clear_error_and_changes_nothing() {
    let mut random = Random(seed());
    let share = number("RELATA_FAILURES", 5);
    let kinds = [Kind::Load, Kind::Edit, Kind::Pieces, Kind::Load, Kind::Remove, Kind::Edit, Kind::Publish];
    let series = Series::of(random.next(), &kinds, false);
    let folder = scratch();
    let before = folder.path().join("before.relata");
    let mut cases = Cases::new("failing calls");
    for step in 1..=series.steps.len() {
        for call in 1..=series.states[step].calls() {
            for errno in [libc::EIO, libc::ENOSPC] {
                for on in [false, true] {
                    if !random.chance(share) {
                        continue;
                    }
                    let store = folder.path().join("s.relata");
                    if before.exists() {
                        copy_folder(&before, &store);
                    }
                    let outcome = fail(&series, &store, step, call, Action::Fail { errno, on });
                    let kind = if errno == libc::EIO { "EIO" } else { "ENOSPC" };
                    let how = if on { "and all after it" } else { "alone" };
                    cases.add(outcome.map_err(|error| {
                        format!(
                            "series {}, step {step} {:?}, call {call} {how}, {kind}: {error}",
                            series.seed,
                            series.steps[step - 1]
                        )
                    }));
                    let _ = fs::remove_dir_all(&store);
                }
            }
        }
        series.steps[step - 1].act(&before).unwrap();
    }
    cases.end();
}

fn fail(series: &Series, store: &Path, step: usize, call: u64, action: Action) -> Result<(), String> {
    let ended = series.steps[step - 1].program(store).at(call, action).run();
    let about = format!("{}: {}", ended.acted_on, ended.stderr.trim());
    if ended.hung {
        return Err(format!("{about}: it hung"));
    }
    if ended.stderr.contains("panicked") {
        return Err(format!("{about}: it panicked"));
    }
    let acknowledged = match ended.status.code() {
        // What failed was of no consequence, such as the removal of what is not needed any more.
        Some(0) => true,
        Some(1) => {
            // sled's threads may log behind it.
            let shown = ended.stderr.lines().rfind(|line| line.starts_with("error: ")).unwrap_or_default();
            let path = store.display().to_string();
            let causes = ["Input/output error", "o space left on"];
            if !shown.contains(&path) || !causes.iter().any(|cause| shown.contains(cause)) {
                return Err(format!("{about}: its message does not name path and cause"));
            }
            false
        }
        _ => return Err(format!("{about}: it ended with {}", ended.status)),
    };
    let is_new = step == 1 && !store.exists();
    if !is_new || acknowledged {
        verify::holds_one_of_two(series, store, step, acknowledged).map_err(|error| format!("{about}: {error}"))?;
    }
    verify::is_completed_by_doing_it_again(series, store, step, &[]).map_err(|error| format!("{about}: {error}"))
}
