//! A random order without a table.

use crate::sampler::random::Key;

/// Rounds of the network. Four hide it from whoever sees less than about √√n of its numbers (Luby and Rackoff), five from whoever
/// sees less than √n (Patarin, "Security of random Feistel schemes with 5 or more rounds", CRYPTO 2004); the others are for safety.
const ROUNDS: usize = 8;

/// Up to so many numbers the order is kept, as one byte each.
const FEW: u64 = 256;

/// A permutation of the numbers below a count: another for another key, and the same for the same one.
///
/// It takes some bytes whatever the count is, and gives the number at any place, and the place of any number, without
/// those before it: an epoch can be entered anywhere.
///
/// Up to 256 numbers, each order is equally likely (Fisher and Yates). Beyond, there are far fewer keys than orders, and it
/// is a balanced Feistel network over pairs of digits to the base ⌈√n⌉; what it takes out of range, it takes again until it is
/// in range, which less than one number in √n / 2 needs.
///
/// Sources: Luby and Rackoff, "How to construct pseudorandom permutations from pseudorandom functions", SIAM J. Comput. 17(2),
/// 1988; Black and Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002, for digits to any base and for walking the
/// cycle into the range. Each round adds a number of SplitMix64, at the place that the other digit says.
///
/// ```
/// use relata::sampler::Permutation;
/// use relata::sampler::random::Key;
///
/// let order = Permutation::new(Key::new("my order", 7), 1_000_000_000_000);
/// let number = order.at(5);
/// assert_eq!(order.place(number), 5);
/// ```
#[derive(Clone, Debug)]
pub struct Permutation {
    count: u64,
    order: Order,
}

#[derive(Clone, Debug)]
enum Order {
    Listed(Vec<u8>),
    Network { base: u64, keys: [Key; ROUNDS] },
}

impl Permutation {
    /// Of the numbers `0..count`.
    pub fn new(key: Key, count: u64) -> Self {
        let order = if count <= FEW {
            Order::Listed(key.random().permutation(count as u32).into_iter().map(|number| number as u8).collect())
        } else {
            let base = (count - 1).isqrt() + 1;
            Order::Network { base, keys: std::array::from_fn(|round| key.with(round as u64)) }
        };
        Self { count, order }
    }

