//! Which keys the node has that started last: the store keeps their fingerprints, the one that signs first. Another node
//! starts only where each of the two has the key that the other signs with. So keys can be rotated one step and one node
//! at a time, and a step left out is told: on the node that started last at once, on another when that one starts.

use anyhow::{Context as _, Result, bail};
use tributary_engine::ports::Store;

/// The name under which the store keeps the fingerprints, with a space between them.
const NOTE: &str = "signing_key";
/// How often a node looks again, where others start at the same time.
const TRIES: usize = 10;

/// Holds a node's keys against those of the node that started last, and notes them.
///
/// # Errors
/// When one of the two could not verify what the other signs, or the store does not answer.
pub async fn agree(store: &dyn Store, fingerprints: &[String]) -> Result<()> {
    const DOING: &str = "which signing keys the nodes use cannot be read";
    let ours = fingerprints.join(" ");
    for _ in 0..TRIES {
        let theirs = store.agree_on_note(NOTE, &ours).await.context(DOING)?;
        if let Some(fault) = fault(fingerprints, &theirs) {
            bail!("auth.signing_key_file: {fault}");
        }
        // Where somebody else has just started, it is held against that one.
        if theirs == ours || store.replace_note(NOTE, &theirs, &ours).await.context(DOING)? {
            return Ok(());
        }
    }
    bail!("{DOING}: other nodes start all the time")
}

/// What is wrong with our keys beside theirs.
fn fault(ours: &[String], theirs: &str) -> Option<&'static str> {
    let theirs: Vec<&str> = theirs.split(' ').collect();
    let they_have = |key: &String| theirs.contains(&key.as_str());
    let we_have = |key: &str| ours.iter().any(|our| our == key);
    if !ours.iter().any(they_have) {
        return Some("holds another key than that of the other nodes of this store");
    }
    if !ours.first().is_some_and(they_have) {
        return Some(
            "its first key, which signs, is not known to the other nodes: let it be the second, on all of them",
        );
    }
    if !theirs.first().is_some_and(|key| we_have(key)) {
        return Some("it lacks the key that the other nodes sign with: let it be the second, until none of them does");
    }
    None
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::future::join_all;
    use tributary_engine::embedded::EmbeddedStore;
    use tributary_engine::ports::Clock;

    use super::*;

    struct World {
        store: Arc<EmbeddedStore>,
        _folder: tempfile::TempDir,
    }

    impl World {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            Self { store: EmbeddedStore::open(folder.path(), Clock::System).unwrap(), _folder: folder }
        }

        /// What a node with these keys is told that starts now.
        async fn start(&self, keys: &str) -> Result<(), String> {
            let keys: Vec<String> = keys.split(' ').map(str::to_owned).collect();
            agree(&*self.store, &keys).await.map_err(|error| error.to_string())
        }
    }

    #[tokio::test]
    async fn keys_are_rotated_one_node_and_one_step_at_a_time() {
        let world = World::new();
        for keys in
            ["old", "old", "old new", "old", "old new", "new old", "old new", "new old", "new", "new old", "new"]
        {
            assert_eq!(world.start(keys).await, Ok(()), "{keys}");
        }
        assert!(world.start("old").await.unwrap_err().contains("another key"), "it was removed");
        assert_eq!(world.start("new").await, Ok(()), "who was refused has changed nothing");
    }

    #[tokio::test]
    async fn a_step_left_out_is_told() {
        let world = World::new();
        assert_eq!(world.start("old").await, Ok(()));
        assert!(world.start("new old").await.unwrap_err().contains("its first key"));
        assert_eq!(world.start("old new").await, Ok(()));
        assert!(world.start("new").await.unwrap_err().contains("it lacks the key"));
        assert_eq!(world.start("new old").await, Ok(()));
        assert!(world.start("old").await.unwrap_err().contains("it lacks the key"));
    }

    #[tokio::test]
    async fn of_two_that_start_together_and_could_not_verify_each_other_one_starts() {
        for (noted, pair) in [(None, ["a", "b"]), (Some("old new"), ["new old", "old"])] {
            for _ in 0..20 {
                let world = World::new();
                if let Some(keys) = noted {
                    assert_eq!(world.start(keys).await, Ok(()));
                }
                let told = join_all(pair.map(|keys| world.start(keys))).await;
                assert_eq!(told.iter().filter(|told| told.is_ok()).count(), 1, "{told:?}");
            }
        }
    }
}
