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

use super::bytes::{Malformed, Reader, put_packed, put_varint};

/// The most edges in one block: about 4 KiB where an edge takes 8 bytes, and a microsecond or two to decode.
pub(super) const BLOCK_EDGES: usize = 512;

/// The time of an edge that has none.
pub(super) const NO_TIME: i64 = i64::MIN;

/// An attribute's 32 bits where it is missing; as a number it would be a NaN, which no edge carries.
pub(super) const MISSING: u32 = u32::MAX;

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

    /// The bytes of the block whose key has the first of the near nodes.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.len() * 8);
        let (mut gaps, mut lengths) = (Vec::new(), Vec::new());
        let mut before = self.nears.first().copied().unwrap_or(0);
        for list in self.nears.chunk_by(|a, b| a == b) {
            gaps.push(u64::from(list[0] - before));
            lengths.push(list.len() as u64);
            before = list[0];
        }
        put_varint(&mut out, self.len() as u64);
        put_varint(&mut out, lengths.len() as u64);
        put_packed(&mut out, &gaps);
        put_packed(&mut out, &lengths);
        let with_times = self.times.iter().any(|&time| time != NO_TIME);
        out.push(u8::from(with_times));
        if with_times {
            let base = self.times.iter().copied().filter(|&time| time != NO_TIME).min().unwrap_or(0);
            put_varint(&mut out, zigzag(base));
            // No code overflows: `NO_TIME` is not among the others, so their span is at most 2^64 - 2.
            let code = |&time: &i64| if time == NO_TIME { 0 } else { (time.wrapping_sub(base) as u64) + 1 };
            put_series(&mut out, &self.times.iter().map(code).collect::<Vec<_>>(), &lengths);
        }
        put_series(&mut out, &self.fars.iter().map(|&far| u64::from(far)).collect::<Vec<_>>(), &lengths);
        put_varint(&mut out, self.attributes.len() as u64);
        for column in &self.attributes {
            put_column(&mut out, column);
        }
        out
    }

    /// Reads a block back; `first` is the near node of its key.
    pub(super) fn decode(first: u32, payload: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let edges = reader.count(BLOCK_EDGES)?;
        let lists = reader.count(edges)?;
        let gaps = reader.packed(lists)?;
        let lengths = reader.packed(lists)?;
        let mut nears = Vec::with_capacity(edges);
        let mut near = u64::from(first);
        for (&gap, &length) in gaps.iter().zip(&lengths) {
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
        let times = match reader.byte()? {
            0 => Vec::new(),
            1 => {
                let base = unzigzag(reader.varint()?);
                let time = |code: u64| if code == 0 { NO_TIME } else { base.wrapping_add((code - 1) as i64) };
                series(&mut reader, &lengths, edges)?.into_iter().map(time).collect()
            }
            _ => return Err(Malformed("an unknown code of the times")),
        };
        let node = |far| u32::try_from(far).map_err(|_| Malformed("a far node is above 32 bits"));
        let fars = series(&mut reader, &lengths, edges)?.into_iter().map(node).collect::<Result<_, _>>()?;
        let columns = reader.count(usize::from(u16::MAX))?;
        let attributes = (0..columns).map(|_| column(&mut reader, edges)).collect::<Result<_, _>>()?;
        if !reader.is_at_end() {
            return Err(Malformed("bytes follow its end"));
        }
        Ok(Self { nears, fars, times, attributes })
    }
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

fn put_series(out: &mut Vec<u8>, values: &[u64], lengths: &[u64]) {
    let (mut firsts, mut gaps) = (Vec::with_capacity(lengths.len()), Vec::with_capacity(values.len()));
    let mut rest = values;
    let mut ascending = true;
    for &length in lengths {
        let (list, behind) = rest.split_at(length as usize);
        ascending &= list.is_sorted();
        firsts.extend(list.first());
        gaps.extend(list.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])));
        rest = behind;
    }
    let mut plain = Vec::new();
    put_packed(&mut plain, values);
    if ascending {
        let mut delta = Vec::new();
        put_packed(&mut delta, &firsts);
        put_packed(&mut delta, &gaps);
        if delta.len() < plain.len() {
            out.push(1);
            out.extend(delta);
            return;
        }
    }
    out.push(0);
    out.extend(plain);
}

fn series(reader: &mut Reader<'_>, lengths: &[u64], edges: usize) -> Result<Vec<u64>, Malformed> {
    match reader.byte()? {
        0 => reader.packed(edges),
        1 => {
            let firsts = reader.packed(lengths.len())?;
            let gaps = reader.packed(edges - lengths.len())?;
            let mut gaps = gaps.into_iter();
            let mut values = Vec::with_capacity(edges);
            for (&first, &length) in firsts.iter().zip(lengths) {
                let mut value = first;
                values.push(value);
                for gap in gaps.by_ref().take(length as usize - 1) {
                    value = value.wrapping_add(gap);
                    values.push(value);
                }
            }
            Ok(values)
        }
        _ => Err(Malformed("an unknown code of a series")),
    }
}

