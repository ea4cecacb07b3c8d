use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, BooleanArray, Float32Array, Float64Array, Int32Array, Int64Array, StringArray};
use arrow_schema::{DataType, TimeUnit};
use relata_schema::{Attribute, AttributeKind, Value};

use crate::ColumnSpec;
use crate::known::Known;
use crate::reference::value_of;

/// A day in nanoseconds.
const DAY: i64 = 86_400_000_000_000;

/// A part of a column, as what it can be read as.
pub(super) enum Column {
    /// Whole numbers; where `unsigned`, the bits are those of 64 bits without a sign.
    Integers {
        values: Int64Array,
        unsigned: bool,
    },
    Singles(Float32Array),
    Doubles(Float64Array),
    Booleans(BooleanArray),
    /// Texts, each as a place in `entries`.
    Texts {
        codes: Int32Array,
        entries: StringArray,
    },
    /// Times since 1970, in steps of so many nanoseconds.
    Moments {
        values: Int64Array,
        step: i64,
    },
    /// Lists of numbers: row by row, those from one offset to the next.
    Lists {
        offsets: Vec<usize>,
        numbers: Box<Column>,
        rows: ArrayRef,
    },
}

/// The numbers that stand for a column's values: integers themselves, or places in the texts.
#[derive(Clone, Copy)]
pub(super) enum Codes<'c> {
    Integers(&'c [i64]),
    Entries(&'c [i32]),
}

impl Codes<'_> {
    pub fn at(&self, row: usize) -> i64 {
        match self {
            Self::Integers(values) => values[row],
            Self::Entries(places) => i64::from(places[row]),
        }
    }

    /// Looks all of them up; says whether each has a number, which `numbers` then holds.
    pub fn are_known(&self, known: &Known, numbers: &mut Vec<u32>) -> bool {
        match self {
            Self::Integers(values) => known.all(values.iter().copied(), numbers),
            Self::Entries(places) => known.all(places.iter().map(|&place| i64::from(place)), numbers),
        }
    }
}

/// The dictionary of a column of texts: its places mean the same as long as it is the same memory.
#[derive(Default)]
pub(super) struct Entries(Option<StringArray>);

impl Entries {
    /// Whether the places of this part of the column have another dictionary than those of the part before.
    pub fn changes_with(&mut self, column: &Column) -> bool {
        let Column::Texts { entries, .. } = column else { return false };
        let is_same = |known: &StringArray| {
            known.len() == entries.len()
                && known.value_offsets().as_ptr() == entries.value_offsets().as_ptr()
                && known.value_data().as_ptr() == entries.value_data().as_ptr()
        };
        let changes = !self.0.as_ref().is_some_and(is_same);
        // Kept, so that no other dictionary takes its memory.
        self.0 = Some(entries.clone());
        changes
    }
}

impl Column {
    /// # Errors
    /// For a type that [`fits`] takes for nothing.
    pub fn of(array: &dyn Array) -> Result<Self, String> {
        macro_rules! integers {
            ($kind:ty) => {
                Self::Integers { values: array.as_primitive::<$kind>().unary::<_, Int64Type>(i64::from), unsigned: false }
            };
        }
        macro_rules! moments {
            ($kind:ty, $step:expr) => {
                Self::Moments { values: array.as_primitive::<$kind>().reinterpret_cast::<Int64Type>(), step: $step }
            };
        }
        Ok(match array.data_type() {
            DataType::Int8 => integers!(Int8Type),
            DataType::Int16 => integers!(Int16Type),
            DataType::Int32 => integers!(Int32Type),
            DataType::UInt8 => integers!(UInt8Type),
            DataType::UInt16 => integers!(UInt16Type),
            DataType::UInt32 => integers!(UInt32Type),
            DataType::Int64 => Self::Integers { values: array.as_primitive().clone(), unsigned: false },
            DataType::UInt64 => Self::Integers {
                values: array.as_primitive::<UInt64Type>().unary::<_, Int64Type>(|value| value as i64),
                unsigned: true,
            },
            DataType::Float16 => Self::Singles(array.as_primitive::<Float16Type>().unary::<_, Float32Type>(f32::from)),
            DataType::Float32 => Self::Singles(array.as_primitive::<Float32Type>().clone()),
            DataType::Float64 => Self::Doubles(array.as_primitive::<Float64Type>().clone()),
            DataType::Boolean => Self::Booleans(array.as_boolean().clone()),
            DataType::Dictionary(_, _) => {
                let texts = array.as_dictionary::<Int32Type>();
                Self::Texts { codes: texts.keys().clone(), entries: texts.values().as_string::<i32>().clone() }
            }
            DataType::Date32 => {
                Self::Moments { values: array.as_primitive::<Date32Type>().unary::<_, Int64Type>(i64::from), step: DAY }
            }
            DataType::Timestamp(TimeUnit::Second, _) => moments!(TimestampSecondType, 1_000_000_000),
            DataType::Timestamp(TimeUnit::Millisecond, _) => moments!(TimestampMillisecondType, 1_000_000),
            DataType::Timestamp(TimeUnit::Microsecond, _) => moments!(TimestampMicrosecondType, 1000),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => moments!(TimestampNanosecondType, 1),
            DataType::List(_) => {
                let lists = array.as_list::<i32>();
                let offsets = lists.value_offsets().iter().map(|&offset| offset as usize).collect();
                Self::Lists { offsets, numbers: Box::new(Self::of(lists.values())?), rows: Arc::new(lists.clone()) }
            }
            other => return Err(format!("the type {other} is not read")),
        })
    }

