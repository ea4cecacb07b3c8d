//! Numbers in JSON as the bits that they are made of, for those that need not be finite, or must come back to the last bit.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// For `serde(with)`: one number.
pub(crate) mod number {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(number: &f32, serializer: S) -> Result<S::Ok, S::Error> {
        number.to_bits().serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f32, D::Error> {
        u32::deserialize(deserializer).map(f32::from_bits)
    }
}

/// For `serde(with)`: one of 64 bits, which as a text would not come back to the last of them.
pub(crate) mod precise {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        number.to_bits().serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        u64::deserialize(deserializer).map(f64::from_bits)
    }
}

/// For `serde(with)`: several, by the column that they are of.
pub(crate) mod by_column {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(numbers: &[(u16, Vec<f32>)], serializer: S) -> Result<S::Ok, S::Error> {
        let bits = |(column, numbers): &(u16, Vec<f32>)| (*column, numbers.iter().map(|number| number.to_bits()).collect());
        numbers.iter().map(bits).collect::<Vec<(u16, Vec<u32>)>>().serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(u16, Vec<f32>)>, D::Error> {
        let bits = Vec::<(u16, Vec<u32>)>::deserialize(deserializer)?;
        let number = |(column, bits): (u16, Vec<u32>)| (column, bits.into_iter().map(f32::from_bits).collect());
        Ok(bits.into_iter().map(number).collect())
    }
}
