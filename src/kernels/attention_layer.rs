//! A layer of attention, from states to states: norms, projections, attention along a pattern, a gate, and what comes of it
//! added to the states; forward and backward.

use super::attention::{Attention, Gradients, attend, attend_backward};
use super::gated::sigmoids;
use super::layer::{chunks, sum, with_scratch};
use super::norm::Norm;
use super::product::{Matrix, WeightGradient, multiply, weight_gradients};
use super::rows::Rows;
use super::{Buffer, Pattern, Shared};

/// Which states a layer reads and writes. What is left out could not change what is asked of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// How many states go in.
    pub inputs: usize,
    /// Which of them come out, in their order.
    pub kept: Rows,
    /// Which of those going in are queries: they see something, and come out.
    pub queries: Rows,
    /// Where the queries are among those that come out.
    pub places: Rows,
    /// Which of those going in are keys.
    pub keys: Rows,
    /// Which keys each query sees.
    pub pattern: Pattern,
}

impl Reach {
    fn check(&self) {
        let queries = self.queries.count();
        assert!(self.kept.end() <= self.inputs && self.queries.end() <= self.inputs && self.keys.end() <= self.inputs);
        assert!(self.places.count() == queries && self.places.end() <= self.kept.count());
        assert!(self.pattern.queries() == queries && self.pattern.keys() == self.keys.count());
    }
}

/// The layer's parameters.
#[derive(Clone, Copy, Debug)]
pub struct AttentionLayer<'a> {
    /// Heads.
    pub heads: usize,
    /// See [`Attention`].
    pub is_normed: bool,
    /// See [`Attention`].
    pub is_counted: bool,
    /// Of the queries.
    pub norm: Norm<'a>,
    /// Of the keys, where it is another; values are then of the states as they are.
    pub key_norm: Option<Norm<'a>>,
    /// `[width, width]`
    pub query: &'a [f32],
    /// `[width, width]`
    pub key: &'a [f32],
    /// `[width, width]`
    pub value: &'a [f32],
    /// `[width, width]`
    pub output: &'a [f32],
    /// `[width, width]`: what is attended to is multiplied by the sigmoid of the query's norm times it (Qiu et al. 2025,
    /// <https://arxiv.org/abs/2505.06708>).
    pub gate: Option<&'a [f32]>,
    /// `[heads]`
    pub scales: Option<&'a [f32]>,
}

/// What the way back needs again.
#[derive(Clone, Debug)]
pub struct AttentionKept {
    query: Buffer,
    key: Buffer,
    value: Buffer,
    attended: Buffer,
    sums: Buffer,
    /// After the sigmoid.
    gate: Buffer,
}

/// Gradients of a loss by what went in.
#[derive(Debug)]
pub struct AttentionGradients {
    /// `[states, width]`
    pub states: Vec<f32>,
    /// `[width]`
    pub gamma: Vec<f32>,
    /// `[width]`, if the layer has another norm of keys.
    pub key_gamma: Vec<f32>,
    /// `[width, width]` each.
    pub query: Vec<f32>,
    /// See `query`.
    pub key: Vec<f32>,
    /// See `query`.
    pub value: Vec<f32>,
    /// See `query`.
    pub output: Vec<f32>,
    /// See `query`; empty if the layer has none.
    pub gate: Vec<f32>,
    /// `[heads]`; of 0 if the layer has none.
    pub scales: Vec<f32>,
}

