//! The laws of a shard. They are few: whatever else a shard loses or repeats, windows stay true (law 2).

use std::sync::Arc;

use bytes::Bytes;

use super::laws;
use crate::model::UserId;
use crate::ports::{SegmentBatch, Shard};

/// Holds a shard against every law of the port.
///
/// # Panics
/// When it breaks one; the message names them.
pub async fn run(make: impl AsyncFn() -> Arc<dyn Shard>) {
    laws!(
        "shard",
        make,
        nobody_has_a_string_at_first,
        a_set_is_read_back,
        a_set_replaces_what_was_there,
        segments_join_a_fill_in_their_order,
        segments_of_one_batch_for_one_reader_keep_their_order,
        a_segment_without_a_fill_never_looks_like_one,
        a_fill_replaces_segments_that_had_none,
        what_is_removed_is_gone_and_may_come_again,
        one_reader_does_not_touch_another,
        a_batch_reaches_many_readers,
        an_empty_batch_and_an_empty_fill_are_nothing_special,
        writers_at_the_same_time_lose_nothing,
        the_popular_posts_are_replaced_and_are_no_readers_string,
    );
}

const ANN: UserId = UserId(0x0000_1234_5678_9abc);
const BEN: UserId = UserId(0x0000_1234_5678_9abd);

fn batch(segments: &[(UserId, &str)]) -> SegmentBatch {
    let mut batch = SegmentBatch::default();
    for (reader, segment) in segments {
        batch.push(*reader, |out| out.extend_from_slice(segment.as_bytes()));
    }
    batch
}

async fn set(shard: &Arc<dyn Shard>, reader: UserId, fill: &str) {
    shard.set(reader, Bytes::copy_from_slice(fill.as_bytes())).await.expect("the shard sets");
}

async fn append(shard: &Arc<dyn Shard>, segments: &[(UserId, &str)]) {
    shard.append(&batch(segments)).await.expect("the shard appends");
}

