//! Seeds, numbers of the environment, and the cases that are tried with them.

/// Uniform numbers from a seed (SplitMix64).
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// `RELATA_FAULT_SEED`, or always the same; printed, so that a run can be repeated.
pub fn seed() -> u64 {
    let seed = number("RELATA_FAULT_SEED", 1);
    println!("RELATA_FAULT_SEED={seed}");
    seed
}

/// A number of the environment, such as `RELATA_KILLS`.
pub fn number(variable: &str, otherwise: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable}: found `{text}`, expected a number")),
        Err(_) => otherwise,
    }
}

/// A folder in memory where there is one: the tests say what is lost, no disk does.
pub fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Copies a folder with all in it.
pub fn copy_folder(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Cases that are tried, and what failed.
pub struct Cases {
    title: &'static str,
    tried: u64,
    failures: Vec<String>,
    since: std::time::Instant,
}

impl Cases {
    pub fn new(title: &'static str) -> Self {
        Self { title, tried: 0, failures: Vec::new(), since: std::time::Instant::now() }
    }

    pub fn tried(&self) -> u64 {
        self.tried
    }

    pub fn add(&mut self, outcome: Result<(), String>) {
        self.tried += 1;
        self.note(outcome);
    }

    /// Counts a failure that belongs to cases that were tried.
    pub fn note(&mut self, outcome: Result<(), String>) {
        if let Err(failure) = outcome {
            println!("{}: {failure}", self.title);
            self.failures.push(failure);
        }
    }

    /// Fails if a case did.
    pub fn end(self) {
        println!("{}: {} tried in {:.1?}, {} failed", self.title, self.tried, self.since.elapsed(), self.failures.len());
        assert!(self.failures.is_empty(), "{} of {} {}: {}", self.failures.len(), self.tried, self.title, self.failures[0]);
    }
}
