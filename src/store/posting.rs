//! The payload of a posting block: the edges of a run of consecutive near nodes, in few bytes.
//!
//! ```text
//! edges            varint    n, at most BLOCK_EDGES
//! lists            varint    m, near nodes that have an edge here
//! near gaps        packed    m: each near node minus the one before; the first minus the key's
//! list lengths     packed    m, each at least 1
//! has times        u8        0 or 1
//! times            series    n codes: 0 is missing, else time − base + 1; the base (zigzag varint) stands before
//! far nodes        series    n
//! attributes       varint    how many columns follow
//! each             column    n values of 32 bits: see `put_column`
//! ```
//!
//! `packed` is [`put_packed`]'s layout. A `series` is one byte, 0 for `packed` as it is, 1 where every list ascends: then the
//! lists' first values and the gaps of all others, each packed; the writer takes the shorter.

use crate::pack::{Malformed, Reader, put_packed, put_varint};
use crate::snapshot::EdgeBlock;
use crate::vectorised::vectorised;

/// The most edges in one block: about 4 KiB where an edge takes 8 bytes, and a microsecond or two to decode.
pub(super) const BLOCK_EDGES: usize = 512;

/// The time of an edge that has none.
pub(super) const NO_TIME: i64 = i64::MIN;

/// An attribute's 32 bits where it is missing; as a number it would be a NaN, which no edge carries.
pub(super) const MISSING: u32 = EdgeBlock::MISSING;

/// Edges as columns, sorted by near node, time and far node.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Postings {
    /// Ascending.
    pub nears: Vec<u32>,
    pub fars: Vec<u32>,
    /// As long as the others, or empty where no edge has a time; [`NO_TIME`] is missing.
    pub times: Vec<i64>,
    /// A column an attribute: bits of an `f32`, or a category's code; [`MISSING`] where missing.
    pub attributes: Vec<Vec<u32>>,
}

impl Postings {
    pub(super) fn len(&self) -> usize {
        self.nears.len()
    }

    /// Whether it has no times and no attributes: as blocks of incoming edges are written. (Those of the store's first
    /// version have all that the outgoing ones have.)
    pub(super) fn holds_ends_only(&self) -> bool {
        self.times.is_empty() && self.attributes.is_empty()
    }

    /// Makes it empty, and keeps its memory.
    pub(super) fn clear(&mut self) {
        self.nears.clear();
        self.fars.clear();
        self.times.clear();
        self.attributes.iter_mut().for_each(Vec::clear);
    }
}

/// Turns blocks into bytes, and keeps its memory between them.
#[derive(Default)]
pub(super) struct Encoder {
    values: Vec<u64>,
    lengths: Vec<u64>,
    firsts: Vec<u64>,
    gaps: Vec<u64>,
    plain: Vec<u8>,
    delta: Vec<u8>,
}

impl Encoder {
    /// Appends the bytes of the block whose key has the first of the near nodes.
    pub(super) fn encode(&mut self, block: &Postings, out: &mut Vec<u8>) {
        encode(self, block, out);
    }

    #[inline(always)]
    fn encode_here(&mut self, block: &Postings, out: &mut Vec<u8>) {
        self.gaps.clear();
        self.lengths.clear();
        let mut before = block.nears.first().copied().unwrap_or(0);
        for list in block.nears.chunk_by(|a, b| a == b) {
            self.gaps.push(u64::from(list[0] - before));
            self.lengths.push(list.len() as u64);
            before = list[0];
        }
        put_varint(out, block.len() as u64);
        put_varint(out, self.lengths.len() as u64);
        put_packed(out, &self.gaps);
        put_packed(out, &self.lengths);
        let with_times = block.times.iter().any(|&time| time != NO_TIME);
        out.push(u8::from(with_times));
        if with_times {
            let base = block.times.iter().copied().filter(|&time| time != NO_TIME).min().unwrap_or(0);
            put_varint(out, zigzag(base));
            // No code overflows: `NO_TIME` is not among the others, so their span is at most 2^64 - 2.
            let code = |&time: &i64| if time == NO_TIME { 0 } else { (time.wrapping_sub(base) as u64) + 1 };
            self.values.clear();
            self.values.extend(block.times.iter().map(code));
            self.put_series(out);
        }
        self.values.clear();
        self.values.extend(block.fars.iter().map(|&far| u64::from(far)));
        self.put_series(out);
        put_varint(out, block.attributes.len() as u64);
        for column in &block.attributes {
            put_column(out, column, &mut self.values);
        }
    }

