//! Layers beside plain ones: 64-bit loops from the definitions, and gradients as differences of their losses.

use super::*;
use crate::sampler::random::{Key, Random};

type Numbers = Vec<f64>;

fn numbers(random: &mut Random, count: usize, size: f64) -> Vec<f32> {
    (0..count).map(|_| ((random.below(2001) as f64 / 1000.0 - 1.0) * size) as f32).collect()
}

fn wide(numbers: &[f32]) -> Numbers {
    numbers.iter().map(|&number| f64::from(number)).collect()
}

/// `row × weight`, the weight being `[row, columns]`.
fn times(row: &[f64], weight: &[f64]) -> Numbers {
    let columns = weight.len() / row.len();
    (0..columns).map(|column| row.iter().enumerate().map(|(at, x)| x * weight[at * columns + column]).sum()).collect()
}

fn norm(row: &[f64], gamma: &[f64]) -> Numbers {
    let rms = (row.iter().map(|x| x * x).sum::<f64>() / row.len() as f64 + 1e-5).sqrt();
    row.iter().zip(gamma).map(|(x, gamma)| x / rms * gamma).collect()
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

/// Checks a layer's result and gradients: `plain` gives the result of inputs, `computed` are the gradients by them of the sum
/// of the result's numbers times `grad`.
fn check(
    what: &str,
    inputs: &[Vec<f32>],
    grad: &[f32],
    out: &[f32],
    computed: &[Vec<f32>],
    plain: impl Fn(&[Numbers]) -> Numbers,
) {
    let inputs: Vec<Numbers> = inputs.iter().map(|input| wide(input)).collect();
    let grad = wide(grad);
    let expected = plain(&inputs);
    let error = expected.iter().zip(wide(out)).map(|(one, other)| (one - other).abs()).fold(0.0, f64::max);
    assert!(error < 1e-5 && expected.len() == out.len(), "{what}: the result is off by {error}");
    let mut random = Key::new("directions", 0).random();
    for (at, computed) in computed.iter().enumerate().filter(|(at, _)| !inputs[*at].is_empty()) {
        for _ in 0..3 {
            let direction: Numbers = wide(&numbers(&mut random, inputs[at].len(), 1.0));
            let moved = |by: f64| {
                let mut inputs = inputs.clone();
                inputs[at].iter_mut().zip(&direction).for_each(|(x, direction)| *x += by * direction);
                dot(&plain(&inputs), &grad)
            };
            const STEP: f64 = 1e-4;
            // Of the fourth order: (8 (f(h) − f(−h)) − (f(2h) − f(−2h))) / 12h
            let expected = (8.0 * (moved(STEP) - moved(-STEP)) - (moved(2.0 * STEP) - moved(-2.0 * STEP))) / (12.0 * STEP);
            let computed = wide(computed);
            let found = dot(&computed, &direction);
            let size = computed.iter().zip(&direction).map(|(one, other)| (one * other).abs()).sum::<f64>().max(1.0);
            let error = (found - expected).abs() / size;
            assert!(error < 1e-5, "{what}: the gradient by input {at} is off by {error} ({found} beside {expected})");
        }
    }
}

#[test]
fn the_feed_forward_layer_equals_the_plain_one() {
    for round in 0..24 {
        let mut random = Key::new("feed forward tests", round).random();
        let (width, hidden) = ([3, 16, 20][random.below(3) as usize], [1, 16, 40][random.below(3) as usize]);
        // More than a chunk in some rounds.
        let count = if round % 8 == 0 { 300 } else { random.below(40) as usize };
        let inputs = vec![
            numbers(&mut random, count * width, 2.0),
            numbers(&mut random, width, 1.0),
            numbers(&mut random, width * hidden, 0.5),
            numbers(&mut random, width * hidden, 0.5),
            numbers(&mut random, hidden * width, 0.5),
        ];
        let grad = numbers(&mut random, count * width, 1.0);
        let norm_of = Norm { gamma: &inputs[1], epsilon: 1e-5 };
        let layer = FeedForward { norm: norm_of, gate: &inputs[2], up: &inputs[3], down: &inputs[4] };
        let plain = |inputs: &[Numbers]| -> Numbers {
            let rows = inputs[0].chunks_exact(width).map(|row| {
                let normed = norm(row, &inputs[1]);
                let (gate, up) = (times(&normed, &inputs[2]), times(&normed, &inputs[3]));
                let inner: Numbers = gate.iter().zip(up).map(|(gate, up)| gate / (1.0 + (-gate).exp()) * up).collect();
                row.iter().zip(times(&inner, &inputs[4])).map(|(x, added)| x + added).collect::<Numbers>()
            });
            rows.flatten().collect()
        };
        for keeps in [true, false] {
            let (out, kept) = layer.forward(&inputs[0], keeps);
            assert_eq!(kept.is_some(), keeps);
            let found = layer.backward(&inputs[0], kept, &grad);
            let computed = [found.states, found.gamma, found.gate, found.up, found.down];
            check(&format!("round {round}, keeps {keeps}"), &inputs, &grad, &out, &computed, plain);
        }
    }
}

/// Some different places below `count`, in a random order.
fn places(random: &mut Random, count: usize) -> Vec<u32> {
    let some = random.below(count as u64 + 1) as usize;
    let mut all: Vec<u32> = (0..count as u32).collect();
    random.shuffle(&mut all);
    all.truncate(some);
    all
}

fn reach(random: &mut Random) -> Reach {
    let most = if random.below(6) == 0 { 600 } else { 30 };
    let inputs = 1 + random.below(most) as usize;
    let is_whole = random.below(3) == 0;
    let (kept, queries, keys, at) = if is_whole {
        let all = Rows::First(inputs);
        (all.clone(), all.clone(), all.clone(), all)
    } else {
        let kept = places(random, inputs);
        let at = places(random, kept.len());
        let queries = at.iter().map(|&at| kept[at as usize]).collect();
        let keys = places(random, inputs);
        (Rows::new(kept), Rows::new(queries), Rows::new(keys), Rows::new(at))
    };
    let count = keys.count() as u32;
    let mut pattern = PatternBuilder::default();
    for _ in 0..queries.count() {
        let mut cuts: Vec<u32> = (0..2 * random.below(3)).map(|_| random.below(u64::from(count) + 1) as u32).collect();
        cuts.sort_unstable();
        pattern.push(&cuts.chunks_exact(2).map(|pair| pair[0]..pair[1]).collect::<Vec<_>>());
    }
    Reach { inputs, kept, queries, places: at, keys, pattern: pattern.finish(count as usize) }
}

#[test]
fn the_attention_layer_equals_the_plain_one() {
    for round in 0..60 {
        let mut random = Key::new("attention layer tests", round).random();
        let (heads, dim) = [(1, 5), (2, 8), (3, 16)][random.below(3) as usize];
        let width = heads * dim;
        let reach = reach(&mut random);
        let [has_key_norm, has_gate, has_scales, is_normed, is_counted] = std::array::from_fn(|_| random.below(2) == 0);
        let square = |random: &mut Random, is: bool| numbers(random, if is { width * width } else { 0 }, 0.4);
        let inputs = vec![
            numbers(&mut random, reach.inputs * width, 2.0),
            numbers(&mut random, width, 1.0),
            numbers(&mut random, if has_key_norm { width } else { 0 }, 1.0),
            square(&mut random, true),
            square(&mut random, true),
            square(&mut random, true),
            square(&mut random, true),
            square(&mut random, has_gate),
            numbers(&mut random, if has_scales { heads } else { 0 }, 1.0),
        ];
        let grad = numbers(&mut random, reach.kept.count() * width, 1.0);
        let layer = AttentionLayer {
            heads,
            is_normed,
            is_counted,
            norm: Norm { gamma: &inputs[1], epsilon: 1e-5 },
            key_norm: has_key_norm.then_some(Norm { gamma: &inputs[2], epsilon: 1e-5 }),
            query: &inputs[3],
            key: &inputs[4],
            value: &inputs[5],
            output: &inputs[6],
            gate: has_gate.then_some(&inputs[7][..]),
            scales: has_scales.then_some(&inputs[8][..]),
        };
        let lists = reach.pattern.lists();
        let plain = |inputs: &[Numbers]| -> Numbers {
            let state = |at: usize| &inputs[0][at * width..(at + 1) * width];
            let mut out: Numbers = reach.kept.iter().flat_map(|at| state(at).to_vec()).collect();
            let heads_of = |row: Numbers| -> Vec<Numbers> {
                let normed = |part: &[f64]| {
                    let rms = (dot(part, part) / dim as f64 + 1e-6).sqrt();
                    part.iter().map(|x| if is_normed { x / rms } else { *x }).collect()
                };
                row.chunks_exact(dim).map(normed).collect()
            };
            let keys: Vec<(Vec<Numbers>, Numbers)> = reach
                .keys
                .iter()
                .map(|at| {
                    let normed = norm(state(at), if has_key_norm { &inputs[2] } else { &inputs[1] });
                    let value = times(if has_key_norm { state(at) } else { &normed }, &inputs[5]);
                    (heads_of(times(&normed, &inputs[4])), value)
                })
                .collect();
            for ((at, place), seen) in reach.queries.iter().zip(reach.places.iter()).zip(&lists) {
                let normed = norm(state(at), &inputs[1]);
                let query = heads_of(times(&normed, &inputs[3]));
                let mut attended = vec![0.0; width];
                for head in 0..heads {
                    let mut factor = (dim as f64).sqrt().recip();
                    if is_counted {
                        factor *= (seen.len().max(1) as f64).ln();
                    }
                    if has_scales {
                        factor *= inputs[8][head];
                    }
                    let weights: Numbers =
                        seen.iter().map(|&key| (dot(&query[head], &keys[key as usize].0[head]) * factor).exp()).collect();
                    let sum: f64 = weights.iter().sum();
                    for (weight, &key) in weights.iter().zip(seen) {
                        let value = &keys[key as usize].1[head * dim..(head + 1) * dim];
                        let own = &mut attended[head * dim..(head + 1) * dim];
                        own.iter_mut().zip(value).for_each(|(to, x)| *to += weight / sum * x);
                    }
                }
                if has_gate {
                    let gate = times(&normed, &inputs[7]);
                    attended.iter_mut().zip(gate).for_each(|(x, gate)| *x /= 1.0 + (-gate).exp());
                }
                let added = times(&attended, &inputs[6]);
                out[place * width..(place + 1) * width].iter_mut().zip(added).for_each(|(out, added)| *out += added);
            }
            out
        };
        let (out, kept) = layer.forward(&inputs[0], &reach);
        let found = layer.backward(&inputs[0], &reach, &kept, &grad);
        let computed = [
            found.states,
            found.gamma,
            found.key_gamma,
            found.query,
            found.key,
            found.value,
            found.output,
            found.gate,
            found.scales,
        ];
        check(&format!("round {round}"), &inputs, &grad, &out, &computed, plain);
    }
}

#[test]
fn memory_that_is_dropped_is_taken_again() {
    let first = Buffer::of(12_345);
    let place = first.as_ptr();
    drop(first);
    // Other tests take buffers too, but none of this size.
    let again = Buffer::of(12_300);
    assert_eq!((again.as_ptr(), again.len()), (place, 12_300));
}
