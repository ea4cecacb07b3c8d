use hdf5_reader::error::Error;
use hdf5_reader::{ByteOrder, Datatype, H5Type};

/// Any number of an HDF5 file (integers and floats of 1 to 8 bytes, booleans as h5py's enumerations) as an `f64`.
///
/// Integers beyond 2⁵³ lose their last digits; no count or index of AnnData comes near.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Real(pub f64);

impl H5Type for Real {
    fn hdf5_type() -> Datatype {
        Datatype::FloatingPoint { size: 8, byte_order: ByteOrder::LittleEndian }
    }

    fn from_bytes(bytes: &[u8], dtype: &Datatype) -> Result<Self, Error> {
        decode(bytes, dtype)
            .map(Self)
            .ok_or_else(|| Error::TypeMismatch { expected: "a number".to_owned(), actual: format!("{dtype:?}") })
    }

    fn element_size(dtype: &Datatype) -> usize {
        match dtype {
            Datatype::FixedPoint { size, .. } | Datatype::FloatingPoint { size, .. } => usize::from(*size),
            Datatype::Enum { base, .. } => Self::element_size(base),
            _ => 8,
        }
    }
}

fn decode(bytes: &[u8], dtype: &Datatype) -> Option<f64> {
    match dtype {
        Datatype::Enum { base, .. } => decode(bytes, base),
        Datatype::FixedPoint { size, signed, byte_order } => {
            let word = word(bytes, usize::from(*size), *byte_order)?;
            let unused = 64 - 8 * u32::from(*size);
            Some(if *signed { ((word << unused) as i64 >> unused) as f64 } else { word as f64 })
        }
        Datatype::FloatingPoint { size, byte_order } => {
            let word = word(bytes, usize::from(*size), *byte_order)?;
            match size {
                4 => Some(f64::from(f32::from_bits(word as u32))),
                8 => Some(f64::from_bits(word)),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The first `size` bytes as a number, whatever their order.
fn word(bytes: &[u8], size: usize, order: ByteOrder) -> Option<u64> {
    let bytes = bytes.get(..size).filter(|_| (1..=8).contains(&size))?;
    let add = |word: u64, byte: &u8| word << 8 | u64::from(*byte);
    Some(match order {
        ByteOrder::LittleEndian => bytes.iter().rev().fold(0, add),
        ByteOrder::BigEndian => bytes.iter().fold(0, add),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_width_sign_and_order_are_decoded() {
        let fixed = |size, signed, byte_order| Datatype::FixedPoint { size, signed, byte_order };
        let (little, big) = (ByteOrder::LittleEndian, ByteOrder::BigEndian);
        assert_eq!(decode(&[0xff], &fixed(1, true, little)), Some(-1.0));
        assert_eq!(decode(&[0xff], &fixed(1, false, little)), Some(255.0));
        assert_eq!(decode(&[0x01, 0x02], &fixed(2, true, little)), Some(513.0));
        assert_eq!(decode(&[0x01, 0x02], &fixed(2, true, big)), Some(258.0));
        assert_eq!(decode(&(-7_i64).to_be_bytes(), &fixed(8, true, big)), Some(-7.0));
        assert_eq!(decode(&1.5_f32.to_le_bytes(), &Datatype::FloatingPoint { size: 4, byte_order: little }), Some(1.5));
        assert_eq!(decode(&[0x01], &fixed(2, true, little)), None);
    }
}
