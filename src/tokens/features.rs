//! Texts and sequences as vectors of fixed length.

use crate::sampler::random::mix;

/// Numbers a sequence: the 4-mers that are no reverse complement of an earlier one. (4⁴ + 4²) / 2 = 136.
pub const SEQUENCE_DIMENSION: u32 = 136;

const K: usize = 4;

/// A text as its character 3-grams, hashed into `dimension` buckets with signs (feature hashing: Weinberger et al.
/// 2009, <https://arxiv.org/abs/0902.2206>), of unit length. Case does not matter; `^` and `$` mark the ends.
pub fn text(text: &str, dimension: u32) -> Vec<f32> {
    let letters: Vec<char> =
        std::iter::once('^').chain(text.chars().flat_map(char::to_lowercase)).chain(std::iter::once('$')).collect();
    let mut numbers = vec![0.0; dimension as usize];
    for gram in letters.windows(3.min(letters.len())) {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for &letter in gram {
            // FNV-1a over code points.
            hash = (hash ^ u64::from(u32::from(letter))).wrapping_mul(0x0000_0100_0000_01b3);
        }
        // Its last letters change few bits; all are needed.
        let hash = mix(hash);
        let sign = if hash >> 63 == 0 { 1.0 } else { -1.0 };
        numbers[(hash >> 20) as usize % dimension as usize] += sign;
    }
    scaled(numbers)
}

/// A DNA or RNA sequence as its counts of 4-mers, each together with its reverse complement, of unit length. 4-mers with
/// another letter than A, C, G, T, U count nowhere.
pub fn sequence(letters: &str) -> Vec<f32> {
    let places = places();
    let mut numbers = vec![0.0; SEQUENCE_DIMENSION as usize];
    let (mut word, mut length) = (0_usize, 0);
    for letter in letters.bytes() {
        let code = match letter.to_ascii_uppercase() {
            b'A' => 0,
            b'C' => 1,
            b'G' => 2,
            b'T' | b'U' => 3,
            _ => {
                length = 0;
                continue;
            }
        };
        word = (word << 2 | code) & ((1 << (2 * K)) - 1);
        length += 1;
        if length >= K {
            numbers[places[word]] += 1.0;
        }
    }
    scaled(numbers)
}

/// The place of each 4-mer among those that stand for themselves and their reverse complement.
fn places() -> [usize; 1 << (2 * K)] {
    let mut places = [usize::MAX; 1 << (2 * K)];
    let mut next = 0;
    for word in 0..places.len() {
        let reverse = (0..K).fold(0, |reverse, at| reverse << 2 | (3 - (word >> (2 * at) & 3)));
        if places[word] == usize::MAX {
            places[word] = next;
            places[reverse] = next;
            next += 1;
        }
    }
    places
}

fn scaled(mut numbers: Vec<f32>) -> Vec<f32> {
    let length = numbers.iter().map(|number| number * number).sum::<f32>().sqrt();
    if length > 0.0 {
        numbers.iter_mut().for_each(|number| *number /= length);
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_and_its_reverse_complement_are_the_same() {
        assert_eq!(places().iter().max(), Some(&(SEQUENCE_DIMENSION as usize - 1)));
        assert_eq!(sequence("ACGTTGCAAG"), sequence("CTTGCAACGT"));
        assert_ne!(sequence("ACGTTGCAAG"), sequence("GAACGTTGCA"));
        // AAAA twice, and nothing across the N.
        assert_eq!(sequence("aaaaaNAAA")[0], 1.0);
        assert!(sequence("ACG").iter().all(|&number| number == 0.0));
    }

    #[test]
    fn near_texts_are_near_and_others_are_not() {
        let product =
            |one: &str, other: &str| -> f32 { text(one, 256).iter().zip(text(other, 256)).map(|(one, other)| one * other).sum() };
        assert!((product("CD3D", "cd3d") - 1.0).abs() < 1e-6);
        assert!(product("CD3D", "CD3E") > 0.3);
        assert!(product("CD3D", "MALAT1").abs() < 0.3);
        for (one, other) in [("A", "B"), ("CD3D", "CD3G"), ("IL2", "IL7"), ("CD4", "CD8"), ("SYM1", "SYM2")] {
            assert!(product(one, other) < 0.8, "{one} and {other} differ by a letter");
        }
        assert!(text("", 256).iter().any(|&number| number != 0.0));
        assert_eq!(text("CD3D", 384).len(), 384);
    }
}
