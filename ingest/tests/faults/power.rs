//! Power cuts: after every call of a series of steps, with everything lost that was not made durable, or some of it.

use std::fs;

use crate::disk::{Journal, Loss};
use crate::random::{Cases, Random, number, scratch, seed};
use crate::series::Series;
use crate::verify;

/// A series as it was recorded, and where its steps end in the journal.
struct Recorded {
    series: Series,
    journal: Journal,
    ends: Vec<usize>,
}

impl Recorded {
    fn new(seed: u64, steps: usize, no_sync: bool) -> Self {
        let series = Series::new(seed, steps, false);
        let folder = scratch();
        let (root, file) = (folder.path().join("disk"), folder.path().join("journal"));
        fs::create_dir(&root).unwrap();
        let mut journal = Journal::new(&root);
        let mut ends = Vec::new();
        for step in &series.steps {
            let program = step.program(&root.join("s.relata")).under(&root).journal(&file).without_syncs(no_sync);
            let ended = program.run();
            assert!(ended.status.success(), "{ended:?}");
            journal.append(&file);
            fs::remove_file(&file).unwrap();
            ends.push(journal.len());
        }
        Self { series, journal, ends }
    }

    /// What is wrong with the store after a power cut before this call, if anything.
    fn cut(&self, call: usize, loss: Loss, again: bool) -> Result<(), String> {
        let folder = scratch();
        self.journal.after(call, loss, folder.path());
        let store = folder.path().join("s.relata");
        // At the end of a step it is acknowledged, and the next one has not begun.
        let step = self.ends.partition_point(|&end| end < call) + 1;
        let acknowledged = self.ends[step - 1] == call;
        let outcome = verify::holds_one_of_two(&self.series, &store, step, acknowledged)
            .and_then(|_| if again { verify::is_completed_by_doing_it_again(&self.series, &store, step, &[]) } else { Ok(()) });
        outcome.map_err(|error| {
            format!(
                "seed {}, step {step} {:?}, before call {call} of {} ({}), lost {loss:?}: {error}",
                self.series.seed,
                self.series.steps[step - 1],
                self.journal.len(),
                self.journal.title(call)
            )
        })
    }
}

fn losses(random: &mut Random) -> [Loss; 7] {
    [Loss::None, Loss::Torn, Loss::All, Loss::Contents, Loss::Holes, Loss::Names, Loss::Some(random.next())]
}

#[test]
fn a_power_cut_at_any_call_loses_nothing_that_was_acknowledged() {
    let mut random = Random(seed());
    let wanted = number("RELATA_CUTS", 400);
    // Some 150 until the database begins to write over what it has freed.
    let steps = number("RELATA_STEPS", 8) as usize;
    let mut cases = Cases::new("power cuts");
    while cases.tried() < wanted {
        let recorded = Recorded::new(random.next(), steps, false);
        for _ in 0..wanted.min(400) {
            let call = random.below(recorded.journal.len() as u64 + 1) as usize;
            let kinds = losses(&mut random);
            let loss = kinds[random.below(kinds.len() as u64) as usize];
            cases.add(recorded.cut(call, loss, true));
        }
    }
    cases.end();
}

/// Every call of a short series, and every kind of loss.
#[test]
fn a_power_cut_at_each_call_of_a_first_load_loses_nothing() {
    let mut random = Random(seed());
    let recorded = Recorded::new(random.next(), 1, false);
    let mut cases = Cases::new("power cuts in a first load");
    for call in 0..=recorded.journal.len() {
        for loss in losses(&mut random) {
            // Half of a call that does not write is none of it.
            if loss != Loss::Torn || recorded.journal.is_write(call) {
                cases.add(recorded.cut(call, loss, false));
            }
        }
    }
    cases.end();
}

/// The control: where the syncs are left out, the same tests fail, since acknowledged commits are lost.
#[test]
fn without_syncs_an_acknowledged_commit_is_lost() {
    let recorded = Recorded::new(seed(), 4, true);
    for loss in [Loss::All, Loss::Contents, Loss::Holes, Loss::Names] {
        for &end in &recorded.ends {
            assert!(recorded.cut(end, loss, false).is_err(), "{loss:?} at call {end}: nothing was lost");
        }
    }
    for &end in &recorded.ends {
        assert_eq!(recorded.cut(end, Loss::None, false), Ok(()), "a kill needs no syncs");
    }
}