/// Appends a column of 32-bit values: a tag and
/// * 0: one value for all, a varint;
/// * 1: `packed`, of the value plus 1, with 0 for missing;
/// * 2: an exponent e in a byte, a zigzag varint base, and `packed` codes c: missing where 0, else the float nearest to
///   (base + c − 1) / 10^e. Whole numbers are the case e = 0. (The idea of ALP, Afroozeh et al., SIGMOD 2023: decimals that
///   people wrote come back bit for bit.)
/// * 3: a number d of distinct values and these as `packed`, and `packed` places among them.
fn put_column(out: &mut Vec<u8>, values: &[u32]) {
    let Some(&first) = values.first() else { return };
    if values.iter().all(|&value| value == first) {
        out.push(0);
        return put_varint(out, u64::from(first));
    }
    let code = |&value: &u32| if value == MISSING { 0 } else { u64::from(value) + 1 };
    // Category codes are small; so small a number of bits is no normal float but 0.
    if values.iter().all(|&value| value == MISSING || value < 1 << 20)
        && values.iter().any(|&value| value != MISSING && value != 0)
    {
        out.push(1);
        return put_packed(out, &values.iter().map(code).collect::<Vec<_>>());
    }
    for (exponent, scale) in [1.0f64, 10.0, 100.0, 1e3, 1e4].into_iter().enumerate() {
        if let Some(decimals) = values.iter().map(|&value| decimal(value, scale)).collect::<Option<Vec<Option<i32>>>>() {
            let base = decimals.iter().flatten().copied().min().unwrap_or(0);
            out.push(2);
            out.push(exponent as u8);
            put_varint(out, zigzag(i64::from(base)));
            let code = |decimal: &Option<i32>| decimal.map_or(0, |decimal| (i64::from(decimal) - i64::from(base) + 1) as u64);
            return put_packed(out, &decimals.iter().map(code).collect::<Vec<_>>());
        }
    }
    let mut distinct = values.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() * 4 <= values.len() {
        out.push(3);
        put_varint(out, distinct.len() as u64);
        put_packed(out, &distinct.iter().map(|&value| u64::from(value)).collect::<Vec<_>>());
        let place = |value| distinct.binary_search(value).expect("the distinct values come from these") as u64;
        return put_packed(out, &values.iter().map(place).collect::<Vec<_>>());
    }
    out.push(1);
    put_packed(out, &values.iter().map(code).collect::<Vec<_>>());
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

fn column(reader: &mut Reader<'_>, edges: usize) -> Result<Vec<u32>, Malformed> {
    if edges == 0 {
        return Ok(Vec::new());
    }
    let narrow = |value: u64| u32::try_from(value).map_err(|_| Malformed("a value is above 32 bits"));
    let from_code = |code: u64| if code == 0 { Ok(MISSING) } else { narrow(code - 1) };
    match reader.byte()? {
        0 => Ok(vec![narrow(reader.varint()?)?; edges]),
        1 => reader.packed(edges)?.into_iter().map(from_code).collect(),
        2 => {
            let scale = match reader.byte()? {
                exponent @ 0..=4 => 10f64.powi(i32::from(exponent)),
                _ => return Err(Malformed("an unknown exponent")),
            };
            let base = unzigzag(reader.varint()?);
            let float = |code: u64| ((base.wrapping_add((code - 1) as i64) as f64 / scale) as f32).to_bits();
            Ok(reader.packed(edges)?.into_iter().map(|code| if code == 0 { MISSING } else { float(code) }).collect())
        }
        3 => {
            let count = reader.count(edges)?;
            let distinct = reader.packed(count)?;
            let value = |place: u64| {
                let value = usize::try_from(place).ok().and_then(|place| distinct.get(place));
                narrow(*value.ok_or(Malformed("a place lies outside its dictionary"))?)
            };
            reader.packed(edges)?.into_iter().map(value).collect()
        }
        _ => Err(Malformed("an unknown code of a column")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn floats(values: &[f32]) -> Vec<u32> {
        values.iter().map(|value| value.to_bits()).collect()
    }

    fn column_bytes(values: &[u32]) -> usize {
        let mut out = Vec::new();
        put_column(&mut out, values);
        let mut reader = Reader::new(&out);
        assert_eq!(column(&mut reader, values.len()).unwrap(), values);
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
            prop_assert_eq!(Postings::decode(postings.nears[0], &postings.encode()).unwrap(), postings);
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Postings::decode(7, &bytes);
        }

        #[test]
        fn a_changed_byte_is_read_without_a_panic(postings in postings(), at in any::<prop::sample::Index>(), flip in 1u8..) {
            let mut bytes = postings.encode();
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            let _ = Postings::decode(postings.nears[0], &bytes);
        }
    }
}
