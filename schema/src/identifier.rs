//! One identifier, several spellings.
//!
//! Sources: Ensembl stable ids (<https://www.ensembl.org/info/genome/stable_ids/>), OBO identifiers
//! (<https://obofoundry.org/id-policy>).

/// An Ensembl stable id without its version: `ENSG00000223972.6` is `ENSG00000223972`.
///
/// Anything else comes back as it is, so a symbol such as `AC012345.1` keeps its dot. GENCODE's
/// `_PAR_Y` copies keep their suffix, since they are other genes.
pub fn unversioned(id: &str) -> &str {
    let Some((stem, version)) = id.split_once('.') else { return id };
    let is_ensembl =
        stem.starts_with("ENS") && stem.len() >= 15 && stem.as_bytes()[stem.len() - 11..].iter().all(u8::is_ascii_digit);
    if is_ensembl && !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit()) { stem } else { id }
}

/// An ontology id with a colon: `CL_0000236`, `http://purl.obolibrary.org/obo/CL_0000236` and
/// `CL:0000236` are the same.
pub fn curie(id: &str) -> String {
    let id = id.strip_prefix("http://purl.obolibrary.org/obo/").unwrap_or(id);
    match id.split_once('_') {
        Some((prefix, local))
            if !prefix.is_empty()
                && prefix.bytes().all(|byte| byte.is_ascii_alphabetic())
                && !local.is_empty()
                && local.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            format!("{prefix}:{local}")
        }
        _ => id.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_dropped_from_ensembl_ids_only() {
        assert_eq!(unversioned("ENSG00000223972.6"), "ENSG00000223972");
        assert_eq!(unversioned("ENSMUSG00000051951.5"), "ENSMUSG00000051951");
        assert_eq!(unversioned("ENSG00000223972"), "ENSG00000223972");
        assert_eq!(unversioned("AC012345.1"), "AC012345.1");
        assert_eq!(unversioned("ENSG00000182378.15_PAR_Y"), "ENSG00000182378.15_PAR_Y");
    }

    #[test]
    fn ontology_ids_have_one_spelling() {
        for spelling in ["CL:0000236", "CL_0000236", "http://purl.obolibrary.org/obo/CL_0000236"] {
            assert_eq!(curie(spelling), "CL:0000236");
        }
        assert_eq!(curie("HLA_A"), "HLA_A");
        assert_eq!(curie("my_cell_type"), "my_cell_type");
    }
}
