//! Observing: what sampled readers are served, kept until it can be judged.

use std::time::Instant;

use anyhow::{Context, Result};
use http::HeaderValue;
use serde_json::Value;
use tributary_engine::model::{PostId, UserId};

use super::judge::{Item, Observation};
use super::text_hash;
use crate::api::page::{items, number};
use crate::api::{Ask, Wire};

/// Pages kept of one run: some 50 MB at the most.
pub const OBSERVATIONS_MAX: usize = 50_000;
/// Entries of a first page, in turn: a screen, the most there can be, a glance.
const LIMITS: [usize; 3] = [20, 100, 5];
const WHOLE_PAGE: usize = 100;
/// Pages of a whole timeline, at the most.
const WHOLE_PAGES_MAX: usize = 10_000;

/// The first page of a sampled reader; `turn` chooses its length.
///
/// # Errors
/// When it is not answered, or is not a page.
pub async fn first_page(wire: &mut Wire, token: &HeaderValue, reader: usize, turn: usize) -> Result<Observation> {
    let limit = LIMITS[turn % LIMITS.len()];
    let sent = Instant::now();
    let page = wire.json(&Ask::get(format!("/v1/feed?limit={limit}")).by(token)).await?;
    let answered = Instant::now();
    let items = read(&page)?;
    let to_the_end = page["next"].is_null();
    let cut_short = !to_the_end && items.len() < limit;
    Ok(Observation { reader, sent, answered, to_the_end, cut_short, items })
}

/// The whole timeline of a sampled reader, to its last entry.
///
/// # Errors
/// When a page is not answered, or is not a page.
pub async fn whole(wire: &mut Wire, token: &HeaderValue, reader: usize) -> Result<Observation> {
    let sent = Instant::now();
    let (mut all, mut cursor, mut cut_short, mut to_the_end) = (Vec::new(), String::new(), false, false);
    // A cursor that leads nowhere would never end.
    for _ in 0..WHOLE_PAGES_MAX {
        let page = wire.json(&Ask::get(format!("/v1/feed?limit={WHOLE_PAGE}{cursor}")).by(token)).await?;
        let items = read(&page)?;
        let count = items.len();
        all.extend(items);
        let Some(next) = page["next"].as_str() else {
            to_the_end = true;
            break;
        };
        cut_short |= count < WHOLE_PAGE;
        cursor = format!("&cursor={next}");
    }
    Ok(Observation { reader, sent, answered: Instant::now(), to_the_end, cut_short, items: all })
}

fn read(page: &Value) -> Result<Vec<Item>> {
    let item = |item: &Value| {
        let text = item["text"].as_str().context("a post without a text")?;
        let (id, author) = (number(&item["id"])?, number(&item["author"]["id"])?);
        Ok(Item { id: PostId(id), author: UserId(author), text: text_hash(text) })
    };
    items(page)?.iter().map(item).collect()
}
