//! Bars for work that takes long: what, how far, how fast, how long still.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar on the standard error, or none where that is no terminal or `quiet` is set.
///
/// `unit` stands behind the rate: "cells", "tokens". A total of 0 means that it is not known.
pub fn bar(what: &str, total: u64, unit: &str, quiet: bool) -> ProgressBar {
    let known = if total > 0 { " {bar:24} {percent:>3}%" } else { " {spinner}" };
    let left = if total > 0 { ", {eta} left" } else { "" };
    let template = format!("{{prefix:24!}}{known} {{human_pos}} {unit} ({{per_sec}}{left}) {{wide_msg}}");
    styled(what, total, &template, quiet)
}

/// How long a bar of [`share`] is.
pub const WHOLE: u64 = 1000;

/// A bar over a share of [`WHOLE`], for work whose rate and time left stand in its message.
pub fn share(what: &str, quiet: bool) -> ProgressBar {
    styled(what, WHOLE, "{prefix:24!} {bar:24} {percent:>3}% {wide_msg}", quiet)
}

/// As a message has it: `1:02:03`, or `2:03` below an hour.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds / 3600 {
        0 => format!("{}:{:02}", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60),
    }
}

/// A bar over bytes of a file.
pub fn bytes(what: &str, total: u64, quiet: bool) -> ProgressBar {
    let template = "{prefix:24!} {bar:24} {percent:>3}% {binary_bytes} ({binary_bytes_per_sec}, {eta} left) {wide_msg}";
    styled(what, total, template, quiet)
}

/// Lets the process end, as other programs do, when what reads its output has closed it (`relata info | head`). Rust's
/// own way is an error at the next line that is printed, and so a panic. Call it first in `main`; not in a server, which
/// goes on when a peer is gone.
pub fn end_with_reader() {
    #[cfg(unix)]
    // SAFETY: SIG_DFL is a valid disposition of SIGPIPE, and no thread runs yet that could rely on another.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
    }
}

fn styled(what: &str, total: u64, template: &str, quiet: bool) -> ProgressBar {
    let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr_with_hz(10) };
    let bar = ProgressBar::with_draw_target((total > 0).then_some(total), target);
    let style = ProgressStyle::with_template(template).expect("the templates are constants, and a test makes one of each");
    bar.set_style(style.progress_chars("━━─"));
    bar.set_prefix(what.to_owned());
    if !quiet {
        bar.enable_steady_tick(Duration::from_millis(200));
    }
    bar
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_template_is_valid() {
        let bars = [super::bar("a", 10, "cells", true), super::bar("a", 0, "cells", true), super::bytes("a", 10, true)];
        for bar in bars.into_iter().chain([super::share("a", true)]) {
            bar.inc(1);
            bar.finish();
        }
    }

    #[test]
    fn durations_are_short() {
        let shown = [0, 9, 75, 3599, 3600, 90_061].map(|seconds| super::duration(std::time::Duration::from_secs(seconds)));
        assert_eq!(shown, ["0:00", "0:09", "1:15", "59:59", "1:00:00", "25:01:01"]);
    }
}
