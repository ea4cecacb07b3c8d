//! The losses beside their definitions in 64-bit loops, and their gradients beside central differences of those.

use burn::tensor::TensorData;

use super::*;
use crate::sampler::random::{Key, Random};

/// Losses of inputs, and the gradient of their sum by each number of each input.
fn differentiated(inputs: &[Vec<f32>], loss: &dyn Fn(&[Tensor<1>]) -> Tensor<1>) -> (Vec<f32>, Vec<Vec<f32>>) {
    let device = crate::model::device().unwrap().autodiff();
    let tensor =
        |numbers: &Vec<f32>| Tensor::<1>::from_data(TensorData::new(numbers.clone(), [numbers.len()]), &device).require_grad();
    let tensors: Vec<Tensor<1>> = inputs.iter().map(tensor).collect();
    let losses = loss(&tensors);
    let gradients = losses.clone().sum().backward();
    let gradient = |tensor: &Tensor<1>| crate::model::floats(tensor.grad(&gradients).unwrap());
    (crate::model::floats(losses), tensors.iter().map(gradient).collect())
}

/// Compares losses and gradients with a 64-bit form of them, whose gradients are central differences of fourth order.
fn agrees(inputs: &[Vec<f32>], loss: &dyn Fn(&[Tensor<1>]) -> Tensor<1>, plain: &dyn Fn(&[Vec<f64>]) -> Vec<f64>) {
    const STEP: f64 = 1e-3;
    let (losses, gradients) = differentiated(inputs, loss);
    let exact: Vec<Vec<f64>> = inputs.iter().map(|input| input.iter().map(|&x| f64::from(x)).collect()).collect();
    let expected = plain(&exact);
    assert_eq!(losses.len(), expected.len());
    let scale = 1.0 + expected.iter().map(|loss| loss.abs()).sum::<f64>();
    for (&found, &expected) in losses.iter().zip(&expected) {
        assert!((f64::from(found) - expected).abs() < 4e-6 * scale, "{inputs:?}: found {found}, expected {expected}");
    }
    for (input, gradient) in gradients.iter().enumerate() {
        for (place, &found) in gradient.iter().enumerate() {
            let at = |step: f64| {
                let mut moved = exact.clone();
                moved[input][place] += step * STEP;
                plain(&moved).iter().sum::<f64>()
            };
            let expected = (8.0 * (at(1.0) - at(-1.0)) - (at(2.0) - at(-2.0))) / (12.0 * STEP);
            let error = (f64::from(found) - expected).abs();
            let limit = 2e-5 * (1.0 + expected.abs()) + 1e-6 * scale;
            assert!(error < limit, "{inputs:?}: by number {place} of input {input} found {found}, expected {expected}");
        }
    }
}

fn uniform(random: &mut Random, count: usize, most: f64) -> Vec<f32> {
    (0..count).map(|_| ((random.below(1 << 24) as f64 / f64::from(1 << 24) * 2.0 - 1.0) * most) as f32).collect()
}

/// A row of 64-bit numbers, and what a loss makes of it.
fn each(inputs: &[Vec<f64>], loss: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    (0..inputs[0].len()).map(|row| loss(&inputs.iter().map(|input| input[row]).collect::<Vec<_>>())).collect()
}

#[test]
fn numbers_are_judged_as_defined() {
    let mut random = Key::new("losses", 1).random();
    let inputs = [uniform(&mut random, 40, 3.0), uniform(&mut random, 40, 3.0)];
    let delta = 0.7;
    agrees(&inputs, &|x| huber(x[0].clone(), x[1].clone(), delta), &|x| {
        each(x, |x| {
            let error = (x[0] - x[1]).abs();
            if error <= delta { error * error / 2.0 } else { delta * (error - delta / 2.0) }
        })
    });
    let inputs = [inputs[0].clone(), uniform(&mut random, 40, 4.0), inputs[1].clone()];
    agrees(&inputs, &|x| gaussian(x[0].clone(), x[1].clone(), x[2].clone()), &|x| {
        each(x, |x| {
            let density = (-(x[2] - x[0]).powi(2) / (2.0 * x[1].exp())).exp() / (std::f64::consts::TAU * x[1].exp()).sqrt();
            -density.ln()
        })
    });
}

