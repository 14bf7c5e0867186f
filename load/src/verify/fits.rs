//! Whether a server holds the world that it is about to be judged by: asked before a run, of sampled readers and
//! authors.

use anyhow::{Context, Result, anyhow, bail, ensure};
use http::HeaderValue;
use serde_json::Value;
use tributary_engine::model::{PostId, UserId};

use super::Sample;
use crate::api::page::{items, number};
use crate::api::tokens::LIMITS_ADVICE;
use crate::api::{Ask, Wire};
use crate::workload::cast::Cast;

/// Authors whose newest posts are compared.
const AUTHORS: usize = 5;
const ADVICE: &str = "give the world that was imported into this server's store, or import this one";

/// Compares some of the world with what the server tells, and keeps of the sample the readers whose follows are those
/// of the world: earlier runs may have been interrupted before they put them right.
///
/// # Errors
/// When the server holds something else, or does not answer.
pub async fn check(
    wire: &mut Wire,
    token: &HeaderValue,
    cast: &Cast,
    sample: &mut Sample,
    world_ends: PostId,
) -> Result<()> {
    let mut fitting = Vec::new();
    for (place, reader) in sample.readers.iter().enumerate() {
        if fitting.len() == sample.wanted() {
            break;
        }
        let handle = cast.handle(reader.user);
        let found = user(wire, token, &handle).await?;
        let id = number(&found["id"])?;
        ensure!(
            id == reader.id.0,
            "the server does not hold this world: user {handle} has id {id}, and imported it would have {}; {ADVICE}",
            reader.id.0
        );
        let path = format!("/v1/users/{id}/following");
        let counted = found["following"].as_u64() == Some(reader.follows.len() as u64);
        if counted && ids(wire, token, &path).await? == reader.follows {
            fitting.push(place);
        }
    }
    ensure!(
        fitting.len() * 2 >= sample.wanted().min(sample.readers.len()) && !fitting.is_empty(),
        "the server does not hold this world: only {} of {} sampled readers follow whom they follow in the world; \
         {ADVICE}",
        fitting.len(),
        sample.readers.len()
    );
    sample.keep(&fitting);
    let mut authors: Vec<UserId> =
        sample.posts.iter().filter(|(_, p)| !p.is_empty()).map(|(&author, _)| author).collect();
    authors.sort_unstable();
    for &author in authors.iter().take(AUTHORS) {
        newest_posts(wire, token, author, &sample.posts[&author], world_ends).await?;
    }
    Ok(())
}

/// The user with a handle. Signing in would make one.
async fn user(wire: &mut Wire, token: &HeaderValue, handle: &str) -> Result<Value> {
    let ask = Ask::get(format!("/v1/users?handle={handle}")).by(token);
    let answer = wire.send(&ask).await.map_err(|why| anyhow!("{ask} at {}: {why}", wire.target().url))?;
    match answer.status.as_u16() {
        200 => serde_json::from_slice(&answer.body).with_context(|| format!("{ask}: the answer is not JSON")),
        404 => bail!("the server does not hold this world: it knows no user {handle}; {ADVICE}"),
        429 => bail!("{} limits requests: {LIMITS_ADVICE}", wire.target().url),
        status => bail!("{ask} at {}: answered {status}", wire.target().url),
    }
}

/// The ids of a whole list of users, by rising id.
async fn ids(wire: &mut Wire, token: &HeaderValue, path: &str) -> Result<Vec<UserId>> {
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = wire.json(&Ask::get(format!("{path}?limit=100{cursor}")).by(token)).await?;
        for item in items(&page)? {
            ids.push(UserId(number(&item["id"])?));
        }
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    ids.sort_unstable();
    Ok(ids)
}

async fn newest_posts(
    wire: &mut Wire,
    token: &HeaderValue,
    author: UserId,
    imported: &[PostId],
    world_ends: PostId,
) -> Result<()> {
    let page = wire.json(&Ask::get(format!("/v1/users/{}/posts?limit=100", author.0)).by(token)).await?;
    let mut found = Vec::new();
    for item in items(&page)? {
        found.push(PostId(number(&item["id"])?));
    }
    // Those above are by earlier runs, and may fill the page.
    let old: Vec<PostId> = found.iter().copied().filter(|&post| post < world_ends).collect();
    let expected = imported.iter().rev().take(if page["next"].is_null() { usize::MAX } else { old.len() });
    ensure!(
        expected.copied().eq(old),
        "the server does not hold this world: the newest imported posts of user {} are others; {ADVICE}",
        author.0
    );
    Ok(())
}
