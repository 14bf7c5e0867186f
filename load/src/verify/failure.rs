//! The file that a difference leaves behind: everything that is needed to see it again. Nothing in it is secret.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use serde::Serialize;
use tributary_engine::model::{PostId, UserId};

use super::judge::{Fault, Judge, Observation, Wrong};
use super::ledger::Span;

/// Entries and commands listed of one page, at the most.
const LISTED_MAX: usize = 2_000;

/// What a run was.
#[derive(Clone, Debug, Serialize)]
pub struct RunTold {
    /// What everything was drawn from.
    pub seed: u64,
    /// The command line.
    pub arguments: Vec<String>,
    /// The world's identity: its counts and checksums.
    pub world: String,
    /// The server.
    pub url: String,
}

/// Where a difference is described, and by whom.
pub struct FailureReport<'a> {
    /// The folder of the file.
    pub folder: &'a Path,
    /// Who asks, as an operator, where entries came from.
    pub operator: Option<&'a str>,
    /// What the run was.
    pub run: RunTold,
}

/// A page with its faults. Times are in milliseconds after the run began; ids are digits, as in the API.
#[derive(Debug, Serialize)]
pub struct Difference {
    /// The reader's handle.
    pub reader: String,
    /// The reader's id.
    pub reader_id: String,
    /// What was asked for.
    pub page: &'static str,
    /// When it was asked for, and when it had come.
    pub asked_ms: [i64; 2],
    /// What is wrong.
    pub faults: Vec<FaultTold>,
    /// The entries that were served.
    pub found: Vec<String>,
    /// The entries that had to be served, above the last one where the timeline goes on.
    pub expected: Vec<String>,
    /// After the run: the newest entries of the reader as an operator sees them, with where each came from.
    pub sources: Vec<SourceTold>,
    /// The commands that matter: follows by the reader, posts and removals by the authors of faults.
    pub commands: Vec<CommandTold>,
}

/// One wrong entry.
#[derive(Debug, Serialize)]
pub struct FaultTold {
    wrong: Wrong,
    post: String,
    author: String,
}

/// An entry as an operator sees it.
#[derive(Debug, Serialize)]
pub struct SourceTold {
    /// The post.
    pub post: String,
    /// Where the engine had it from.
    pub from: String,
}

/// One command.
#[derive(Debug, Serialize)]
pub struct CommandTold {
    command: &'static str,
    by: String,
    of: String,
    sent_ms: i64,
    /// None: nobody knows whether it was done.
    acknowledged_ms: Option<i64>,
}

/// Tells a page with faults.
pub fn difference(
    judge: &Judge<'_>,
    page: &Observation,
    faults: &[Fault],
    handle: String,
    began: Instant,
) -> Difference {
    let reader = &judge.sample.readers[page.reader];
    let ms = |at: Instant| match at.checked_duration_since(began) {
        Some(after) => after.as_millis() as i64,
        None => -(began.duration_since(at).as_millis() as i64),
    };
    let told = |command, by: UserId, of: u64, span: Span| CommandTold {
        command,
        by: by.0.to_string(),
        of: of.to_string(),
        sent_ms: ms(span.sent),
        acknowledged_ms: span.acked.map(ms),
    };
    let mut commands = Vec::new();
    for command in judge.ledger.follows_of(reader.id) {
        let name = if command.follows { "follow" } else { "unfollow" };
        commands.push(told(name, reader.id, command.author.0, command.span));
    }
    let mut authors: Vec<UserId> = faults.iter().map(|fault| fault.author).collect();
    authors.sort_unstable();
    authors.dedup();
    for author in authors {
        for &(post, span) in judge.ledger.posts_of(author) {
            commands.push(told("post", author, post.0, span));
            if let Some(span) = judge.ledger.removal(post) {
                commands.push(told("remove", author, post.0, span));
            }
        }
    }
    commands.truncate(LISTED_MAX);
    let text = |post: PostId| post.0.to_string();
    Difference {
        reader: handle,
        reader_id: reader.id.0.to_string(),
        page: if page.to_the_end { "the whole timeline" } else { "the first page" },
        asked_ms: [ms(page.sent), ms(page.answered)],
        faults: faults
            .iter()
            .take(LISTED_MAX)
            .map(|fault| FaultTold { wrong: fault.wrong, post: text(fault.post), author: fault.author.0.to_string() })
            .collect(),
        found: page.items.iter().take(LISTED_MAX).map(|item| text(item.id)).collect(),
        expected: judge.expected(page).into_iter().take(LISTED_MAX).map(text).collect(),
        sources: Vec::new(),
        commands,
    }
}

/// Writes the file.
///
/// # Errors
/// When it cannot be written.
pub fn write(report: &FailureReport<'_>, differences: &[Difference]) -> Result<PathBuf> {
    #[derive(Serialize)]
    struct File<'a> {
        #[serde(flatten)]
        run: &'a RunTold,
        differences: &'a [Difference],
    }
    let path = report.folder.join(format!("verify-failure-{}.json", report.run.seed));
    let text = serde_json::to_string_pretty(&File { run: &report.run, differences })?;
    std::fs::write(&path, text + "\n").with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
}