    fn rows(&self) -> &dyn Array {
        match self {
            Self::Integers { values, .. } | Self::Moments { values, .. } => values,
            Self::Singles(values) => values,
            Self::Doubles(values) => values,
            Self::Booleans(values) => values,
            Self::Texts { codes, .. } => codes,
            Self::Lists { rows, .. } => rows,
        }
    }

    pub fn is_missing(&self, row: usize) -> bool {
        self.rows().is_null(row)
    }

    pub fn has_missing(&self) -> bool {
        self.rows().null_count() > 0
    }

    /// The numbers that stand for its values, if there are such.
    pub fn codes(&self) -> Option<Codes<'_>> {
        match self {
            Self::Integers { values, .. } => Some(Codes::Integers(values.values())),
            Self::Texts { codes, .. } => Some(Codes::Entries(codes.values())),
            _ => None,
        }
    }

    /// The text of a row, empty where it is missing: a whole number in decimal digits, `true` or `false`.
    pub fn text(&self, row: usize) -> Cow<'_, str> {
        if self.is_missing(row) {
            return Cow::Borrowed("");
        }
        match self {
            Self::Texts { codes, entries } => match codes.value(row) as usize {
                entry if entries.is_valid(entry) => Cow::Borrowed(entries.value(entry)),
                _ => Cow::Borrowed(""),
            },
            Self::Integers { values, unsigned: true } => Cow::Owned((values.value(row) as u64).to_string()),
            Self::Integers { values, unsigned: false } => Cow::Owned(values.value(row).to_string()),
            Self::Booleans(values) => Cow::Borrowed(if values.value(row) { "true" } else { "false" }),
            Self::Singles(_) | Self::Doubles(_) | Self::Moments { .. } | Self::Lists { .. } => Cow::Borrowed(""),
        }
    }

    /// The value of a row, of an attribute that the column [`fits`].
    ///
    /// # Errors
    /// What was found and what was expected.
    pub fn value(&self, row: usize, spec: &ColumnSpec, attribute: &Attribute) -> Result<Option<Value>, String> {
        let kind = attribute.kind;
        if self.is_missing(row) {
            return Ok(None);
        }
        if let Self::Texts { codes, entries } = self
            && spec.exact
        {
            let entry = codes.value(row) as usize;
            return entries.is_valid(entry).then(|| Value::of_text(entries.value(entry), kind)).transpose();
        }
        if matches!(self, Self::Texts { .. }) || acts_on_text(spec) {
            return value_of(crate::rows::present(&self.text(row)), spec, kind);
        }
        Ok(match kind {
            AttributeKind::Number => self.real(row)?.map(Value::Number),
            AttributeKind::Count => self.count(row)?.map(Value::Count),
            AttributeKind::Boolean => self.truth(row)?.map(Value::Boolean),
            AttributeKind::Category => Some(Value::Category(self.text(row).into_owned())),
            AttributeKind::Text => Some(Value::Text(self.text(row).into_owned())),
            AttributeKind::Time => self.time(row, nanoseconds(attribute))?.map(Value::Time),
            AttributeKind::Vector(dimension) => Some(Value::Vector(self.vector(row, dimension)?)),
            AttributeKind::Interval | AttributeKind::Sequence => None,
        })
    }

    /// The value of a row of an edge: a number, a count, or 0 and 1 of a boolean; NaN is missing.
    ///
    /// # Errors
    /// What was found and what was expected.
    pub fn number(&self, row: usize, spec: &ColumnSpec, attribute: &Attribute) -> Result<f32, String> {
        if self.is_missing(row) {
            return Ok(f32::NAN);
        }
        if matches!(self, Self::Texts { .. }) || acts_on_text(spec) {
            return match self.value(row, spec, attribute)? {
                Some(Value::Number(number)) => single(number),
                Some(Value::Count(count)) => Ok(count as f32),
                Some(Value::Boolean(truth)) => Ok(f32::from(u8::from(truth))),
                _ => Ok(f32::NAN),
            };
        }
        match attribute.kind {
            AttributeKind::Number => self.real(row)?.map_or(Ok(f32::NAN), single),
            AttributeKind::Count => Ok(self.count(row)?.map_or(f32::NAN, |count| count as f32)),
            _ => Ok(self.truth(row)?.map_or(f32::NAN, |truth| f32::from(u8::from(truth)))),
        }
    }

    /// The time of a row, in steps of `unit` nanoseconds. Whole numbers are taken as they are.
    ///
    /// # Errors
    /// For what 64 bits do not hold.
    pub fn time(&self, row: usize, unit: Option<i64>) -> Result<Option<i64>, String> {
        let wrong = |found: &dyn std::fmt::Display| {
            Err(format!("found {found}, expected a time above the lowest of 64 bits in the attribute's unit"))
        };
        let time = match (self, unit) {
            (Self::Integers { values, unsigned: true }, _) if values.value(row) < 0 => return wrong(&(values.value(row) as u64)),
            (Self::Integers { values, .. }, _) => Some(values.value(row)),
            // Each of these units is a multiple of those below it. What is between two steps belongs to the earlier one.
            (Self::Moments { values, step }, Some(unit)) if *step < unit => Some(values.value(row).div_euclid(unit / step)),
            (Self::Moments { values, step }, Some(unit)) => values.value(row).checked_mul(step / unit),
            _ => return Ok(None),
        };
        match time {
            Some(i64::MIN) => wrong(&i64::MIN),
            Some(time) => Ok(Some(time)),
            None => wrong(&self.rows().data_type()),
        }
    }

    fn real(&self, row: usize) -> Result<Option<f64>, String> {
        let number = match self {
            Self::Singles(values) => f64::from(values.value(row)),
            Self::Doubles(values) => values.value(row),
            Self::Integers { values, unsigned: true } => values.value(row) as u64 as f64,
            Self::Integers { values, .. } => values.value(row) as f64,
            _ => return Ok(None),
        };
        match number {
            number if number.is_infinite() => Err(format!("found {number}, expected a finite number")),
            number => Ok(Some(number).filter(|number| !number.is_nan())),
        }
    }

    fn count(&self, row: usize) -> Result<Option<u64>, String> {
        let wrong = |found: &dyn std::fmt::Display| Err(format!("found {found}, expected a non-negative whole number"));
        match self {
            Self::Integers { values, unsigned } => match values.value(row) {
                count if count < 0 && !unsigned => wrong(&count),
                count => Ok(Some(count as u64)),
            },
            _ => match self.real(row)? {
                None => Ok(None),
                // The bound up to which `Value::parse` takes a count that is written as a real number.
                Some(count) if count >= 0.0 && count.fract() == 0.0 && count < 9.0e15 => Ok(Some(count as u64)),
                Some(count) => wrong(&count),
            },
        }
    }

    fn truth(&self, row: usize) -> Result<Option<bool>, String> {
        match self {
            Self::Booleans(values) => Ok(Some(values.value(row))),
            Self::Integers { values, .. } => match values.value(row) {
                0 => Ok(Some(false)),
                1 => Ok(Some(true)),
                other => Err(format!("found {other}, expected true or false, or 1 or 0")),
            },
            _ => Ok(None),
        }
    }

    fn vector(&self, row: usize, dimension: u32) -> Result<Vec<f32>, String> {
        let Self::Lists { offsets, numbers, .. } = self else { return Err("found no list".to_owned()) };
        let range = offsets[row]..offsets[row + 1];
        if range.len() != dimension as usize {
            return Err(format!("found {} numbers, expected {dimension}", range.len()));
        }
        let element = |at: usize| match numbers.is_missing(at) {
            true => Err("found a list with a null in it, expected numbers; a missing vector is null as a whole".to_owned()),
            false => match numbers.real(at)? {
                Some(number) => single(number),
                None => Err("found a list with NaN in it, expected finite numbers; a missing vector is null".to_owned()),
            },
        };
        range.map(element).collect()
    }
}

