//! Kills: at a call of the program, before, after or half-way through it, or from outside at any instant.

use std::path::Path;
use std::time::Duration;

use crate::phases::{Phase, Tally};
use crate::program::{Action, Reader};
use crate::random::{Cases, Random, number, scratch, seed};
use crate::series::{EDITS, Kind, Series};
use crate::verify;

/// Steps of a series.
const STEPS: usize = 8;

#[test]
fn a_kill_at_any_instant_leaves_one_of_two_contents() {
    let mut random = Random(seed());
    let wanted = number("RELATA_KILLS", 30);
    let mut cases = Cases::new("kills");
    let mut tally = Tally::default();
    while tally.kills() < wanted {
        assert!(cases.tried() < 100 + 10 * wanted, "hardly any program is killed");
        let series_seed = random.next();
        let large = random.chance(50);
        let series = Series::new(series_seed, STEPS, large);
        let folder = scratch();
        let store = folder.path().join("s.relata");
        for step in 1..=STEPS {
            let replay =
                |error| format!("series {series_seed}, large {large}, step {step} {:?}: {error}", series.steps[step - 1]);
            // In half of the cases somebody reads what the step is to replace, and nobody else has it dropped.
            let mut reader = (step > 1 && random.chance(50)).then(|| Reader::of(&store));
            let outcome = reader.as_ref().map_or(Ok(()), |reader| match reader.has(&series.states[step - 1].content) {
                true => Ok(()),
                false => Err("a reader reads something else".to_owned()),
            });
            cases.note(outcome.map_err(replay));
            // Several in a row, so that what one left meets the next.
            for _ in 0..1 + random.below(3) {
                let outcome = kill(&series, &store, step, &mut random, &mut tally);
                let outcome = outcome.and_then(|()| reader.as_mut().map_or(Ok(()), |reader| reads_on(reader, &store)));
                cases.add(outcome.map_err(replay));
            }
            let held: Vec<String> = reader.iter().map(|reader| reader.id().to_owned()).collect();
            let held: Vec<&str> = held.iter().map(String::as_str).collect();
            let outcome = verify::is_completed_by_doing_it_again(&series, &store, step, &held)
                .and_then(|()| reader.as_mut().map_or(Ok(()), |reader| reads_on(reader, &store)));
            drop(reader);
            if let Err(error) = outcome {
                cases.note(Err(replay(error)));
                break;
            }
        }
    }
    cases.end();
    tally.end("kills", &Phase::OF_STEPS);
}

/// The edit that finds as many before it as a commit lists, makes one of them all.
#[test]
fn a_kill_while_many_edits_become_one_leaves_one_of_two_contents() {
    let mut random = Random(seed());
    let wanted = number("RELATA_KILLS", 30) / 3;
    let mut cases = Cases::new("kills of folding edits");
    let mut tally = Tally::default();
    while tally.kills() < wanted {
        assert!(cases.tried() < 100 + 10 * wanted, "hardly any program is killed");
        let series = Series::of(random.next(), &[Kind::Load, Kind::Edits, Kind::Edit, Kind::Edit, Kind::Edit], false);
        let edits: Vec<usize> = series.states.iter().map(|state| state.segments).collect();
        assert!(edits[3] > EDITS && edits[4] < EDITS, "segments after the steps: {edits:?}");
        let folder = scratch();
        let store = folder.path().join("s.relata");
        for step in 1..=series.steps.len() {
            let replay = |error| format!("series {}, step {step} {:?}: {error}", series.seed, series.steps[step - 1]);
            for _ in 0..if step > 2 { 1 + random.below(4) } else { 0 } {
                cases.add(kill(&series, &store, step, &mut random, &mut tally).map_err(replay));
            }
            cases.note(verify::is_completed_by_doing_it_again(&series, &store, step, &[]).map_err(replay));
        }
    }
    cases.end();
    tally.end("kills of folding edits", &[Phase::Upsert, Phase::Commit, Phase::Publish, Phase::Drop]);
}

/// One kill of a step, and what is there then.
fn kill(series: &Series, store: &Path, step: usize, random: &mut Random, tally: &mut Tally) -> Result<(), String> {
    let kind = series.steps[step - 1].kind();
    let program = series.steps[step - 1].program(store);
    let (program, how) = if random.chance(25) {
        let time = Duration::from_micros(random.below(12_000));
        (program.kill_after(time), format!("killed from outside after {time:?}"))
    } else {
        let (phase, call) = tally.call(&series.states[step].phases, random);
        let action = [Action::KillBefore, Action::KillAfter, Action::KillTorn][random.below(3) as usize];
        (program.within(phase.paths()).at(call, action), format!("{action:?} call {call} of {phase:?}"))
    };
    let ended = program.run();
    let how = format!("{how} ({})", ended.last);
    if !ended.killed() && !ended.status.success() {
        return Err(format!("{how}: it ended with {}: {}", ended.status, ended.stderr));
    }
    if ended.killed() {
        tally.add(Phase::of(kind, &ended.last));
    }
    verify::holds_one_of_two(series, store, step, ended.status.success()).map(|_| ()).map_err(|error| format!("{how}: {error}"))
}

/// Whether a reader still has what it had, and its snapshot its place.
fn reads_on(reader: &mut Reader, store: &Path) -> Result<(), String> {
    reader.read()?;
    match store.join("snapshots").join(reader.id()).is_dir() {
        true => Ok(()),
        false => Err(format!("the snapshot {} was dropped while a process reads it", reader.id())),
    }
}