    /// Appends `values` as a series.
    #[inline(always)]
    fn put_series(&mut self, out: &mut Vec<u8>) {
        self.firsts.clear();
        self.gaps.clear();
        let mut rest = self.values.as_slice();
        let mut ascending = true;
        for &length in &self.lengths {
            let (list, behind) = rest.split_at(length as usize);
            self.firsts.extend(list.first());
            ascending &= list.is_sorted();
            if !ascending {
                break;
            }
            self.gaps.extend(list.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])));
            rest = behind;
        }
        // Where lists ascend and are long, gaps are always the shorter.
        if ascending && self.lengths.len() * 8 < self.values.len() {
            out.push(1);
            put_packed(out, &self.firsts);
            return put_packed(out, &self.gaps);
        }
        self.plain.clear();
        put_packed(&mut self.plain, &self.values);
        if ascending {
            self.delta.clear();
            put_packed(&mut self.delta, &self.firsts);
            put_packed(&mut self.delta, &self.gaps);
            if self.delta.len() < self.plain.len() {
                out.push(1);
                out.extend_from_slice(&self.delta);
                return;
            }
        }
        out.push(0);
        out.extend_from_slice(&self.plain);
    }
}

/// Turns bytes into blocks, and keeps its memory between them.
#[derive(Default)]
pub(super) struct Decoder {
    values: Vec<u64>,
    lengths: Vec<u64>,
    firsts: Vec<u64>,
    gaps: Vec<u64>,
    block: Postings,
}

impl Decoder {
    /// Reads a block back; `first` is the near node of its key.
    pub(super) fn decode(&mut self, first: u32, payload: &[u8]) -> Result<&Postings, Malformed> {
        decode(self, first, payload)?;
        Ok(&self.block)
    }

    #[inline(always)]
    fn decode_here(&mut self, first: u32, payload: &[u8]) -> Result<(), Malformed> {
        self.block.clear();
        let mut reader = Reader::new(payload);
        let edges = reader.count(BLOCK_EDGES)?;
        let lists = reader.count(edges)?;
        self.gaps.clear();
        reader.packed(lists, &mut self.gaps)?;
        self.lengths.clear();
        reader.packed(lists, &mut self.lengths)?;
        let nears = &mut self.block.nears;
        let mut near = u64::from(first);
        for (&gap, &length) in self.gaps.iter().zip(&self.lengths) {
            near = near.saturating_add(gap);
            let node = u32::try_from(near).map_err(|_| Malformed("a near node is above 32 bits"))?;
            if length == 0 || length > (edges - nears.len()) as u64 {
                return Err(Malformed("the lists' lengths do not add up"));
            }
            nears.resize(nears.len() + length as usize, node);
        }
        if nears.len() != edges {
            return Err(Malformed("the lists' lengths do not add up"));
        }
        match reader.byte()? {
            0 => {}
            1 => {
                let base = unzigzag(reader.varint()?);
                let time = |&code: &u64| if code == 0 { NO_TIME } else { base.wrapping_add((code - 1) as i64) };
                self.series(&mut reader, edges)?;
                self.block.times.extend(self.values.iter().map(time));
            }
            _ => return Err(Malformed("an unknown code of the times")),
        }
        self.series(&mut reader, edges)?;
        narrow(&self.values, &mut self.block.fars).map_err(|_| Malformed("a far node is above 32 bits"))?;
        let columns = reader.count(usize::from(u16::MAX))?;
        // Every column has at least its code and a byte, so a wrong number ends here and not in much memory.
        if columns > payload.len() {
            return Err(Malformed("it ends early"));
        }
        self.block.attributes.resize_with(columns, Vec::new);
        for column in &mut self.block.attributes {
            read_column(&mut reader, edges, &mut self.values, column)?;
        }
        if !reader.is_at_end() {
            return Err(Malformed("bytes follow its end"));
        }
        Ok(())
    }