fn single(number: f64) -> Result<f32, String> {
    match number as f32 {
        single if single.is_infinite() => Err(format!("found {number}, expected a finite number that 32 bits hold")),
        single => Ok(single),
    }
}

/// Whether a column's settings speak of its text.
pub(super) fn acts_on_text(spec: &ColumnSpec) -> bool {
    spec.split.is_some() || spec.prefix.is_some() || !spec.map.is_empty()
}

/// The unit of a time attribute in nanoseconds, where it has one that is a length of time.
pub(super) fn nanoseconds(attribute: &Attribute) -> Option<i64> {
    Some(match attribute.unit.as_deref()? {
        "ns" => 1,
        "us" | "µs" => 1000,
        "ms" => 1_000_000,
        "s" | "seconds" => 1_000_000_000,
        "min" | "minutes" => 60_000_000_000,
        "h" | "hours" => 3_600_000_000_000,
        "d" | "days" => DAY,
        _ => return None,
    })
}

/// What a source's settings take a column for.
#[derive(Clone, Copy)]
pub(super) enum Purpose<'a> {
    /// It names nodes, or parts of an interval.
    Name,
    /// It holds an attribute.
    Attribute(&'a Attribute),
}

/// Whether a type can be read for a purpose; else what would do.
///
/// # Errors
/// The types, or the setting of the schema, that would do.
pub(super) fn fits(data_type: &DataType, spec: &ColumnSpec, purpose: Purpose<'_>) -> Result<(), String> {
    let is_text = matches!(data_type, DataType::Utf8 | DataType::Dictionary(_, _));
    let is_moment = matches!(data_type, DataType::Date32 | DataType::Timestamp(_, _));
    let is_boolean = *data_type == DataType::Boolean;
    let is_number = data_type.is_integer() || data_type.is_floating();
    let is_vector =
        matches!(data_type, DataType::List(element) if element.data_type().is_integer() || element.data_type().is_floating());
    let expect = |fits: bool, expected: &str| if fits { Ok(()) } else { Err(format!("expected {expected}")) };
    let attribute = match purpose {
        Purpose::Name => return expect(is_text || data_type.is_integer(), "strings or integers to name nodes by"),
        Purpose::Attribute(attribute) => attribute,
    };
    if acts_on_text(spec) {
        let expected = "strings, integers or booleans, since `split`, `prefix` and `map` act on texts";
        return expect(is_text || is_boolean || data_type.is_integer(), expected);
    }
    match attribute.kind {
        _ if is_text => Ok(()),
        AttributeKind::Number | AttributeKind::Count => expect(is_number, "integers, floating-point numbers or strings"),
        AttributeKind::Category | AttributeKind::Text => {
            expect(is_boolean || data_type.is_integer(), "strings, integers or booleans")
        }
        AttributeKind::Boolean => expect(is_boolean || data_type.is_integer(), "booleans, or integers that are 0 or 1"),
        AttributeKind::Time if is_moment && nanoseconds(attribute).is_none() => {
            let unit = attribute.unit.as_deref().map_or("none".to_owned(), |unit| format!("`{unit}`"));
            let units = "`ns`, `us`, `ms`, `s`, `min`, `h` or `d`";
            Err(format!("expected integers in the attribute's unit (it has {unit}); or give it one in the schema: {units}"))
        }
        AttributeKind::Time => expect(is_moment || data_type.is_integer(), "a date, a timestamp or integers"),
        AttributeKind::Vector(dimension) => expect(is_vector, &format!("lists of {dimension} numbers")),
        AttributeKind::Interval => expect(false, "strings such as `chr1:999-2000`, or columns for `contig`, `start` and `end`"),
        AttributeKind::Sequence => expect(false, "strings"),
    }
}