async fn read(shard: &Arc<dyn Shard>, reader: UserId) -> Option<String> {
    let bytes = shard.read(reader).await.expect("the shard reads")?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

async fn nobody_has_a_string_at_first(shard: Arc<dyn Shard>) {
    assert_eq!(read(&shard, ANN).await, None);
}

async fn a_set_is_read_back(shard: Arc<dyn Shard>) {
    let every_byte: Bytes = (0..=255).cycle().take(9_000).collect::<Vec<u8>>().into();
    shard.set(ANN, every_byte.clone()).await.expect("the shard sets");
    for _ in 0..2 {
        assert_eq!(shard.read(ANN).await.expect("the shard reads"), Some(every_byte.clone()));
    }
}

async fn a_set_replaces_what_was_there(shard: Arc<dyn Shard>) {
    set(&shard, ANN, "a long fill").await;
    append(&shard, &[(ANN, "+segment")]).await;
    set(&shard, ANN, "fill").await;
    assert_eq!(read(&shard, ANN).await.as_deref(), Some("fill"));
}

async fn segments_join_a_fill_in_their_order(shard: Arc<dyn Shard>) {
    set(&shard, ANN, "fill").await;
    let mut expected = String::from("fill");
    for n in 0..100 {
        let segment = format!("+{n}");
        append(&shard, &[(ANN, &segment)]).await;
        expected += &segment;
        assert_eq!(read(&shard, ANN).await.as_deref(), Some(&*expected));
    }
}

async fn segments_of_one_batch_for_one_reader_keep_their_order(shard: Arc<dyn Shard>) {
    set(&shard, ANN, "A").await;
    set(&shard, BEN, "B").await;
    append(&shard, &[(ANN, "1"), (BEN, "2"), (ANN, "3"), (ANN, "4"), (BEN, "5")]).await;
    assert_eq!(read(&shard, ANN).await.as_deref(), Some("A134"));
    assert_eq!(read(&shard, BEN).await.as_deref(), Some("B25"));
}

async fn a_segment_without_a_fill_never_looks_like_one(shard: Arc<dyn Shard>) {
    append(&shard, &[(ANN, "+1")]).await;
    append(&shard, &[(ANN, "+2")]).await;
    let string = read(&shard, ANN).await;
    assert!(matches!(string.as_deref(), None | Some("+1+2")), "{string:?}");
    set(&shard, BEN, "fill").await;
    shard.remove(&[BEN]).await.expect("the shard removes");
    append(&shard, &[(BEN, "+1")]).await;
    let string = read(&shard, BEN).await;
    assert!(matches!(string.as_deref(), None | Some("+1")), "{string:?}");
}

async fn a_fill_replaces_segments_that_had_none(shard: Arc<dyn Shard>) {
    append(&shard, &[(ANN, "+1")]).await;
    set(&shard, ANN, "fill").await;
    append(&shard, &[(ANN, "+2")]).await;
    assert_eq!(read(&shard, ANN).await.as_deref(), Some("fill+2"));
}

async fn what_is_removed_is_gone_and_may_come_again(shard: Arc<dyn Shard>) {
    set(&shard, ANN, "fill").await;
    shard.remove(&[BEN, ANN]).await.expect("the shard removes");
    assert_eq!(read(&shard, ANN).await, None);
    shard.remove(&[ANN]).await.expect("removing nothing is fine");
    shard.remove(&[]).await.expect("removing nobody is fine");
    set(&shard, ANN, "again").await;
    assert_eq!(read(&shard, ANN).await.as_deref(), Some("again"));
}

async fn one_reader_does_not_touch_another(shard: Arc<dyn Shard>) {
    set(&shard, ANN, "A").await;
    set(&shard, BEN, "B").await;
    append(&shard, &[(ANN, "+a")]).await;
    assert_eq!(read(&shard, BEN).await.as_deref(), Some("B"));
    shard.remove(&[ANN]).await.expect("the shard removes");
    assert_eq!(read(&shard, BEN).await.as_deref(), Some("B"));
}

async fn a_batch_reaches_many_readers(shard: Arc<dyn Shard>) {
    // Every other reader has a fill; ids as far apart as a real world's.
    let readers: Vec<UserId> = (1..3_000).map(|n| UserId(n * 0x3_0000_1003)).collect();
    let segments: Vec<String> = (0..readers.len()).map(|n| format!("+{n}")).collect();
    for &reader in readers.iter().step_by(2) {
        set(&shard, reader, &reader.to_string()).await;
    }
    let all: Vec<(UserId, &str)> = readers.iter().copied().zip(segments.iter().map(|segment| &**segment)).collect();
    append(&shard, &all).await;
    for (n, &(reader, segment)) in all.iter().enumerate() {
        let string = read(&shard, reader).await;
        if n % 2 == 0 {
            assert_eq!(string, Some(format!("{reader}{segment}")));
        } else {
            assert!(string.is_none() || string.as_deref() == Some(segment), "{reader}: {string:?}");
        }
    }
}

async fn an_empty_batch_and_an_empty_fill_are_nothing_special(shard: Arc<dyn Shard>) {
    append(&shard, &[]).await;
    set(&shard, ANN, "").await;
    append(&shard, &[(ANN, "+1"), (ANN, "")]).await;
    let string = read(&shard, ANN).await;
    assert!(matches!(string.as_deref(), None | Some("+1")), "{string:?}");
}

async fn writers_at_the_same_time_lose_nothing(shard: Arc<dyn Shard>) {
    const WRITERS: usize = 8;
    const ROUNDS: usize = 50;
    let readers: Vec<UserId> = (1..40).map(|n| UserId(n * 0x10_0001)).collect();
    for &reader in &readers {
        set(&shard, reader, "").await;
        set(&shard, reader, "fill").await;
    }
    let writers = (0..WRITERS).map(|writer| {
        let (shard, readers) = (shard.clone(), readers.clone());
        tokio::spawn(async move {
            let segment = char::from(b'a' + writer as u8).to_string();
            for _ in 0..ROUNDS {
                let all: Vec<(UserId, &str)> = readers.iter().map(|&reader| (reader, &*segment)).collect();
                append(&shard, &all).await;
            }
        })
    });
    for writer in futures::future::join_all(writers).await {
        writer.expect("a writer does not panic");
    }
    for reader in readers {
        let string = read(&shard, reader).await.expect("the fill is kept");
        for writer in 0..WRITERS {
            let mark = char::from(b'a' + writer as u8);
            assert_eq!(string["fill".len()..].chars().filter(|&c| c == mark).count(), ROUNDS, "{reader}");
        }
    }
}

async fn the_popular_posts_are_replaced_and_are_no_readers_string(shard: Arc<dyn Shard>) {
    let popular = async || shard.read_popular().await.expect("the shard reads");
    assert_eq!(popular().await, None);
    set(&shard, ANN, "fill").await;
    let every_byte: Bytes = (0..=255).cycle().take(10_006).collect::<Vec<u8>>().into();
    for string in [every_byte, Bytes::from_static(b"popular"), Bytes::new(), Bytes::from_static(b"again")] {
        for _ in 0..2 {
            shard.set_popular(string.clone()).await.expect("the shard sets");
            assert_eq!(popular().await, Some(string.clone()));
        }
    }
    shard.sweep().await.expect("the shard sweeps");
    shard.remove(&[ANN, BEN]).await.expect("the shard removes");
    assert_eq!((popular().await.as_deref(), read(&shard, ANN).await), (Some(&b"again"[..]), None));
}
