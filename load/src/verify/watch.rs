//! Verification as it goes: sampled readers are looked at in turn during a run, and to the end of their timelines after
//! it; then everything is judged.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Result;
use http::HeaderValue;
use serde_json::Value;
use tributary_engine::model::PostId;

use super::failure::{self, Difference, FailureReport, SourceTold, difference};
use super::judge::{Judge, Observation};
use super::{SEEN_WITHIN, observe};
use crate::api::page::items;
use crate::api::tokens::{RENEW_AFTER, sign_in};
use crate::api::{Ask, Target, Wire};
use crate::workload::crew::Crew;
use crate::workload::outcome::{Ended, Verified};

/// First pages that are looked at: some ten a second.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Differences described in a file.
const DESCRIBED_MAX: usize = 20;

/// Looks at sampled readers.
pub struct Watch {
    target: Target,
    seen: RefCell<Vec<Observation>>,
    /// Why the last page could not be read.
    trouble: RefCell<String>,
}

/// What ids and times of a run lie between.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Ids of the run begin here.
    pub run_begins: PostId,
    /// Ids of the world end here.
    pub world_ends: PostId,
    /// When the run began.
    pub began: Instant,
}

impl Watch {
    /// Nothing is seen yet.
    pub fn new(target: &Target) -> Self {
        Self { target: target.clone(), seen: RefCell::default(), trouble: RefCell::default() }
    }

    /// Reads first pages of sampled readers in turn, until it is aborted or has enough. A page that is not answered
    /// tells nothing: the load counts such errors.
    pub async fn observe(self: Rc<Self>, crew: Rc<Crew>) {
        let mut wire = Wire::new(&self.target);
        let mut tokens: Vec<Option<(HeaderValue, Instant)>> = vec![None; crew.sample.readers.len()];
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        for turn in 0..observe::OBSERVATIONS_MAX {
            ticks.tick().await;
            let reader = turn % crew.sample.readers.len();
            let kept = tokens[reader].take().filter(|(_, since)| since.elapsed() < RENEW_AFTER);
            let (token, since) = match kept {
                Some(kept) => kept,
                None => match sign_in(&mut wire, &crew.cast.handle(crew.sample.readers[reader].user), false).await {
                    Ok((token, _)) => (token, Instant::now()),
                    Err(error) => {
                        *self.trouble.borrow_mut() = format!("{error:#}");
                        continue;
                    }
                },
            };
            // Readers and lengths in turn, each reader with each length.
            let length = turn / crew.sample.readers.len();
            match observe::first_page(&mut wire, &token, reader, length).await {
                Ok(page) => {
                    self.seen.borrow_mut().push(page);
                    tokens[reader] = Some((token, since));
                }
                // The token may have ended early: the next time there is a new one.
                Err(error) => *self.trouble.borrow_mut() = format!("{error:#}"),
            }
        }
    }

    /// Reads whole timelines, judges everything and writes the file if there is a difference.
    pub async fn verify(&self, crew: &Crew, ended: &Ended, bounds: Bounds, report: &FailureReport<'_>) -> Verified {
        // Nothing is commanded any more.
        let ledger = crew.ledger.take();
        let judge = Judge {
            sample: &crew.sample,
            ledger: &ledger,
            run_begins: bounds.run_begins,
            world_ends: bounds.world_ends,
        };
        let mut left_out = None;
        let mut timelines = Vec::new();
        if let Ended::ServerGone(_) = ended {
            left_out = Some("no whole timelines: the server is gone".to_owned());
        } else {
            match self.timelines(crew).await {
                Ok(read) => timelines = read,
                Err(error) => left_out = Some(format!("no whole timelines: {error:#}")),
            }
        }
        let pages = self.seen.take();
        if pages.is_empty() {
            left_out.get_or_insert_with(|| format!("no first pages {}", self.trouble.borrow()));
        }
        let mut differences = Vec::new();
        let mut different = 0;
        for page in pages.iter().chain(&timelines) {
            let faults = judge.faults(page);
            if faults.is_empty() {
                continue;
            }
            different += 1;
            if differences.len() < DESCRIBED_MAX {
                let handle = crew.cast.handle(crew.sample.readers[page.reader].user);
                differences.push(difference(&judge, page, &faults, handle, bounds.began));
            }
        }
        let mut failure = None;
        if different > 0 {
            if let Some(operator) = report.operator {
                self.add_sources(operator, &mut differences).await.unwrap_or_else(|error| {
                    left_out.get_or_insert_with(|| format!("no sources: {error:#}"));
                });
            }
            match failure::write(report, &differences) {
                Ok(path) => failure = Some(path),
                Err(error) => left_out = Some(format!("{error:#}")),
            }
        }
        let verified = Verified {
            readers: crew.sample.readers.len(),
            pages: pages.len(),
            timelines: timelines.len(),
            entries: pages.iter().chain(&timelines).map(|page| page.items.len()).sum(),
            different,
            left_out,
            failure,
        };
        crew.ledger.replace(ledger);
        verified
    }

    /// Asks as an operator where entries come from.
    async fn add_sources(&self, operator: &str, differences: &mut [Difference]) -> Result<()> {
        let mut wire = Wire::new(&self.target);
        let (token, _) = sign_in(&mut wire, operator, true).await?;
        for difference in differences {
            let path = format!("/v1/operator/feed/{}?limit=100", difference.reader_id);
            let page = wire.json(&Ask::get(path).by(&token)).await?;
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let told = |item: &Value| SourceTold { post: text(&item["id"]), from: text(&item["from"]) };
            difference.sources = items(&page)?.iter().map(told).collect();
        }
        Ok(())
    }

    /// The whole timeline of each sampled reader, once everything that was acknowledged must be seen.
    async fn timelines(&self, crew: &Crew) -> Result<Vec<Observation>> {
        let mut wire = Wire::new(&self.target);
        tokio::time::sleep(SEEN_WITHIN).await;
        let mut timelines = Vec::new();
        for (place, reader) in crew.sample.readers.iter().enumerate() {
            let (token, _) = sign_in(&mut wire, &crew.cast.handle(reader.user), false).await?;
            timelines.push(observe::whole(&mut wire, &token, place).await?);
        }
        Ok(timelines)
    }
}