impl AttentionLayer<'_> {
    fn width(&self) -> usize {
        self.norm.gamma.len()
    }

    fn attention<'r>(&'r self, pattern: &'r Pattern) -> Attention<'r> {
        Attention {
            pattern,
            heads: self.heads,
            dim: self.width() / self.heads,
            is_normed: self.is_normed,
            is_counted: self.is_counted,
            scales: self.scales,
        }
    }

    /// Whether one norm serves queries and keys alike.
    fn is_shared(&self, reach: &Reach) -> bool {
        self.key_norm.is_none() && reach.queries == reach.keys
    }

    /// The states that come out, and what the way back needs.
    ///
    /// # Shapes
    /// `[states in, width]` to `[states out, width]`.
    pub fn forward(&self, states: &[f32], reach: &Reach) -> (Vec<f32>, AttentionKept) {
        let width = self.width();
        assert_eq!(states.len(), reach.inputs * width);
        reach.check();
        let (queries, keys) = (reach.queries.count(), reach.keys.count());
        let mut kept = AttentionKept {
            query: Buffer::of(queries * width),
            key: Buffer::of(keys * width),
            value: Buffer::of(keys * width),
            attended: Buffer::of(queries * width),
            sums: Buffer::of(queries * self.heads),
            gate: Buffer::of(if self.gate.is_some() { queries * width } else { 0 }),
        };
        let [query, key, value, gate] =
            [&mut kept.query, &mut kept.key, &mut kept.value, &mut kept.gate].map(|buffer| Shared(buffer.as_mut_ptr()));
        let project = |normed: &[f32], weight: &[f32], to: Shared, rows: std::ops::Range<usize>| {
            // SAFETY: chunks have rows of their own.
            multiply(Matrix::of(normed, width), Matrix::of(weight, width), unsafe { to.rows(rows, width) }, false);
        };
        let is_shared = self.is_shared(reach);
        chunks(queries, |rows| {
            with_scratch(rows.len() * width, |normed| {
                self.norm.forward(states, &reach.queries, rows.clone(), normed);
                project(normed, self.query, query, rows.clone());
                if is_shared {
                    project(normed, self.key, key, rows.clone());
                    project(normed, self.value, value, rows.clone());
                }
                if let Some(weight) = self.gate {
                    project(normed, weight, gate, rows.clone());
                    // SAFETY: as above.
                    sigmoids(unsafe { gate.rows(rows, width) });
                }
            });
        });
        if !is_shared {
            chunks(keys, |rows| {
                with_scratch(rows.len() * width, |normed| {
                    let norm = self.key_norm.unwrap_or(self.norm);
                    norm.forward(states, &reach.keys, rows.clone(), normed);
                    project(normed, self.key, key, rows.clone());
                    if self.key_norm.is_some() {
                        reach.keys.copy(states, width, rows.clone(), normed);
                    }
                    project(normed, self.value, value, rows);
                });
            });
        }
        attend(&self.attention(&reach.pattern), &kept.query, &kept.key, &kept.value, &mut kept.attended, &mut kept.sums);
        let mut out = reach.kept.gathered(states, width);
        let to = Shared(out.as_mut_ptr());
        let kept_ref = &kept;
        chunks(queries, |rows| {
            let length = rows.len() * width;
            with_scratch(2 * length, |scratch| {
                let (gated, seen) = scratch.split_at_mut(length);
                let attended = kept_ref.gated(rows.clone(), width, gated);
                let output = Matrix::of(self.output, width);
                match &reach.places {
                    // SAFETY: as above.
                    Rows::First(_) => multiply(Matrix::of(attended, width), output, unsafe { to.rows(rows, width) }, true),
                    Rows::These(places) => {
                        multiply(Matrix::of(attended, width), output, seen, false);
                        for (seen, &place) in seen.chunks_exact(width).zip(&places[rows]) {
                            // SAFETY: no place is twice among them.
                            let out = unsafe { to.rows(place as usize..place as usize + 1, width) };
                            out.iter_mut().zip(seen).for_each(|(out, seen)| *out += seen);
                        }
                    }
                }
            });
        });
        (out, kept)
    }

    /// Gradients of a loss, of `grad`, the one by what came out.
    pub fn backward(&self, states: &[f32], reach: &Reach, kept: &AttentionKept, grad: &[f32]) -> AttentionGradients {
        let width = self.width();
        let (queries, keys) = (reach.queries.count(), reach.keys.count());
        let square = width * width;
        let mut gradients = AttentionGradients {
            states: vec![0.0; reach.inputs * width],
            gamma: vec![0.0; width],
            key_gamma: vec![0.0; if self.key_norm.is_some() { width } else { 0 }],
            query: vec![0.0; square],
            key: vec![0.0; square],
            value: vec![0.0; square],
            output: vec![0.0; square],
            gate: vec![0.0; if self.gate.is_some() { square } else { 0 }],
            scales: vec![0.0; self.heads],
        };
        // Of what was attended to, and of the gate before its sigmoid.
        let mut to_attended = Buffer::of(queries * width);
        let mut to_gate = Buffer::of(kept.gate.len());
        let mut gated = Buffer::of(kept.gate.len());
        let mut own_grad = Buffer::of(if matches!(reach.places, Rows::These(_)) { queries * width } else { 0 });
        let [attended_to, gate_to, gated_to, own_to] =
            [&mut to_attended, &mut to_gate, &mut gated, &mut own_grad].map(|buffer| Shared(buffer.as_mut_ptr()));
        chunks(queries, |rows| {
            let numbers = rows.start * width..rows.end * width;
            // SAFETY: chunks have rows of their own.
            let (to, own) = unsafe {
                let own = match &reach.places {
                    Rows::First(_) => &grad[numbers.clone()],
                    Rows::These(_) => {
                        let own = own_to.rows(rows.clone(), width);
                        reach.places.copy(grad, width, rows.clone(), own);
                        &*own
                    }
                };
                (attended_to.rows(rows.clone(), width), own)
            };
            multiply(Matrix::of(own, width), Matrix::of(self.output, width).transposed(), to, false);
            if self.gate.is_some() {
                // SAFETY: as above.
                let (to_gate, gated) = unsafe { (gate_to.rows(rows.clone(), width), gated_to.rows(rows, width)) };
                for at in 0..to.len() {
                    let (gate, attended) = (kept.gate[numbers.start + at], kept.attended[numbers.start + at]);
                    gated[at] = gate * attended;
                    to_gate[at] = to[at] * attended * gate * (1.0 - gate);
                    to[at] *= gate;
                }
            }
        });
        let own_grad = if matches!(reach.places, Rows::These(_)) { &own_grad[..] } else { &grad[..queries * width] };
        let mut to_query = Buffer::of(queries * width);
        let mut to_key = Buffer::of(keys * width);
        let mut to_value = Buffer::of(keys * width);
        attend_backward(
            &self.attention(&reach.pattern),
            &kept.query,
            &kept.key,
            &kept.value,
            &kept.attended,
            &kept.sums,
            &to_attended,
            Gradients { query: &mut to_query, key: &mut to_key, value: &mut to_value, scales: &mut gradients.scales },
        );
        drop(to_attended);

        let mut normed = Buffer::of(queries * width);
        let is_shared = self.is_shared(reach);
        let mut key_normed = Buffer::of(if is_shared { 0 } else { keys * width });
        // Values of states as they are want them beside their norms.
        let mut key_states = Buffer::of(if self.key_norm.is_some() { keys * width } else { 0 });
        let to = Shared(gradients.states.as_mut_ptr());
        match &reach.kept {
            Rows::First(count) => gradients.states[..count * width].copy_from_slice(grad),
            Rows::These(kept) => {
                for (grad, &row) in grad.chunks_exact(width).zip(kept) {
                    gradients.states[row as usize * width..][..width].copy_from_slice(grad);
                }
            }
        }
        let back = |grad: &[f32], weight: &[f32], to: &mut [f32], adds: bool| {
            multiply(Matrix::of(grad, width), Matrix::of(weight, width).transposed(), to, adds);
        };
        let norms = Shared(normed.as_mut_ptr());
        let gammas = chunks(queries, |rows| {
            let numbers = rows.start * width..rows.end * width;
            // SAFETY: chunks have rows of their own.
            self.norm.forward(states, &reach.queries, rows.clone(), unsafe { norms.rows(rows.clone(), width) });
            let mut gamma = vec![0.0; width];
            with_scratch(numbers.len(), |to_normed| {
                back(&to_query[numbers.clone()], self.query, to_normed, false);
                if is_shared {
                    back(&to_key[numbers.clone()], self.key, to_normed, true);
                    back(&to_value[numbers.clone()], self.value, to_normed, true);
                }
                if let Some(gate) = self.gate {
                    back(&to_gate[numbers], gate, to_normed, true);
                }
                // SAFETY: no state is twice among the queries.
                unsafe { self.norm.backward(states, &reach.queries, rows, to_normed, to, &mut gamma) };
            });
            gamma
        });
        sum(&gammas, &mut gradients.gamma);
        if !is_shared {
            let (norms, states_to) = (Shared(key_normed.as_mut_ptr()), Shared(key_states.as_mut_ptr()));
            let norm = self.key_norm.unwrap_or(self.norm);
            let gammas = chunks(keys, |rows| {
                let numbers = rows.start * width..rows.end * width;
                // SAFETY: chunks have rows of their own.
                norm.forward(states, &reach.keys, rows.clone(), unsafe { norms.rows(rows.clone(), width) });
                let mut gamma = vec![0.0; width];
                with_scratch(numbers.len(), |to_normed| {
                    if self.key_norm.is_some() {
                        // SAFETY: as above.
                        reach.keys.copy(states, width, rows.clone(), unsafe { states_to.rows(rows.clone(), width) });
                        back(&to_value[numbers.clone()], self.value, to_normed, false);
                        for (added, at) in to_normed.chunks_exact(width).zip(rows.clone()) {
                            let row = reach.keys.at(at);
                            // SAFETY: no state is twice among the keys.
                            let to = unsafe { to.rows(row..row + 1, width) };
                            to.iter_mut().zip(added).for_each(|(to, added)| *to += added);
                        }
                        back(&to_key[numbers], self.key, to_normed, false);
                    } else {
                        back(&to_key[numbers.clone()], self.key, to_normed, false);
                        back(&to_value[numbers], self.value, to_normed, true);
                    }
                    // SAFETY: as above.
                    unsafe { norm.backward(states, &reach.keys, rows, to_normed, to, &mut gamma) };
                });
                gamma
            });
            if self.key_norm.is_some() {
                sum(&gammas, &mut gradients.key_gamma);
            } else {
                for gamma in &gammas {
                    gradients.gamma.iter_mut().zip(gamma).for_each(|(to, number)| *to += number);
                }
            }
        }
        let of_queries = Matrix::of(&normed, width);
        let of_keys = if is_shared { of_queries } else { Matrix::of(&key_normed, width) };
        let of_values = if self.key_norm.is_some() { Matrix::of(&key_states, width) } else { of_keys };
        let attended = if self.gate.is_some() { &gated } else { &kept.attended };
        let mut weights = vec![
            WeightGradient { inputs: of_queries, outputs: Matrix::of(&to_query, width), to: &mut gradients.query },
            WeightGradient { inputs: of_keys, outputs: Matrix::of(&to_key, width), to: &mut gradients.key },
            WeightGradient { inputs: of_values, outputs: Matrix::of(&to_value, width), to: &mut gradients.value },
            WeightGradient {
                inputs: Matrix::of(attended, width),
                outputs: Matrix::of(own_grad, width),
                to: &mut gradients.output,
            },
        ];
        if self.gate.is_some() {
            weights.push(WeightGradient { inputs: of_queries, outputs: Matrix::of(&to_gate, width), to: &mut gradients.gate });
        }
        weight_gradients(&mut weights);
        gradients
    }
}

impl AttentionKept {
    /// What was attended to by some queries, after the gate if there is one, for which there is room in `to`.
    fn gated<'k>(&'k self, rows: std::ops::Range<usize>, width: usize, to: &'k mut [f32]) -> &'k [f32] {
        let numbers = rows.start * width..rows.end * width;
        let attended = &self.attended[numbers.clone()];
        if self.gate.is_empty() {
            return attended;
        }
        for ((to, attended), gate) in to.iter_mut().zip(attended).zip(&self.gate[numbers]) {
            *to = attended * gate;
        }
        to
    }
}