    /// Reads a series into `values`.
    #[inline(always)]
    fn series(&mut self, reader: &mut Reader<'_>, edges: usize) -> Result<(), Malformed> {
        self.values.clear();
        match reader.byte()? {
            0 => reader.packed(edges, &mut self.values),
            1 => {
                self.firsts.clear();
                self.gaps.clear();
                reader.packed(self.lengths.len(), &mut self.firsts)?;
                reader.packed(edges - self.lengths.len(), &mut self.gaps)?;
                let mut gaps = self.gaps.as_slice();
                for (&first, &length) in self.firsts.iter().zip(&self.lengths) {
                    let (own, rest) = gaps.split_at(length as usize - 1);
                    let mut value = first;
                    self.values.push(value);
                    self.values.extend(own.iter().map(|&gap| {
                        value = value.wrapping_add(gap);
                        value
                    }));
                    gaps = rest;
                }
                Ok(())
            }
            _ => Err(Malformed("an unknown code of a series")),
        }
    }
}

vectorised! {
    fn encode(encoder: &mut Encoder, block: &Postings, out: &mut Vec<u8>) {
        encoder.encode_here(block, out);
    }
}

vectorised! {
    fn decode(decoder: &mut Decoder, first: u32, payload: &[u8]) -> Result<(), Malformed> {
        decoder.decode_here(first, payload)
    }
}