#[test]
fn yes_and_no_are_judged_as_defined() {
    let mut random = Key::new("losses", 2).random();
    let mut logits = uniform(&mut random, 40, 12.0);
    logits[0] = 0.0;
    let truth: Vec<f32> = (0..40).map(|at| [0.0, 1.0, 0.3][at % 3]).collect();
    let cross_entropy = |logit: f64, truth: f64| {
        let yes = 1.0 / (1.0 + (-logit).exp());
        -(truth * yes.ln() + (1.0 - truth) * (1.0 / (1.0 + logit.exp())).ln())
    };
    agrees(&[logits, truth], &|x| binary(x[0].clone(), x[1].clone()), &|x| each(x, |x| cross_entropy(x[0], x[1])));
    let inputs = [uniform(&mut random, 5, 6.0), uniform(&mut random, 15, 6.0)];
    agrees(&inputs, &|x| link(x[0].clone(), x[1].clone().reshape([5, 3])), &|x| {
        let none = |row: usize| x[1][3 * row..][..3].iter().map(|&score| cross_entropy(score, 0.0)).sum::<f64>() / 3.0;
        (0..5).map(|row| cross_entropy(x[0][row], 1.0) + none(row)).collect()
    });
}

#[test]
fn classes_are_judged_as_defined() {
    let mut random = Key::new("losses", 3).random();
    let codes = [2, 0, 3, 3];
    for smoothing in [0.0, 0.1] {
        let inputs = [uniform(&mut random, 16, 5.0)];
        let loss = |x: &[Tensor<1>]| {
            let codes = Tensor::<1, Int>::from_data(TensorData::new(codes.to_vec(), [4]), &x[0].device());
            multiclass(x[0].clone().reshape([4, 4]), codes, smoothing)
        };
        agrees(&inputs, &loss, &|x| {
            let row = |row: usize| {
                let logits = &x[0][4 * row..][..4];
                let total: f64 = logits.iter().map(|logit| logit.exp()).sum();
                let truth = |class: usize| smoothing / 4.0 + if class as i32 == codes[row] { 1.0 - smoothing } else { 0.0 };
                -(0..4).map(|class| truth(class) * (logits[class].exp() / total).ln()).sum::<f64>()
            };
            (0..4).map(row).collect()
        });
    }
}

#[test]
fn pairs_are_found_in_both_directions() {
    const ROWS: usize = 4;
    const WIDTH: usize = 3;
    let mut random = Key::new("losses", 4).random();
    let inputs = [uniform(&mut random, ROWS * WIDTH, 2.0), uniform(&mut random, ROWS * WIDTH, 0.1)];
    let temperature = 0.2;
    let loss =
        |x: &[Tensor<1>]| contrastive(x[0].clone().reshape([ROWS, WIDTH]), x[1].clone().reshape([ROWS, WIDTH]), temperature);
    agrees(&inputs, &loss, &|x| {
        let of = |input: usize, row: usize| &x[input][WIDTH * row..][..WIDTH];
        let cosine = |one: &[f64], other: &[f64]| {
            let product = |one: &[f64], other: &[f64]| one.iter().zip(other).map(|(x, y)| x * y).sum::<f64>();
            product(one, other) / (product(one, one) * product(other, other)).sqrt()
        };
        let score = |one: usize, other: usize| (cosine(of(0, one), of(1, other)) / temperature).exp();
        let row = |row: usize| {
            let there: f64 = (0..ROWS).map(|other| score(row, other)).sum();
            let back: f64 = (0..ROWS).map(|one| score(one, row)).sum();
            -((score(row, row) / there).ln() + (score(row, row) / back).ln()) / 2.0
        };
        (0..ROWS).map(row).collect()
    });
    // Vectors that belong together and to nothing else; chance is ln 4.
    let apart: Vec<f32> = (0..16).map(|at| if at % 5 == 0 { 3.0 } else { 0.0 }).collect();
    let judged = |one: &[f32], other: &[f32]| {
        let square = |x: &Tensor<1>| x.clone().reshape([4, 4]);
        differentiated(&[one.to_vec(), other.to_vec()], &|x| contrastive(square(&x[0]), square(&x[1]), 0.05)).0
    };
    assert!(judged(&apart, &apart).iter().all(|&loss| loss < 1e-6));
    let alike = [1.0; 16];
    assert!(judged(&alike, &alike).iter().all(|loss| (loss - 4.0_f32.ln()).abs() < 1e-5));
}

/// The logarithm of NB2's probability, straight from its definition, and its derivatives by ln μ and by ln α.
fn negative_binomial_plain(log_mean: f64, log_dispersion: f64, count: u32) -> [f64; 3] {
    let (mean, dispersion, count) = (log_mean.exp(), log_dispersion.exp(), u64::from(count));
    let size = 1.0 / dispersion;
    let log_excess = (dispersion * mean).ln_1p(); // ln((r + μ) / r)
    let ways: f64 = (0..count).map(|at| ((size + at as f64) / (at + 1) as f64).ln()).sum();
    let log = ways - size * log_excess + count as f64 * (log_mean + log_dispersion - log_excess);
    let by_mean = (mean - count as f64) / (1.0 + dispersion * mean);
    let digammas: f64 = (0..count).map(|at| (size + at as f64).recip()).sum();
    let by_size = digammas - log_excess + (mean - count as f64) / (size + mean);
    [-log, by_mean, by_size * size]
}

