use std::fs;
use std::path::PathBuf;

use relata::train::metrics;
use relata::train::plot::{Drawn, svg};

use crate::runs::Goal;

/// Draw the curves of runs: loss, scores, learning rate, speed.
#[derive(clap::Args)]
pub struct Args {
    /// The runs' folders
    #[arg(required = true)]
    runs: Vec<PathBuf>,
    /// The picture, an SVG [default: curves.svg, in the run's folder if it is one]
    #[arg(long)]
    out: Option<PathBuf>,
}

impl Args {
    pub fn run(self) -> anyhow::Result<()> {
        let mut runs = Vec::new();
        for run in &self.runs {
            // `.` and `..` have a name only as what they stand for.
            let named = run.file_name().is_none().then(|| run.canonicalize().ok()).flatten().unwrap_or_else(|| run.clone());
            let is_alone = self.runs.iter().filter(|other| other.file_name() == run.file_name()).count() == 1;
            let name = named.file_name().filter(|_| is_alone).unwrap_or(named.as_os_str());
            runs.push(Drawn { name: name.display().to_string(), target: Goal::of(run).target, lines: metrics::read(run)? });
        }
        let picture = svg(&runs)?;
        let out = self.out.unwrap_or_else(|| match self.runs.as_slice() {
            [run] => run.join("curves.svg"),
            _ => PathBuf::from("curves.svg"),
        });
        fs::write(&out, picture).map_err(relata::Error::io(&out, "cannot write the picture"))?;
        println!("{}", out.display());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::parsed;

    const EPOCH: &str = "{\"kind\":\"epoch\",\"member\":0,\"phase\":\"train\",\"epoch\":0,\"loss\":1.25,\"learning_rate\":0.001,\
                         \"tokens_per_second\":1000.0,\"waiting\":0.0,\"seconds\":4.25}\n";

    #[test]
    fn pictures_are_written_where_asked() {
        let folder = tempfile::tempdir().unwrap();
        let run = |name: &str| {
            let run = folder.path().join(name);
            fs::create_dir_all(&run).unwrap();
            fs::write(run.join("task.toml"), "[task]\nnode = \"cell\"\ntarget = \"celltype\"\n").unwrap();
            fs::write(run.join(metrics::FILE), EPOCH).unwrap();
            run.to_str().unwrap().to_owned()
        };
        let (first, second, same) = (run("a/first"), run("a/second"), run("b/first"));
        parsed::<Args>(&[&first]).unwrap().run().unwrap();
        let alone = fs::read_to_string(folder.path().join("a/first/curves.svg")).unwrap();
        assert!(alone.contains("Training for cell.celltype") && alone.contains("first, train"), "{alone}");
        let out = folder.path().join("all.svg");
        parsed::<Args>(&[&first, &second, &same, "--out", out.to_str().unwrap()]).unwrap().run().unwrap();
        let all = fs::read_to_string(&out).unwrap();
        for label in ["second, train".to_owned(), format!("{first}, train"), format!("{same}, train")] {
            assert!(all.contains(&label), "no {label} in {all}");
        }
    }

    #[test]
    fn what_cannot_be_drawn_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        assert!(parsed::<Args>(&[]).is_err());
        let refused = || parsed::<Args>(&[path]).unwrap().run().unwrap_err().to_string();
        assert!(refused().contains("is this the folder of a run?"), "{}", refused());
        fs::write(folder.path().join(metrics::FILE), "").unwrap();
        assert!(refused().contains("nothing to draw yet"), "{}", refused());
        fs::write(folder.path().join(metrics::FILE), EPOCH).unwrap();
        let error = parsed::<Args>(&[path, "--out", &format!("{path}/none/curves.svg")]).unwrap().run().unwrap_err().to_string();
        assert!(error.contains("none/curves.svg: cannot write the picture"), "{error}");
    }
}
