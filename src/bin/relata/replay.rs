use std::path::PathBuf;

use relata::train::{Looked, Replay};

use crate::info::{drawn, grouped};

/// Look again at the batch at which a run's loss stopped being a number.
#[derive(clap::Args)]
pub struct Args {
    /// The run's folder
    run: PathBuf,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
}

impl Args {
    pub fn run(self) -> anyhow::Result<()> {
        let replay = Replay::of(&self.run)?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&replay)?);
            return Ok(());
        }
        println!("{}", replay.failed);
        println!("{}, asked of {}", replay.objective, replay.rows.join(", "));
        println!("the sum of the losses is now {}\n", replay.loss);
        for (what, looked) in [("values", &replay.values), ("states behind", &replay.layers), ("gradients", &replay.gradients)] {
            print(what, looked);
        }
        match replay.values.iter().chain(&replay.layers).chain(&replay.gradients).find(|looked| looked.not_finite > 0) {
            Some(first) => println!("What is no finite number begins at: {}", first.name),
            None => println!("All numbers are finite now."),
        }
        Ok(())
    }
}

fn print(what: &str, looked: &[Looked]) {
    let mut table = drawn(&[what, "numbers", "not finite", "largest"], &[1, 2, 3]);
    for looked in looked {
        let (count, not_finite) = (grouped(looked.count as u64), grouped(looked.not_finite as u64));
        table.add_row([looked.name.clone(), count, not_finite, format!("{:.3e}", looked.largest)]);
    }
    println!("{table}");
}
