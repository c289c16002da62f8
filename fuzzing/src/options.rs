//! The command line.

use std::time::Duration;

use fuzzing::Target;

/// What is said to whom asks.
pub const USAGE: &str = "\
usage: cargo run --package fuzzing -- [--target NAME] [--seconds N] [--seed S]
       cargo run --package fuzzing -- --replay NAME FILE
       cargo run --package fuzzing -- --seeds

Reads every format on the inputs in fuzz/corpus and on changed ones, and checks what must hold whatever
the bytes are. A failure names its target, its seed and the file that holds the input.

  --target NAME   this target alone
  --seconds N     so long altogether; 60 where CI is `true`, else 8
  --seed S        which changes are made; else whatever the clock says
  --replay        one input again
  --seeds         make the first inputs anew, as is due when a format has changed
  --help          this text
";

/// What to do.
#[derive(Debug)]
pub enum Wish {
    /// Hunt with one target or all.
    Hunt {
        only: Option<&'static Target>,
    },
    /// Hunt in this process, under watch.
    Inside {
        target: &'static Target,
        note: String,
    },
    /// One input again.
    Replay {
        target: &'static Target,
        file: String,
    },
    /// Make the corpus.
    Seeds,
    Help,
}

/// What is asked for.
#[derive(Debug)]
pub struct Options {
    pub wish: Wish,
    pub seed: Option<u64>,
    pub time: Option<Duration>,
}

impl Options {
    /// Reads the arguments.
    pub fn parse(args: &[String]) -> Result<Self, String> {
        let mut options = Self { wish: Wish::Hunt { only: None }, seed: None, time: None };
        let mut inside = None;
        let mut args = args.iter().map(String::as_str);
        while let Some(option) = args.next() {
            let mut next = || args.next().ok_or_else(|| format!("{option} needs more"));
            match option {
                "--help" | "-h" => options.wish = Wish::Help,
                "--seeds" => options.wish = Wish::Seeds,
                "--target" => options.wish = Wish::Hunt { only: Some(target(next()?)?) },
                "--inside" => inside = Some(target(next()?)?),
                "--note" => {
                    let target = inside.ok_or("--note comes after --inside")?;
                    options.wish = Wish::Inside { target, note: next()?.to_owned() };
                }
                "--replay" => {
                    let target = target(next()?)?;
                    options.wish = Wish::Replay { target, file: next()?.to_owned() };
                }
                "--seed" => options.seed = Some(number(next()?)?),
                "--seconds" => options.time = Some(Duration::from_secs(number(next()?)?)),
                "--millis" => options.time = Some(Duration::from_millis(number(next()?)?)),
                other => return Err(format!("there is no option {other}")),
            }
        }
        Ok(options)
    }
}

fn target(name: &str) -> Result<&'static Target, String> {
    let names = || fuzzing::TARGETS.map(|target| target.name).join(", ");
    Target::named(name).ok_or_else(|| format!("there is no target {name}; there are {}", names()))
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text} is no number"))
}
