use burn::tensor::{Bool, Device, Tensor, TensorData};

use super::indices;
use crate::tokens::Sublayer;

/// A layer's reads and writes with a mask for every pair of a query and a key of a context: what backends without a kernel
/// compute with, and layers of few queries. It takes memory by the number of these pairs.
pub(super) struct Dense {
    pub(super) contexts: usize,
    /// Queries of the context that has the most.
    pub(super) query_count: usize,
    /// Keys of the context that has the most.
    pub(super) key_count: usize,
    /// `[contexts × query_count]`: places among the states going in; 0 where a context has fewer.
    queries: Vec<u32>,
    /// `[contexts × key_count]`: the same.
    keys: Vec<u32>,
    /// `[contexts × query_count × key_count]`: where a query may not see a key.
    hidden: Vec<bool>,
    /// For each state coming out, its place among `queries`; 0 where it is none, and then `sees` is 0, else 1.
    places: Vec<u32>,
    sees: Vec<f32>,
    /// For each query, how many keys it sees.
    visible: Vec<u32>,
}

impl Dense {
    /// Queries and keys of the context that has the most.
    pub(super) fn most(layer: &Sublayer) -> [usize; 2] {
        let most = |side: usize| layer.firsts.windows(2).map(|pair| pair[1][side] - pair[0][side]).max().unwrap_or(0);
        [most(0) as usize, most(1) as usize]
    }

    pub(super) fn of(layer: &Sublayer) -> Self {
        let [query_count, key_count] = Self::most(layer);
        let contexts = layer.firsts.len() - 1;
        let reach = &layer.reach;
        let mut dense = Self {
            contexts,
            query_count,
            key_count,
            queries: vec![0; contexts * query_count],
            keys: vec![0; contexts * key_count],
            hidden: vec![true; contexts * query_count * key_count],
            places: vec![0; reach.kept.count()],
            sees: vec![0.0; reach.kept.count()],
            visible: vec![0; contexts * query_count],
        };
        let lists = reach.pattern.lists();
        for (context, pair) in layer.firsts.windows(2).enumerate() {
            let ([first_query, first_key], [last_query, last_key]) = (pair[0], pair[1]);
            for (at, key) in (first_key..last_key).enumerate() {
                dense.keys[context * key_count + at] = reach.keys.at(key as usize) as u32;
            }
            for (at, query) in (first_query as usize..last_query as usize).enumerate() {
                let row = context * query_count + at;
                dense.queries[row] = reach.queries.at(query) as u32;
                dense.visible[row] = reach.pattern.visible()[query];
                let place = reach.places.at(query);
                dense.places[place] = row as u32;
                dense.sees[place] = if lists[query].is_empty() { 0.0 } else { 1.0 };
                for &key in &lists[query] {
                    dense.hidden[row * key_count + (key - first_key) as usize] = false;
                }
            }
        }
        dense
    }

    /// `[contexts × query_count, width]`
    pub(super) fn queries(&self, states: Tensor<2>) -> Tensor<2> {
        let device = states.device();
        states.select(0, indices(&self.queries, &device))
    }

    /// `[contexts × key_count, width]`
    pub(super) fn keys(&self, states: Tensor<2>) -> Tensor<2> {
        let device = states.device();
        states.select(0, indices(&self.keys, &device))
    }

    /// `[contexts, query_count, key_count]`
    pub(super) fn hidden(&self, device: &Device) -> Tensor<3, Bool> {
        let shape = [self.contexts, self.query_count, self.key_count];
        Tensor::from_data(TensorData::new(self.hidden.clone(), shape), device)
    }

    /// The logarithm of how many keys each query sees: `[contexts, query_count]`.
    pub(super) fn logarithms(&self, device: &Device) -> Tensor<2> {
        let logarithms: Vec<f32> = self.visible.iter().map(|&count| (count.max(1) as f32).ln()).collect();
        Tensor::from_data(TensorData::new(logarithms, [self.contexts, self.query_count]), device)
    }

    /// For each state that comes out what its query saw, or 0: `[contexts × query_count, width]` to `[states out, width]`.
    pub(super) fn outputs(&self, seen: Tensor<2>) -> Tensor<2> {
        let device = seen.device();
        let sees = Tensor::<2>::from_data(TensorData::new(self.sees.clone(), [self.sees.len(), 1]), &device);
        seen.select(0, indices(&self.places, &device)) * sees
    }
}