/// Appends 64-bit numbers as 32-bit ones.
#[inline(always)]
fn narrow(values: &[u64], out: &mut Vec<u32>) -> Result<(), Malformed> {
    let all = values.iter().fold(0, |all, value| all | value);
    if all > u64::from(u32::MAX) {
        return Err(Malformed("a value is above 32 bits"));
    }
    out.extend(values.iter().map(|&value| value as u32));
    Ok(())
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Appends a column of 32-bit values: a tag and
/// * 0: one value for all, a varint;
/// * 1: `packed`, of the value plus 1, with 0 for missing;
/// * 2: an exponent e in a byte, a zigzag varint base, and `packed` codes c: missing where 0, else the float nearest to
///   (base + c − 1) / 10^e. Whole numbers are the case e = 0. (The idea of ALP, Afroozeh et al., SIGMOD 2023: decimals that
///   people wrote come back bit for bit.)
/// * 3: a number d of distinct values and these as `packed`, and `packed` places among them.
#[inline(always)]
fn put_column(out: &mut Vec<u8>, values: &[u32], codes: &mut Vec<u64>) {
    let Some(&first) = values.first() else { return };
    if values.iter().all(|&value| value == first) {
        out.push(0);
        return put_varint(out, u64::from(first));
    }
    let code = |&value: &u32| if value == MISSING { 0 } else { u64::from(value) + 1 };
    let mut packed = |out: &mut Vec<u8>, with: &mut dyn Iterator<Item = u64>| {
        codes.clear();
        codes.extend(with);
        put_packed(out, codes);
    };
    // Category codes are small; so small a number of bits is no normal float but 0.
    if values.iter().all(|&value| value == MISSING || value < 1 << 20)
        && values.iter().any(|&value| value != MISSING && value != 0)
    {
        out.push(1);
        return packed(out, &mut values.iter().map(code));
    }
    for (exponent, scale) in [1.0f64, 10.0, 100.0, 1e3, 1e4].into_iter().enumerate() {
        if let Some(decimals) = values.iter().map(|&value| decimal(value, scale)).collect::<Option<Vec<Option<i32>>>>() {
            let base = decimals.iter().flatten().copied().min().unwrap_or(0);
            out.push(2);
            out.push(exponent as u8);
            put_varint(out, zigzag(i64::from(base)));
            let code = |decimal: &Option<i32>| decimal.map_or(0, |decimal| (i64::from(decimal) - i64::from(base) + 1) as u64);
            return packed(out, &mut decimals.iter().map(code));
        }
    }
    if let Some(distinct) = few_distinct(values) {
        out.push(3);
        put_varint(out, distinct.len() as u64);
        packed(out, &mut distinct.iter().map(|&value| u64::from(value)));
        let place = |value| distinct.binary_search(value).expect("the distinct values come from these") as u64;
        return packed(out, &mut values.iter().map(place));
    }
    out.push(1);
    packed(out, &mut values.iter().map(code));
}

/// The distinct values, where each occurs four times on average. A sample tells most columns without them.
fn few_distinct(values: &[u32]) -> Option<Vec<u32>> {
    const SAMPLE: usize = 64;
    let distinct = |mut values: Vec<u32>| {
        values.sort_unstable();
        values.dedup();
        values
    };
    // 64 of which a quarter of 512 are different have 50 different ones among them on average.
    let step = values.len().div_ceil(SAMPLE);
    let sample: Vec<u32> = values.iter().copied().step_by(step).collect();
    let sampled = sample.len();
    if values.len() > SAMPLE && distinct(sample).len() * 8 > sampled * 7 {
        return None;
    }
    Some(distinct(values.to_vec())).filter(|distinct| distinct.len() * 4 <= values.len())
}

/// The whole number k for which the float nearest to k / scale is exactly this one: `Some(None)` for missing, `None` where
/// there is no such number of at most 30 bits.
fn decimal(bits: u32, scale: f64) -> Option<Option<i32>> {
    if bits == MISSING {
        return Some(None);
    }
    let scaled = (f64::from(f32::from_bits(bits)) * scale).round();
    let whole = scaled as i32;
    let fits = scaled.abs() < f64::from(1 << 30) && ((f64::from(whole) / scale) as f32).to_bits() == bits;
    fits.then_some(Some(whole))
}

/// Reads a column that [`put_column`] wrote; `codes` is memory for it.
#[inline(always)]
fn read_column(reader: &mut Reader<'_>, edges: usize, codes: &mut Vec<u64>, column: &mut Vec<u32>) -> Result<(), Malformed> {
    const WIDE: Malformed = Malformed("a value is above 32 bits");
    column.clear();
    if edges == 0 {
        return Ok(());
    }
    codes.clear();
    match reader.byte()? {
        0 => column.resize(edges, u32::try_from(reader.varint()?).map_err(|_| WIDE)?),
        1 => {
            reader.packed(edges, codes)?;
            if codes.iter().fold(0, |most: u64, &code| most.max(code)) > 1 << 32 {
                return Err(WIDE);
            }
            // Missing is code 0 and all bits set, so taking 1 away with a wrap serves it too.
            column.extend(codes.iter().map(|&code| (code as u32).wrapping_sub(1)));
        }
        2 => {
            let scale = match reader.byte()? {
                exponent @ 0..=4 => 10f64.powi(i32::from(exponent)),
                _ => return Err(Malformed("an unknown exponent")),
            };
            let base = unzigzag(reader.varint()?);
            reader.packed(edges, codes)?;
            let number = |code: u64| base.wrapping_add((code - 1) as i64) as f64;
            if scale == 1.0 {
                let float = |&code: &u64| if code == 0 { MISSING } else { (number(code) as f32).to_bits() };
                column.extend(codes.iter().map(float));
            } else {
                let float = |&code: &u64| if code == 0 { MISSING } else { ((number(code) / scale) as f32).to_bits() };
                column.extend(codes.iter().map(float));
            }
        }
        3 => {
            let count = reader.count(edges)?;
            reader.packed(count, codes)?;
            let mut distinct = Vec::with_capacity(count);
            narrow(codes, &mut distinct)?;
            codes.clear();
            reader.packed(edges, codes)?;
            for &place in codes.iter() {
                let value = usize::try_from(place).ok().and_then(|place| distinct.get(place));
                column.push(*value.ok_or(Malformed("a place lies outside its dictionary"))?);
            }
        }
        _ => return Err(Malformed("an unknown code of a column")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn floats(values: &[f32]) -> Vec<u32> {
        values.iter().map(|value| value.to_bits()).collect()
    }

    fn encoded(postings: &Postings) -> Vec<u8> {
        let mut out = Vec::new();
        Encoder::default().encode(postings, &mut out);
        out
    }

    fn column_bytes(values: &[u32]) -> usize {
        let mut out = Vec::new();
        put_column(&mut out, values, &mut Vec::new());
        let mut reader = Reader::new(&out);
        let mut read = vec![1, 2];
        read_column(&mut reader, values.len(), &mut vec![3], &mut read).unwrap();
        assert_eq!(read, values);
        assert!(reader.is_at_end());
        out.len()
    }

    #[test]
    fn counts_decimals_and_repeated_numbers_take_few_bytes() {
        let of = |value: fn(usize) -> f32| floats(&(0..512).map(value).collect::<Vec<_>>());
        assert!(column_bytes(&of(|_| 0.25)) <= 6, "a constant");
        assert!(column_bytes(&of(|at| (at % 8) as f32)) <= 8 + 512 * 4 / 8, "small counts");
        assert!(column_bytes(&of(|at| (at % 1000) as f32 / 1000.0)) <= 8 + 512 * 10 / 8, "three decimals");
        assert!(column_bytes(&of(|at| ((at % 4) as f32).exp())) < 170, "four different numbers");
        assert!(column_bytes(&of(|at| (at as f32).sin())) <= 512 * 4 + 16, "any numbers");
    }

    #[test]
    fn zeros_of_both_signs_and_missing_stay_apart() {
        column_bytes(&[0f32.to_bits(), (-0f32).to_bits(), MISSING, 1f32.to_bits()]);
        column_bytes(&[MISSING, MISSING]);
        column_bytes(&[MISSING, 0]);
        column_bytes(&[MISSING, 0, 7, 1 << 19]);
        column_bytes(&[u32::MAX - 1, 0, MISSING]);
    }

    fn edge_value() -> impl Strategy<Value = u32> {
        prop_oneof![
            Just(MISSING),
            (0u32..50).prop_map(|count| (count as f32).to_bits()),
            (-5000i32..5000).prop_map(|number| (number as f32 / 100.0).to_bits()),
            0u32..9,
            any::<u32>(),
        ]
    }

    fn time() -> impl Strategy<Value = i64> {
        prop_oneof![Just(NO_TIME), 0i64..100, any::<i64>(), Just(i64::MAX), Just(i64::MIN + 1)]
    }

    fn postings() -> impl Strategy<Value = Postings> {
        let edge = (0u32..40, time(), prop_oneof![0u32..60, any::<u32>()], [edge_value(), edge_value()]);
        (prop::collection::vec(edge, 1..BLOCK_EDGES), any::<bool>(), 0usize..3, 0u32..1_000_000).prop_map(
            |(mut edges, timed, columns, base)| {
                edges.iter_mut().for_each(|edge| edge.1 = if timed { edge.1 } else { NO_TIME });
                edges.sort_by_key(|&(near, time, far, _)| (near, time, far));
                Postings {
                    nears: edges.iter().map(|edge| base + edge.0).collect(),
                    fars: edges.iter().map(|edge| edge.2).collect(),
                    times: if edges.iter().any(|edge| edge.1 != NO_TIME) {
                        edges.iter().map(|edge| edge.1).collect()
                    } else {
                        Vec::new()
                    },
                    attributes: (0..columns).map(|column| edges.iter().map(|edge| edge.3[column]).collect()).collect(),
                }
            },
        )
    }

    proptest! {
        #[test]
        fn a_block_reads_back(postings in postings()) {
            let mut decoder = Decoder::default();
            // What the memory held before makes no difference.
            let _ = decoder.decode(3, &encoded(&postings)[1..]);
            prop_assert_eq!(decoder.decode(postings.nears[0], &encoded(&postings)).unwrap(), &postings);
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Decoder::default().decode(7, &bytes);
        }

        #[test]
        fn a_changed_byte_is_read_without_a_panic(postings in postings(), at in any::<prop::sample::Index>(), flip in 1u8..) {
            let mut bytes = encoded(&postings);
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            let _ = Decoder::default().decode(postings.nears[0], &bytes);
        }
    }
}