fn negative_binomial_of(log_mean: f32, log_dispersion: f32, count: f32) -> [f64; 3] {
    let (loss, gradients) = differentiated(&[vec![log_mean], vec![log_dispersion]], &|x| {
        negative_binomial(x[0].clone(), x[1].clone(), x[0].clone().detach() * 0.0 + f64::from(count))
    });
    [loss[0], gradients[0][0], gradients[1][0]].map(f64::from)
}

#[test]
fn counts_are_judged_as_defined() {
    for log_mean in [-15.0, -3.0, 0.0, 2.5, 6.0, 13.0_f32] {
        for log_dispersion in [-15.0, -8.0, -2.0, 0.0, 3.0, 15.0_f32] {
            for count in [0, 1, 3, 40, 1000_u32] {
                agrees(
                    &[vec![log_mean], vec![log_dispersion]],
                    &|x| negative_binomial(x[0].clone(), x[1].clone(), x[0].clone().detach() * 0.0 + f64::from(count)),
                    &|x| vec![negative_binomial_plain(x[0][0], x[1][0], count)[0]],
                );
            }
        }
    }
}

#[test]
fn large_counts_keep_their_digits() {
    for (mean, count) in [(1e6, 1_000_000), (1e6, 990_000), (1e5, 200_000), (1.0, 1_000_000), (1e6, 17), (1e6, 0)] {
        let log_mean = f64::ln(mean) as f32;
        for log_dispersion in [-30.0, -15.0, -7.0, 0.0, 15.0_f32] {
            let found = negative_binomial_of(log_mean, log_dispersion, count as f32);
            let expected = negative_binomial_plain(f64::from(log_mean), f64::from(log_dispersion), count);
            // What rounding ln μ and ln k to 32 bits does, and a few roundings of the loss itself.
            let limit = 2e-6 * (2.0 + expected[0]) + 2e-6 * expected[1].abs();
            let what = format!("mean {mean}, count {count}, log-dispersion {log_dispersion}: {found:?}, {expected:?}");
            assert!((found[0] - expected[0]).abs() < limit, "{what}");
            let curvature = f64::from(log_mean).exp() / (1.0 + f64::from(log_mean + log_dispersion).exp());
            assert!((found[1] - expected[1]).abs() < 1e-5 * (1.0 + expected[1].abs()) + 2e-6 * curvature, "{what}");
            let limit = 2e-5 * (1.0 + expected[2].abs()) + 4e-6 * expected[0] + 1e-7 * (mean - f64::from(count)).abs();
            assert!((found[2] - expected[2]).abs() < limit, "{what}");
        }
    }
}

#[test]
fn without_dispersion_counts_are_of_poisson() {
    for (mean, count) in [(0.01, 0), (0.5, 0), (3.0, 2), (200.0, 215), (1e4, 9_900)] {
        let log_mean = f64::ln(mean) as f32;
        let exact = f64::from(log_mean);
        let log_factorial: f64 = (1..=count).map(|at| f64::from(at).ln()).sum();
        let poisson = exact.exp() - f64::from(count) * exact + log_factorial;
        let [loss, by_mean, by_dispersion] = negative_binomial_of(log_mean, -28.0, count as f32);
        let expected = exact.exp() - f64::from(count);
        let limit = 2e-6 * (1.0 + poisson + expected.abs());
        assert!((loss - poisson).abs() < limit, "mean {mean}, count {count}: {loss}, {poisson}");
        assert!((by_mean - expected).abs() < 2e-6 * (1.0 + expected.abs() + mean), "mean {mean}, count {count}: {by_mean}");
        assert!(by_dispersion.abs() < 5e-6 * (1.0 + poisson), "mean {mean}, count {count}: {by_dispersion}");
    }
}

/// Probabilities of all counts are 1 together; their mean is μ and their variance μ + αμ².
#[test]
fn counts_have_the_moments_of_nb2() {
    for (mean, dispersion) in [(4.0_f64, 0.5_f64), (7.0, 0.01), (0.3, 2.0)] {
        let counts: Vec<f32> = (0..600).map(|count| count as f32).collect();
        let (losses, _) = differentiated(&[counts], &|x| {
            let like = x[0].clone() * 0.0;
            negative_binomial(like.clone() + mean.ln(), like + dispersion.ln(), x[0].clone())
        });
        let moment = |power: i32| {
            let term = |(count, loss): (u32, &f32)| (-f64::from(*loss)).exp() * f64::from(count).powi(power);
            (0..).zip(&losses).map(term).sum::<f64>()
        };
        assert!((moment(0) - 1.0).abs() < 1e-5, "{}", moment(0));
        assert!((moment(1) - mean).abs() < 1e-5 * (1.0 + mean), "{}", moment(1));
        let second = mean + dispersion * mean * mean + mean * mean;
        assert!((moment(2) - second).abs() < 1e-5 * (1.0 + second), "{}", moment(2));
    }
}

