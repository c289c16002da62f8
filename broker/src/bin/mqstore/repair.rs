//! `mqstore repair`.

use clap::Args;
use model::PhysicalOffset;
use storage::inspect::{Cut, Mending, Start, View};

use crate::check::{describe, look};
use crate::escape::Escaped;
use crate::output::{Closed, Lines};
use crate::{Failure, Outcome, StoreArgs};

/// Topics whose losses are printed one by one.
const MOST_TOPICS: usize = 100;

#[derive(Args)]
pub struct RepairArgs {
    #[command(flatten)]
    store: StoreArgs,

    /// Give up the log from here on: where `mqstore check` says that the first damage is
    #[arg(long, value_name = "OFFSET")]
    cut: Option<u64>,

    /// Do it; without this it is only said what would be done
    #[arg(long)]
    yes: bool,
}

pub async fn run(args: &RepairArgs) -> Result<Outcome, Failure> {
    let mut out = Lines::new();
    let view = View::open(&args.store.place().await?).await?;
    let checked = look(&view).await?;
    let mending = view.plan(&checked, args.cut.map(PhysicalOffset))?;
    tell(&mut out, &mending)?;
    let damaged_at = checked.damaged_at();
    if mending.remove.is_empty() && mending.cut.is_none() {
        out.line(match damaged_at {
            None => "nothing to do",
            Some(_) => "nothing to remove: what is damaged is the log itself",
        })?;
    }
    let nothing = mending.remove.is_empty() && mending.cut.is_none();
    if args.yes && !nothing {
        out.line("")?;
        out.flush()?;
        let mut told = Vec::new();
        let mended = view.mend(&mending, &mut |step| told.push(step)).await;
        for step in told {
            out.line(step)?;
        }
        mended?;
    } else if !nothing {
        out.line("nothing was changed; --yes does it")?;
    }
    out.line(format_args!("{}{}", if args.yes { "" } else { "afterwards " }, mending.after))?;
    if let (None, Some(at)) = (args.cut, checked.may_be_cut_at()) {
        out.line(format_args!(
            "the log is damaged at offset {at}; --cut {at} would give up what follows"
        ))?;
    }
    out.flush()?;
    let well = matches!(mending.after, Start::From(_)) && mending.keep.is_empty();
    let cut = args.cut.is_some() || damaged_at.is_none();
    Ok(if well && cut && (args.yes || nothing) { Outcome::Intact } else { Outcome::Damaged })
}

/// What would be done.
fn tell(out: &mut Lines, mending: &Mending) -> Result<(), Closed> {
    if let Some(cut) = &mending.cut {
        tell_cut(out, cut)?;
    }
    for file in &mending.remove {
        out.line(format_args!("remove {}: damaged, and made anew from the log", file.display()))?;
    }
    for keep in &mending.keep {
        out.line(format_args!("leave {}: {}", keep.file.display(), keep.why))?;
    }
    Ok(())
}

fn tell_cut(out: &mut Lines, cut: &Cut) -> Result<(), Closed> {
    out.line(format_args!("cut the log at offset {}, in {}", cut.at, cut.segment.display()))?;
    out.line(format_args!("  lost beside what is damaged: {}", describe(&cut.lost)))?;
    if let Some((from, to)) = cut.missing {
        out.line(format_args!(
            "  lost as well: what was from offset {from} to {to}; no file is there of it, so nobody can say what messages"
        ))?;
    }
    for (topic, messages) in cut.lost.topics.iter().take(MOST_TOPICS) {
        out.line(format_args!(
            "  lost of topic {}: {messages} messages",
            Escaped(topic.as_bytes())
        ))?;
    }
    if let more @ 1.. = cut.lost.topics.len().saturating_sub(MOST_TOPICS) {
        out.line(format_args!("  and messages of {more} more topics"))?;
    }
    for file in &cut.away {
        out.line(format_args!("  rename {}: it is kept, but no part of the log", file.display()))?;
    }
    for file in &cut.beyond {
        out.line(format_args!("  remove {}: it goes beyond the cut", file.display()))?;
    }
    Ok(())
}
