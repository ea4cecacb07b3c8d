//! The best of many, by what they weigh.

use super::random::Random;

/// Chooses by weight; its memory is used again.
#[derive(Default)]
pub(super) struct Ranked {
    /// What comes first has the lowest number.
    ranks: Vec<(f64, u32)>,
}

impl Ranked {
    /// Appends at most `most`, drawn one after the other, each with a probability in proportion to its weight among those left;
    /// none whose weight is 0 or missing.
    ///
    /// Source: Efraimidis and Spirakis, "Weighted random sampling with a reservoir", Information Processing Letters 97(5), 2006:
    /// the highest values of u^(1 / weight), so the lowest of −ln(u) / weight.
    pub(super) fn weighted(
        &mut self,
        mut random: Random,
        weighted: impl Iterator<Item = (u32, f32)>,
        most: usize,
        chosen: &mut Vec<u32>,
    ) {
        self.ranks.clear();
        self.ranks.extend(weighted.filter(|&(_, weight)| weight > 0.0).map(|(offset, weight)| {
            // In the middle of one of 2⁵³ stretches: neither 0 nor 1.
            let share = ((random.word() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
            (-share.ln() / f64::from(weight), offset)
        }));
        self.lowest(most, chosen);
    }

    /// Appends at most `most`, those that weigh most; of equal ones the first, missing ones last.
    pub(super) fn top(&mut self, weighted: impl Iterator<Item = (u32, f32)>, most: usize, chosen: &mut Vec<u32>) {
        self.ranks.clear();
        let rank = |weight: f32| if weight.is_nan() { f64::INFINITY } else { -f64::from(weight) };
        self.ranks.extend(weighted.map(|(offset, weight)| (rank(weight), offset)));
        self.lowest(most, chosen);
    }

    fn lowest(&mut self, most: usize, chosen: &mut Vec<u32>) {
        let order = |one: &(f64, u32), other: &(f64, u32)| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1));
        if most == 0 {
            return;
        }
        if most < self.ranks.len() {
            self.ranks.select_nth_unstable_by(most - 1, order);
            self.ranks.truncate(most);
        }
        self.ranks.sort_unstable_by(order);
        chosen.extend(self.ranks.iter().map(|&(_, offset)| offset));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::random::Key;

    #[test]
    fn the_heaviest_come_first_and_missing_ones_last() {
        let mut ranked = Ranked::default();
        let weights = [1.0, f32::NAN, 3.0, -2.0, 3.0, 0.0];
        let top = |ranked: &mut Ranked, most| {
            let mut chosen = vec![9];
            ranked.top((0..).zip(weights), most, &mut chosen);
            chosen
        };
        assert_eq!(top(&mut ranked, 0), [9]);
        assert_eq!(top(&mut ranked, 3), [9, 2, 4, 0]);
        assert_eq!(top(&mut ranked, 10), [9, 2, 4, 0, 5, 3, 1]);
    }

    #[test]
    fn the_probability_of_each_ordered_pair_is_that_of_successive_draws() {
        let weights = [1.0_f32, 2.0, 0.0, 5.0, f32::NAN];
        let mut ranked = Ranked::default();
        let mut counts = [[0.0; 5]; 5];
        const DRAWS: f64 = 60_000.0;
        for draw in 0..DRAWS as u64 {
            let mut chosen = Vec::new();
            ranked.weighted(Key::new("a test", 8).with(draw).random(), (0..).zip(weights), 2, &mut chosen);
            counts[chosen[0] as usize][chosen[1] as usize] += 1.0;
        }
        let total: f32 = 8.0;
        let mut found = 0.0;
        for (first, counts) in counts.iter().enumerate() {
            for (second, &count) in counts.iter().enumerate() {
                let known = |at: usize| weights[at] > 0.0;
                if !known(first) || !known(second) || first == second {
                    assert_eq!(count, 0.0);
                    continue;
                }
                // By hand: 2/8 × 5/6 for the second and then the fourth, and so on.
                let share = f64::from(weights[first] / total * weights[second] / (total - weights[first]));
                found += (count - DRAWS * share).powi(2) / (DRAWS * share);
            }
        }
        assert!(found < 20.5, "χ² {found} (5 degrees of freedom, p = 0.001)");
    }
}
