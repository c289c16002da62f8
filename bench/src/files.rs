//! Files with results: written and read while no load runs.

// The operator's own files, on no executor of the load; no simulation stands in for them.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;

use serde_json::Value;

use crate::error::BenchError;
use crate::limits::RESULT_MAX;
use crate::report::{Document, HdrLog};

fn failed(path: &Path) -> impl Fn(std::io::Error) -> BenchError {
    move |error| BenchError::File { path: path.to_owned(), reason: error.to_string() }
}

/// Begins a log of latencies in a new file.
///
/// # Errors
/// [`BenchError::File`].
pub fn begin_log(path: &Path) -> Result<HdrLog, BenchError> {
    let file = File::create(path).map_err(failed(path))?;
    let out = Box::new(BufWriter::new(file));
    HdrLog::begin(out, runtime::unix_millis()).map_err(failed(path))
}

/// Writes a page.
///
/// # Errors
/// [`BenchError::File`].
pub fn write_page(path: &Path, page: &str) -> Result<(), BenchError> {
    let write = || File::create(path)?.write_all(page.as_bytes());
    write().map_err(failed(path))
}

/// Reads results that were printed with `--json`, one object a line.
///
/// # Errors
/// [`BenchError::File`] with the line that is no result.
pub fn read_results(path: &Path) -> Result<Vec<Document>, BenchError> {
    let mut text = String::new();
    let cap = u64::try_from(RESULT_MAX).expect("a small number");
    let file = File::open(path).map_err(failed(path))?;
    file.take(cap).read_to_string(&mut text).map_err(failed(path))?;
    let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut documents = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let read = serde_json::from_str::<Value>(line).map_err(|error| error.to_string());
        let document = read.and_then(|value| Document::read(&name, &value)).map_err(|reason| {
            let reason = format!("line {}: {reason}", number + 1);
            BenchError::File { path: path.to_owned(), reason }
        });
        documents.push(document?);
    }
    Ok(documents)
}

/// Removes a directory of scratch files with all that is in it.
///
/// # Errors
/// [`BenchError::File`].
pub fn remove_scratch(dir: &Path) -> Result<(), BenchError> {
    std::fs::remove_dir_all(dir).map_err(failed(dir))
}