    /// How many numbers there are.
    pub fn len(&self) -> u64 {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The number at a place. Behind the last it starts again; 0 where there is none.
    pub fn at(&self, place: u64) -> u64 {
        let place = self.within(place);
        match &self.order {
            Order::Listed(numbers) => numbers.get(place as usize).copied().map_or(0, u64::from),
            Order::Network { base, keys } => self.walk(place, |number| {
                // Each round leaves the lower digit and changes the upper one by what the lower one says.
                let (upper, lower) = keys.iter().fold((number / base, number % base), |(upper, lower), key| {
                    let sum = upper + shift(*key, lower, *base);
                    (lower, if sum < *base { sum } else { sum - base })
                });
                upper * base + lower
            }),
        }
    }

    /// The place of a number: [`at`](Self::at) the other way.
    pub fn place(&self, number: u64) -> u64 {
        let number = self.within(number);
        match &self.order {
            Order::Listed(numbers) => numbers.iter().position(|&known| u64::from(known) == number).unwrap_or_default() as u64,
            Order::Network { base, keys } => self.walk(number, |number| {
                let (upper, lower) = keys.iter().rev().fold((number / base, number % base), |(upper, lower), key| {
                    let sum = lower + base - shift(*key, upper, *base);
                    (if sum < *base { sum } else { sum - base }, upper)
                });
                upper * base + lower
            }),
        }
    }

    fn within(&self, number: u64) -> u64 {
        if number < self.count { number } else { number.checked_rem(self.count).unwrap_or_default() }
    }

    /// Goes on until it is in range. It always comes there, since it starts there and goes in a circle.
    fn walk(&self, mut number: u64, step: impl Fn(u64) -> u64) -> u64 {
        loop {
            number = step(number);
            if number < self.count {
                return number;
            }
        }
    }
}

/// What a round adds: a number below the base, which is at most 2³², so that none is likelier than another by more than 2⁻³².
fn shift(key: Key, digit: u64, base: u64) -> u64 {
    ((u128::from(key.at(digit)) * u128::from(base)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u64) -> Key {
        Key::new("a test of permutations", seed)
    }

    /// χ² of counts that should be equal.
    fn chi_square(counts: &[u64]) -> f64 {
        let expected = counts.iter().sum::<u64>() as f64 / counts.len() as f64;
        counts.iter().map(|&count| (count as f64 - expected).powi(2) / expected).sum()
    }

    #[test]
    fn every_number_has_one_place() {
        let powers = (1..=16).flat_map(|power| [(1 << power) - 1, 1 << power, (1 << power) + 1]);
        for count in [0, 1, 1_000, 289, 290, 1_000_003].into_iter().chain(powers) {
            for seed in 0..if count > 100_000 { 1 } else { 3 } {
                let order = Permutation::new(key(seed), count);
                assert_eq!((order.len(), order.is_empty()), (count, count == 0));
                let mut seen = vec![false; count as usize];
                for place in 0..count {
                    let number = order.at(place);
                    assert!(!std::mem::replace(&mut seen[number as usize], true), "{number} twice of {count}");
                    assert_eq!(order.place(number), place);
                }
            }
        }
    }

    #[test]
    fn the_largest_counts_do_not_overflow() {
        for count in [u64::MAX, u64::MAX - 1, 1 << 63, (1 << 32) + 1, u64::from(u32::MAX).pow(2)] {
            let order = Permutation::new(key(1), count);
            for place in [0, 1, count / 2, count - 2, count - 1] {
                assert_eq!(order.place(order.at(place)), place);
                assert!(order.at(place) < count);
            }
        }
    }

    #[test]
    fn behind_the_last_place_it_starts_again() {
        for count in [5, 500] {
            let order = Permutation::new(key(2), count);
            assert!((0..count).all(|place| order.at(place) == order.at(place + 3 * count)));
        }
        assert_eq!((Permutation::new(key(2), 0).at(7), Permutation::new(key(2), 0).place(7)), (0, 0));
    }

    #[test]
    fn any_place_holds_any_number_over_many_keys() {
        // Listed; a network without and with numbers to walk; the last of each.
        for (count, place) in [(100, 0), (257, 0), (257, 256), (289, 17), (300, 150), (1_000, 999)] {
            let mut counts = vec![0; count as usize];
            for seed in 0..100 * count {
                counts[Permutation::new(key(9).with(seed), count).at(place) as usize] += 1;
            }
            let (found, freedom) = (chi_square(&counts), count as f64 - 1.0);
            let deviations = (found - freedom) / (2.0 * freedom).sqrt();
            assert!(deviations.abs() < 4.0, "place {place} of {count}: χ² {found}, expected about {freedom}");
        }
    }

    #[test]
    fn neighbours_go_anywhere_together() {
        // All ordered pairs of two places of few numbers, each equally likely.
        for (count, places) in [(5, [0, 1]), (12, [10, 11])] {
            let mut counts = vec![0; (count * count) as usize];
            for seed in 0..60_000 {
                let order = Permutation::new(key(4).with(seed), count);
                counts[(order.at(places[0]) * count + order.at(places[1])) as usize] += 1;
            }
            let pairs = (0..count * count).filter(|pair| pair / count != pair % count);
            let counts: Vec<u64> = pairs.map(|pair| counts[pair as usize]).collect();
            let (found, freedom) = (chi_square(&counts), counts.len() as f64 - 1.0);
            let deviations = (found - freedom) / (2.0 * freedom).sqrt();
            assert!(deviations.abs() < 4.0, "{count}: χ² {found}, expected about {freedom}");
        }
        // Of a network: how far apart neighbours come, over all places of one key and over many keys. Places that share a digit
        // are its weak ones.
        for (count, gap) in [(300, 1), (300, 18), (1_000, 1), (1_000, 32), (10_007, 101)] {
            let mut counts = vec![0; count as usize];
            for seed in 0..20_000_000 / (count * 100) {
                let order = Permutation::new(key(5).with(seed), count);
                for place in (0..count - gap).step_by(3) {
                    counts[((order.at(place + gap) + count - order.at(place)) % count) as usize] += 1;
                }
            }
            assert_eq!(counts[0], 0);
            let (found, freedom) = (chi_square(&counts[1..]), count as f64 - 2.0);
            let deviations = (found - freedom) / (2.0 * freedom).sqrt();
            assert!(deviations.abs() < 4.0, "{count}, {gap}: χ² {found}, expected about {freedom}");
        }
    }

    #[test]
    fn other_keys_give_other_orders() {
        let orders: Vec<Vec<u64>> = (0..20)
            .map(|seed| {
                let order = Permutation::new(key(seed), 1_000);
                (0..1_000).map(|place| order.at(place)).collect()
            })
            .collect();
        for (at, order) in orders.iter().enumerate() {
            for other in &orders[..at] {
                let same = order.iter().zip(other).filter(|(one, other)| one == other).count();
                // One is expected; of 190 pairs none has ten.
                assert!(same < 10, "{same} numbers stand at the same place");
            }
        }
    }
}
