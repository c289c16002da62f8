//! `mqstore check --compare`.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use storage::inspect::{
    Compared, Difference, EntryPlace, LogDamage, PairSeen, Place, Side, StoreSeen, Verdict, View,
    compare,
};

use crate::output::{Closed, Gauge, Lines};
use crate::{Failure, Outcome, places};

pub async fn run(dirs: &[PathBuf], log_dirs: &[PathBuf], json: bool) -> Result<Outcome, Failure> {
    let (mut out, mut outcome) = (Lines::new(), Outcome::Intact);
    let mut groups = Vec::new();
    for group in by_shard(dirs, log_dirs).await? {
        let compared = look(&group).await?;
        if !compared.identical() {
            outcome = Outcome::Damaged;
        }
        match json {
            true => groups.push(to_json(&compared)),
            false => text(&mut out, &compared)?,
        }
    }
    if json {
        out.line(json!({ "groups": groups }))?;
    }
    out.flush()?;
    Ok(outcome)
}

/// The stores of each shard, in the order of `dirs`: each shard is a group.
async fn by_shard(dirs: &[PathBuf], log_dirs: &[PathBuf]) -> Result<Vec<Vec<Place>>, Failure> {
    if !log_dirs.is_empty() && log_dirs.len() != dirs.len() {
        return Err(Failure::LogDirs { given: log_dirs.len(), dirs: dirs.len() });
    }
    let absolute = |dir: &PathBuf| std::path::absolute(dir).unwrap_or_else(|_| dir.clone());
    let twice = |(at, dir): &(usize, &PathBuf)| {
        dirs[..*at].iter().any(|one| absolute(one) == absolute(dir))
    };
    if let Some((_, dir)) = dirs.iter().enumerate().find(twice) {
        return Err(Failure::Twice { dir: dir.clone() });
    }
    let mut groups: Vec<Vec<Place>> = Vec::new();
    for (number, dir) in dirs.iter().enumerate() {
        let found = places(dir, log_dirs.get(number).map(PathBuf::as_path)).await?;
        if number == 0 {
            groups = found.iter().map(|_| Vec::new()).collect();
        }
        if found.len() != groups.len() {
            let (dir, other) = (dirs[0].clone(), dir.clone());
            let (shards, others) = (groups.len(), found.len());
            return Err(Failure::ShardCounts { dir, shards, other, others });
        }
        groups.iter_mut().zip(found).for_each(|(group, place)| group.push(place));
    }
    Ok(groups)
}

async fn look(group: &[Place]) -> Result<Compared, Failure> {
    let mut views = Vec::new();
    for place in group {
        views.push(View::open(place).await?);
    }
    let mut gauge = Gauge::new();
    let compared = compare(&views, &mut |progress| gauge.show(progress)).await;
    gauge.clear();
    Ok(compared?)
}

fn text(out: &mut Lines, compared: &Compared) -> Result<(), Closed> {
    for store in &compared.stores {
        out.line(format_args!("store {}", store.dir.display()))?;
        out.line(format_args!("  id {}{}", store.id, standing(store)))?;
        out.line(format_args!("  {}", extent(store)))?;
        if let Some(damage) = &store.damage {
            out.line(format_args!("  damaged: {}", damage_text(damage, &compared.stores)))?;
        }
    }
    out.line("")?;
    for pair in &compared.pairs {
        let (one, other) = (dir_of(compared, pair.one), dir_of(compared, pair.other));
        let verdict = pair_text(pair, compared.verdict(pair));
        out.line(format_args!("{} and {}: {verdict}", one.display(), other.display()))?;
        if let Some(difference) = &pair.difference {
            difference_text(out, difference)?;
        }
    }
    out.line("")?;
    out.line(conclusion(compared))
}

fn dir_of(compared: &Compared, number: usize) -> &Path {
    &compared.stores[number].dir
}

/// What the store is in its group, as its own log says.
fn standing(store: &StoreSeen) -> String {
    let Some((index, voters)) = &store.membership else {
        return ", nothing is known of its group".to_owned();
    };
    let role = if voters.contains(&store.id.0) { "a voter" } else { "no voter" };
    let short: Vec<_> = voters.iter().map(|voter| format!("{:08x}", voter >> 96)).collect();
    format!(", {role} of {} as entry {index} says", short.join(" "))
}

fn extent(store: &StoreSeen) -> String {
    let (Some(first), Some(last)) = (store.first, store.last) else {
        return "no entries".to_owned();
    };
    let mut text = format!("entries {} to {}", first.index, last.index);
    if let Some(end) = store.end {
        text += &format!(", offsets {} to {end}", first.offset);
    }
    text += &format!(
        ", terms {} to {}, {} bytes; known as committed before entry {}",
        first.term, last.term, store.bytes, store.committed
    );
    if first.index.0 > 0 {
        text += "; trimmed before its first entry";
    }
    if store.torn {
        text += "; a write that was not finished follows";
    }
    text
}