#[test]
fn extremes_have_finite_losses_and_gradients() {
    let extremes = [-1e30, -1e6, -80.0, -30.0, -15.0, -1e-30, 0.0, 1e-30, 15.0, 30.0, 80.0, 1e6, 1e30_f32];
    let pairs: Vec<(f32, f32)> = extremes.iter().flat_map(|&x| extremes.iter().map(move |&y| (x, y))).collect();
    let (one, other): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
    let finite = |what: &str, inputs: &[Vec<f32>], loss: &dyn Fn(&[Tensor<1>]) -> Tensor<1>| {
        let (losses, gradients) = differentiated(inputs, loss);
        assert!(losses.iter().chain(gradients.iter().flatten()).all(|x| x.is_finite()), "{what}: {losses:?} {gradients:?}");
    };
    let inputs = [one.clone(), other.clone()];
    for k in [0.0, 1.0, 20.0, 1e6] {
        finite("counts", &inputs, &|x| negative_binomial(x[0].clone(), x[1].clone(), x[0].clone().detach() * 0.0 + k));
        finite("numbers", &inputs, &|x| gaussian(x[0].clone().clamp(-1e6, 1e6), x[1].clone(), x[0].clone().detach() * 0.0 + k));
    }
    finite("numbers", &inputs, &|x| huber(x[0].clone(), x[1].clone(), 1.0));
    finite("yes and no", std::slice::from_ref(&one), &|x| binary(x[0].clone(), x[0].clone().detach() * 0.0 + 1.0));
    let rows = one.len();
    finite("links", &inputs, &|x| link(x[0].clone(), x[1].clone().reshape([rows, 1])));
    finite("classes", &inputs, &|x| {
        let codes = Tensor::<1, Int>::zeros([rows], &x[0].device());
        multiclass(Tensor::stack::<2>(x.to_vec(), 1), codes, 0.1)
    });
    // Lengths from 0 to 10¹⁵, among them vectors of nothing but zeros.
    let inputs = inputs.map(|input| input.iter().map(|x| x.clamp(-1e15, 1e15)).collect());
    finite("pairs", &inputs, &|x| contrastive(x[0].clone().reshape([rows, 1]), x[1].clone().reshape([rows, 1]), 0.01));
}

/// What is beyond the limits has the loss at the limit and a gradient that leads back.
#[test]
fn descent_leads_back_from_beyond_the_limits() {
    let judged = |log_variance: f32| {
        let (loss, gradients) =
            differentiated(&[vec![0.0], vec![log_variance], vec![1.0]], &|x| gaussian(x[0].clone(), x[1].clone(), x[2].clone()));
        (loss[0], gradients[1][0])
    };
    assert_eq!(judged(1000.0), judged(30.0));
    assert_eq!(judged(-1000.0), judged(-30.0));
    assert!(judged(1000.0).1 > 0.0 && judged(-1000.0).1 < 0.0);
}

#[test]
fn rows_of_no_weight_do_not_count() {
    let losses = vec![1.0, 3.0e38, 5.0, -3.0e38];
    let weights = [3.0, 0.0, 1.0, 0.0];
    let mean = |weights: [f32; 4]| {
        let (mean, gradients) = differentiated(std::slice::from_ref(&losses), &|x| {
            weighted_mean(x[0].clone(), Tensor::from_data(TensorData::new(weights.to_vec(), [4]), &x[0].device()))
        });
        (mean, gradients[0].clone())
    };
    assert_eq!(mean(weights), (vec![2.0], vec![0.75, 0.0, 0.25, 0.0]));
    assert_eq!(mean([0.0; 4]), (vec![0.0], vec![0.0; 4]));
}

/// By hand: 40 rows of two classes; 40 / (2 · 10) and 40 / (2 · 30).
#[test]
fn rare_classes_weigh_more() {
    let weights = class_weights(&[10, 0, 30]);
    assert_eq!(weights, [2.0, 0.0, 2.0 / 3.0]);
    assert!((10.0 * weights[0] + 30.0 * weights[2] - 40.0).abs() < 1e-5);
    assert_eq!(class_weights(&[0, 0]), [0.0, 0.0]);
    assert!(class_weights(&[]).is_empty());
}
