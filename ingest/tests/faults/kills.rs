//! Kills: at a call of the program, before, after or half-way through it, or from outside at any instant.

use std::time::Duration;

use crate::program::Action;
use crate::random::{Cases, Random, number, scratch, seed};
use crate::series::Series;
use crate::verify;

/// Steps of a series.
const STEPS: usize = 8;

#[test]
fn a_kill_at_any_instant_leaves_one_of_two_contents() {
    let mut random = Random(seed());
    let wanted = number("RELATA_KILLS", 30);
    let mut cases = Cases::new("kills");
    while cases.tried() < wanted {
        let series_seed = random.next();
        let large = random.chance(50);
        let series = Series::new(series_seed, STEPS, large);
        let folder = scratch();
        let store = folder.path().join("s.relata");
        for step in 1..=STEPS {
            // Several in a row, so that what one left meets the next.
            for _ in 0..1 + random.below(3) {
                let outcome = kill(&series, &store, step, &mut random);
                let replay =
                    |error| format!("series {series_seed}, large {large}, step {step} {:?}: {error}", series.steps[step - 1]);
                cases.add(outcome.map_err(replay));
            }
            if let Err(error) = verify::is_completed_by_doing_it_again(&series, &store, step) {
                cases.add(Err(format!("series {series_seed}, large {large}, step {step}: {error}")));
                break;
            }
        }
    }
    cases.end();
}

/// One kill of a step, and what is there then.
fn kill(series: &Series, store: &std::path::Path, step: usize, random: &mut Random) -> Result<(), String> {
    let program = series.steps[step - 1].program(store);
    let (program, how) = if random.chance(25) {
        let time = Duration::from_micros(random.below(12_000));
        (program.kill_after(time), format!("killed from outside after {time:?}"))
    } else {
        let call = 1 + random.below(series.states[step].calls + 3);
        let action = [Action::KillBefore, Action::KillAfter, Action::KillTorn][random.below(3) as usize];
        (program.at(call, action), format!("{action:?} call {call}"))
    };
    let ended = program.run();
    let how = format!("{how} ({})", ended.acted_on);
    if !ended.killed() && !ended.status.success() {
        return Err(format!("{how}: it ended with {}: {}", ended.status, ended.stderr));
    }
    verify::holds_one_of_two(series, store, step, ended.status.success()).map(|_| ()).map_err(|error| format!("{how}: {error}"))
}
