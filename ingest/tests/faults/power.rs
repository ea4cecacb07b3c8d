//! Power cuts: after every call of a series of steps, with everything lost that was not made durable, or some of it.

use std::fs;

use crate::disk::{Journal, Loss};
use crate::random::{Random, scratch, seed};
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
            .and_then(|_| if again { verify::is_completed_by_doing_it_again(&self.series, &store, step) } else { Ok(()) });
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

#[test]
fn try_power() {
    let seed = seed();
    let recorded = Recorded::new(seed, 6, false);
    let since = std::time::Instant::now();
    for loss in [Loss::None, Loss::Torn, Loss::All, Loss::Contents, Loss::Holes, Loss::Names, Loss::Some(1)] {
        let mut failures = Vec::new();
        for call in 0..=recorded.journal.len() {
            if let Err(error) = recorded.cut(call, loss, true) {
                failures.push(error);
            }
        }
        println!("{loss:?}: {} of {} fail {:?}", failures.len(), recorded.journal.len() + 1, since.elapsed());
        for failure in failures.iter().take(6) {
            println!("   {failure}");
        }
    }
}