fn damage_text(damage: &LogDamage, stores: &[StoreSeen]) -> String {
    let mut text = format!("{}, offset {}: {}", damage.file.display(), damage.offset, damage.why);
    if let Some((other, what)) = &damage.beside {
        text += &format!(". Beside {}: {what}", stores[*other].dir.display());
    }
    text + ". See what `mqstore check` says of this store"
}

fn pair_text(pair: &PairSeen, verdict: Verdict) -> String {
    let same = match pair.range {
        Some((first, last)) => {
            let has_gaps = pair.entries <= last.0 - first.0;
            let but = if has_gaps { ", but for what is damaged" } else { "" };
            let (entries, bytes) = (pair.entries, pair.bytes);
            format!(
                "entries {first} to {last} are the same{but} ({entries} entries, {bytes} bytes)"
            )
        }
        None => "no entry is the same".to_owned(),
    };
    match verdict {
        Verdict::Same => same,
        Verdict::TailsDiffer => format!(
            "{same}; behind them the tails differ, of which one was not committed: its store cuts it when it meets its group"
        ),
        Verdict::Differ => format!("{same}; COMMITTED ENTRIES DIFFER behind them"),
        Verdict::Nothing => "they have no entry in common".to_owned(),
    }
}

fn difference_text(out: &mut Lines, difference: &Difference) -> Result<(), Closed> {
    out.line(format_args!("  entry {}: {}", difference.index, difference.what))?;
    for side in [&difference.one, &difference.other] {
        let Side { term, offset, file, at } = side;
        let file = file.display();
        out.line(format_args!(
            "  {file}, offset {offset}, term {term}, from byte {at} of the file"
        ))?;
    }
    Ok(())
}

fn conclusion(compared: &Compared) -> String {
    let common = compared.common();
    let prefix = match common.is_empty() {
        true => return "not comparable: there is no entry that all know as committed".to_owned(),
        false => {
            format!("the common committed prefix, entries {} to {}", common.start, common.end.0 - 1)
        }
    };
    let differ = compared.pairs.iter().any(|pair| compared.verdict(pair) == Verdict::Differ);
    match (compared.identical(), differ) {
        (true, _) => format!("identical: {prefix}"),
        (false, true) => format!("DIFFERENT: {prefix}, is not the same everywhere"),
        (false, false) => format!("not whole: {prefix}, is damaged or has gaps"),
    }
}

fn to_json(compared: &Compared) -> Value {
    let common = compared.common();
    json!({
        "identical": compared.identical(),
        "first": common.start.0,
        "end": common.end.0,
        "stores": compared.stores.iter().map(store_json).collect::<Vec<_>>(),
        "pairs": compared.pairs.iter().map(|pair| pair_json(compared, pair)).collect::<Vec<_>>(),
    })
}

fn store_json(store: &StoreSeen) -> Value {
    let place = |place: EntryPlace| json!({ "index": place.index.0, "term": place.term.0, "offset": place.offset.0 });
    let voters = |voters: &[u128]| voters.iter().map(|id| format!("{id:032x}")).collect::<Vec<_>>();
    json!({
        "dir": store.dir.display().to_string(),
        "id": store.id.to_string(),
        "first": store.first.map(place),
        "last": store.last.map(place),
        "end": store.end.map(|end| end.0),
        "committed": store.committed.0,
        "torn": store.torn,
        "bytes": store.bytes,
        "voters": store.membership.as_ref().map(|(_, all)| voters(all)),
        "membershipIndex": store.membership.as_ref().map(|(index, _)| index.0),
        "damage": store.damage.as_ref().map(|damage| json!({
            "file": damage.file.display().to_string(),
            "offset": damage.offset.0,
            "index": damage.index.map(|index| index.0),
            "why": damage.why,
            "beside": damage.beside.as_ref().map(|(_, what)| what),
        })),
    })
}

fn pair_json(compared: &Compared, pair: &PairSeen) -> Value {
    let verdict = match compared.verdict(pair) {
        Verdict::Same => "same",
        Verdict::TailsDiffer => "tailsDiffer",
        Verdict::Differ => "differ",
        Verdict::Nothing => "nothing",
    };
    let side = |side: &Side| {
        json!({
            "file": side.file.display().to_string(),
            "byte": side.at,
            "offset": side.offset.0,
            "term": side.term.0,
        })
    };
    json!({
        "one": dir_of(compared, pair.one).display().to_string(),
        "other": dir_of(compared, pair.other).display().to_string(),
        "verdict": verdict,
        "entries": pair.entries,
        "bytes": pair.bytes,
        "first": pair.range.map(|(first, _)| first.0),
        "last": pair.range.map(|(_, last)| last.0),
        "difference": pair.difference.as_ref().map(|difference| json!({
            "index": difference.index.0,
            "what": difference.what,
            "one": side(&difference.one),
            "other": side(&difference.other),
        })),
    })
}
