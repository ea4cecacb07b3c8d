//! Programs under test: `relata-load`, and this test program itself as a user of the library, behind the preloaded shim.

use std::fs;
use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::content::Content;

/// Longer than any of the commands takes; what is not done by then hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// What happens at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It fails with this error number, and where `on` says so all after it too.
    Fail { errno: i32, on: bool },
    /// The process is killed before it.
    KillBefore,
    /// The process is killed after it.
    KillAfter,
    /// The process is killed half-way through it, where it is a write.
    KillTorn,
}

/// A program to run, and what is done to it.
pub struct Program {
    command: Command,
    /// The folder whose changes are looked at.
    root: PathBuf,
    report: PathBuf,
    kill_after: Option<Duration>,
}

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub stderr: String,
    /// How many calls it made that change files or sync them.
    pub calls: u64,
    /// The call that was acted on, and its path; empty if it came to none.
    pub acted_on: String,
    /// The last call that it made, and its path; empty if it made none.
    pub last: String,
    /// It took longer than anything may.
    pub hung: bool,
}

impl Ended {
    pub fn killed(&self) -> bool {
        self.status.signal() == Some(libc::SIGKILL) && !self.hung
    }
}

/// `relata-load run MANIFEST --store STORE`
pub fn load(manifest: &Path, store: &Path) -> Program {
    let mut command = Command::new(env!("CARGO_BIN_EXE_relata-load"));
    command.arg("run").arg(manifest).arg("--store").arg(store).arg("--quiet");
    Program::new(command, store)
}

/// This test program, as [`child`](crate::child) reads its arguments.
pub fn child(store: &Path, arguments: &[String]) -> Program {
    Program::new(own(store, arguments), store)
}

/// The command of that program, without the shim.
pub fn own(store: &Path, arguments: &[String]) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("a test program runs"));
    command.args(["--exact", crate::child::NAME, "--nocapture", "--test-threads=1"]);
    command.env(crate::child::VARIABLE, arguments.join("\t")).env(crate::child::STORE, store);
    command
}

