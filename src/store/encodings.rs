//! What a posting block could look like, measured: bytes an edge and the rate of decoding, for the journal beside this file.
//!
//! `cargo test --release --lib encodings -- --ignored --nocapture`

use std::hint::black_box;
use std::time::Instant;

use super::posting::{Decoder, Encoder, Postings};
use crate::pack::{Reader, put_packed, put_varint};

/// A cell's edges to genes: some 150, to genes of uneven popularity, at a time, with a weight.
type Edge = (u32, u32, i64, f32);

/// Edges like those of an atlas: popular genes are in most cells, rare ones in few.
fn edges() -> Vec<Edge> {
    let mut state = 1u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let mut edges = Vec::new();
    for cell in 0..20_000u32 {
        let mut genes: Vec<u32> = (0..190)
            // The inverse of Zipf's distribution function over 20,000 ranks, its ranks scattered over the genes.
            .map(|_| (20_000f64.powf(random()) - 1.0) as u32 * 7_919 % 20_000)
            .collect();
        genes.sort_unstable();
        genes.dedup();
        edges.extend(genes.into_iter().map(|gene| {
            let time = 1_600_000_000 + (random() * 1e8) as i64;
            // The sum of two exponential variables is gamma with shape 2.
            (cell, gene, time, (-(random().ln() + random().ln())) as f32)
        }));
    }
    edges
}

/// Edges in blocks of at most so many.
fn blocks(edges: &[Edge], most: usize) -> Vec<Postings> {
    let block = |edges: &[Edge]| Postings {
        nears: edges.iter().map(|edge| edge.0).collect(),
        fars: edges.iter().map(|edge| edge.1).collect(),
        times: edges.iter().map(|edge| edge.2).collect(),
        attributes: vec![edges.iter().map(|edge| edge.3.to_bits()).collect()],
    };
    edges.chunks(most).map(block).collect()
}

/// Encodes every block, decodes all of them several times, and prints a row.
fn measure(
    name: &str,
    blocks: &[Postings],
    mut encode: impl FnMut(&Postings, &mut Vec<u8>),
    mut decode: impl FnMut(&Postings, &[u8]),
) {
    let edges: usize = blocks.iter().map(Postings::len).sum();
    let begun = Instant::now();
    let bytes: Vec<Vec<u8>> = blocks
        .iter()
        .map(|block| {
            let mut out = Vec::new();
            encode(block, &mut out);
            out
        })
        .collect();
    let encoding = begun.elapsed();
    let rounds = 5;
    let begun = Instant::now();
    for _ in 0..rounds {
        blocks.iter().zip(&bytes).for_each(|(block, bytes)| decode(block, bytes));
    }
    let decoding = begun.elapsed() / rounds;
    let size: usize = bytes.iter().map(Vec::len).sum();
    let rate = |time: std::time::Duration| edges as f64 / time.as_secs_f64() / 1e6;
    println!("{name:58}{:7.2} {:9.0} {:9.0}", size as f64 / edges as f64, rate(encoding), rate(decoding));
}

/// Columns of 64-bit numbers, each packed to the width of its largest.
fn columns(block: &Postings) -> [Vec<u64>; 4] {
    let base = block.times.iter().copied().min().unwrap_or(0);
    [
        block.nears.iter().map(|&near| u64::from(near)).collect(),
        block.fars.iter().map(|&far| u64::from(far)).collect(),
        block.times.iter().map(|&time| (time - base) as u64).collect(),
        block.attributes[0].iter().map(|&bits| u64::from(bits)).collect(),
    ]
}

#[test]
#[ignore = "a measurement"]
fn what_blocks_could_look_like() {
    let mut by_far = edges();
    let mut by_time = by_far.clone();
    by_time.sort_by_key(|edge| (edge.0, edge.2, edge.1));
    by_far.sort_by_key(|edge| (edge.0, edge.1));
    println!("{:58}{:>7} {:>9} {:>9}", "", "B/edge", "M enc/s", "M dec/s");
    let raw = |block: &Postings, out: &mut Vec<u8>| {
        out.extend(block.nears.iter().chain(&block.fars).chain(&block.attributes[0]).flat_map(|word| word.to_le_bytes()));
        out.extend(block.times.iter().flat_map(|time| time.to_le_bytes()));
    };
    let copied = |_: &Postings, bytes: &[u8]| {
        black_box(bytes.to_vec());
    };
    measure("as it is: near, far, time, weight", &blocks(&by_far, 512), raw, copied);
    let varints = |block: &Postings, out: &mut Vec<u8>| {
        let mut before = (0, 0);
        for at in 0..block.len() {
            let same = block.nears[at] == before.0;
            put_varint(out, u64::from(block.nears[at] - before.0));
            put_varint(out, u64::from(block.fars[at] - if same { before.1 } else { 0 }));
            put_varint(out, (block.times[at] - 1_600_000_000) as u64);
            out.extend(block.attributes[0][at].to_le_bytes());
            before = (block.nears[at], block.fars[at]);
        }
    };
    let read_varints = |block: &Postings, bytes: &[u8]| {
        let mut reader = Reader::new(bytes);
        let mut sum = 0;
        for _ in 0..block.len() {
            sum += reader.varint().unwrap() + reader.varint().unwrap() + reader.varint().unwrap();
            reader.take(4).unwrap();
        }
        black_box(sum);
    };
    measure("varints of gaps, row by row", &blocks(&by_far, 512), varints, read_varints);
    let mut values = Vec::new();
    let packed = |block: &Postings, out: &mut Vec<u8>| columns(block).iter().for_each(|column| put_packed(out, column));
    let read_packed = |block: &Postings, bytes: &[u8]| {
        let mut reader = Reader::new(bytes);
        for _ in 0..4 {
            values.clear();
            reader.packed(block.len(), &mut values).unwrap();
            black_box(&values);
        }
    };
    measure("packed columns, no lists and no gaps", &blocks(&by_far, 512), packed, read_packed);
    for (order, edges) in [("by time", &by_time), ("by far node", &by_far)] {
        for most in [128, 512] {
            let mut encoder = Encoder::default();
            let mut decoder = Decoder::default();
            measure(
                &format!("lists, gaps where they ascend, packed; {most} edges, {order}"),
                &blocks(edges, most),
                |block, out| encoder.encode(block, out),
                |block, bytes| {
                    black_box(decoder.decode(block.nears[0], bytes).unwrap());
                },
            );
        }
    }
    let ends: Vec<Postings> =
        blocks(&by_far, 512).into_iter().map(|block| Postings { times: Vec::new(), attributes: Vec::new(), ..block }).collect();
    let (mut encoder, mut decoder) = (Encoder::default(), Decoder::default());
    measure(
        "the same without times and weights, as incoming blocks are",
        &ends,
        |block, out| encoder.encode(block, out),
        |block, bytes| {
            black_box(decoder.decode(block.nears[0], bytes).unwrap());
        },
    );
}
