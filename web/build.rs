//! Makes the page's files part of the program. Without a built page the list is empty, and the server says how to get it.

use std::{env, fs, path::PathBuf};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR for build scripts"));
    let text = "/// Path, media type and bytes of each file of the page.\n\
                pub static ASSETS: &[(&str, &str, &[u8])] = &[];\n\
                /// Whether the page was built.\n\
                pub const IS_BUILT: bool = false;\n";
    fs::write(out.join("page.rs"), text).expect("cargo's folder for build scripts can be written");
}