impl Program {
    fn new(mut command: Command, root: &Path) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let report = std::env::temp_dir().join(format!("relata-fault-{}-{number}", std::process::id()));
        command.env("LD_PRELOAD", shim()).env("RELATA_FAULT_ROOT", root).env("RELATA_FAULT_REPORT", &report);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).env("RUST_BACKTRACE", "0");
        Self { command, root: root.to_owned(), report, kill_after: None }
    }

    /// Looks at the changes of another folder than the store.
    pub fn under(mut self, root: &Path) -> Self {
        self.command.env("RELATA_FAULT_ROOT", root);
        self
    }

    /// Acts on the call with this number, from 1.
    pub fn at(mut self, call: u64, action: Action) -> Self {
        let (name, errno) = match action {
            Action::Fail { errno, on: false } => ("fail", errno),
            Action::Fail { errno, on: true } => ("fail-on", errno),
            Action::KillBefore => ("kill-before", 0),
            Action::KillAfter => ("kill-after", 0),
            Action::KillTorn => ("kill-torn", 0),
        };
        self.command.env("RELATA_FAULT_AT", call.to_string()).env("RELATA_FAULT_ACTION", name);
        self.command.env("RELATA_FAULT_ERRNO", errno.to_string());
        self
    }

    /// Numbers only the calls whose path has one of these texts, which have bars between them.
    pub fn within(mut self, texts: &str) -> Self {
        self.command.env("RELATA_FAULT_WITHIN", texts);
        self
    }

    /// Appends a line about each call to a file.
    pub fn traced(mut self, trace: &Path) -> Self {
        self.command.env("RELATA_FAULT_TRACE", trace);
        self
    }

    /// Appends each call to a journal.
    pub fn journal(mut self, journal: &Path) -> Self {
        self.command.env("RELATA_FAULT_JOURNAL", journal);
        self
    }

    /// Leaves out what makes things durable, if so.
    pub fn without_syncs(mut self, left_out: bool) -> Self {
        if left_out {
            self.command.env("RELATA_FAULT_NO_SYNC", "1");
        }
        self
    }

    /// Kills the program from outside.
    pub fn kill_after(mut self, time: Duration) -> Self {
        self.kill_after = Some(time);
        self
    }

    /// Limits its address space, and does without the shim.
    pub fn limited(mut self, bytes: u64) -> Self {
        self.command.env_remove("LD_PRELOAD");
        let limit = move || {
            let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
            // SAFETY: plain calls of the kernel, as is allowed between fork and exec.
            if unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) } == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
        };
        // SAFETY: `limit` allocates nothing and takes no lock.
        unsafe { self.command.pre_exec(limit) };
        self
    }

    /// Runs it to its end.
    pub fn run(mut self) -> Ended {
        // The shim knows a folder by the path that the kernel gives it.
        let parent = self.root.parent().expect("a store has a folder");
        assert_eq!(parent.canonicalize().unwrap(), parent, "a path without links");
        let mut started = self.command.spawn().unwrap();
        let mut pipe = started.stderr.take().expect("it was asked for");
        let reader = std::thread::spawn(move || {
            let mut text = Vec::new();
            pipe.read_to_end(&mut text).unwrap();
            String::from_utf8_lossy(&text).into_owned()
        });
        let since = Instant::now();
        if let Some(time) = self.kill_after {
            std::thread::sleep(time);
            started.kill().unwrap();
        }
        let mut hung = false;
        let status = loop {
            if let Some(status) = started.try_wait().unwrap() {
                break status;
            }
            if since.elapsed() > PATIENCE {
                hung = true;
                started.kill().unwrap();
                break started.wait().unwrap();
            }
            std::thread::sleep(Duration::from_micros(300));
        };
        let report = fs::read(&self.report).unwrap_or_default();
        let _ = fs::remove_file(&self.report);
        let calls = report.first_chunk().map_or(0, |calls| u64::from_ne_bytes(*calls));
        // Where the shim has written them: see `shim/src/state.rs`.
        let line = |from: usize| {
            let line: Vec<u8> = report.iter().skip(from).copied().take_while(|&byte| byte != 0).collect();
            String::from_utf8_lossy(&line).into_owned()
        };
        let (acted_on, last) = (line(8), line(2048));
        Ended { status, stderr: reader.join().unwrap(), calls, acted_on, last, hung }
    }
}

/// A process that has opened the current snapshot of a store, and reads it again whenever it is asked.
pub struct Reader {
    process: Child,
    questions: Option<ChildStdin>,
    answers: Lines<BufReader<ChildStdout>>,
    /// What it read first: the snapshot's identity, a hash of the content, and `intact`.
    first: String,
}

impl Reader {
    pub fn of(store: &Path) -> Self {
        let mut command = own(store, &["hold".to_owned()]);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let answers = BufReader::new(process.stdout.take().expect("it was asked for")).lines();
        let questions = process.stdin.take();
        let mut reader = Self { process, questions, answers, first: String::new() };
        reader.first = reader.answer();
        reader
    }

    fn answer(&mut self) -> String {
        for line in self.answers.by_ref() {
            // The test harness may print before it on the same line.
            if let Some((_, answer)) = line.unwrap().split_once(crate::child::ANSWER) {
                return answer.to_owned();
            }
        }
        panic!("a reader ended")
    }

    /// The identity of the snapshot that it has.
    pub fn id(&self) -> &str {
        self.first.split(' ').next().expect("a text has a first word")
    }

    /// Whether it read this content first.
    pub fn has(&self, content: &Content) -> bool {
        self.first.ends_with(&format!(" {} intact", content.hash()))
    }

    /// Reads all of it again, which must be what it was.
    pub fn read(&mut self) -> Result<(), String> {
        self.questions.as_mut().expect("only `drop` takes it").write_all(b"again\n").unwrap();
        let again = self.answer();
        if again == self.first { Ok(()) } else { Err(format!("a reader had {}, and has {again}", self.first)) }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        drop(self.questions.take());
        self.process.wait().unwrap();
    }
}

/// The shared object that Cargo built beside this program.
fn shim() -> PathBuf {
    let path = std::env::current_exe().expect("a test program runs").with_file_name("librelata_fault_shim.so");
    assert!(path.exists(), "{}: Cargo builds it with the test", path.display());
    path
}
