use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

/// What a stream of random numbers is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    Genome = 1,
    Genes = 2,
    Regions = 3,
    Network = 4,
    Expression = 5,
    Cells = 6,
}

/// Every random choice of an organism, from one seed.
///
/// ChaCha's counter-based streams keep the parts apart: more genes do not change the genome, nor one cell the next.
/// `rand` and `rand_distr` give the same numbers on every machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chance {
    seed: u64,
}

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The numbers of one part, or of its `index`th member.
    pub(super) fn stream(self, part: Part, index: u32) -> ChaCha8Rng {
        let mut stream = ChaCha8Rng::seed_from_u64(self.seed);
        stream.set_stream((part as u64) << 32 | u64::from(index));
        stream
    }
}

/// Rounds to thousandths, as the files write it, so that what is read back equals what was written.
pub(super) fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}
