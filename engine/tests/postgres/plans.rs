//! Plans of the hot statements: by an index, in one partition, nothing scanned; by the index alone where that is what
//! the index is for. On tables of a size that would make a scan pay if the statements allowed one.

use tokio_postgres::types::{Oid, Type};
use tokio_postgres::{Client, SimpleQueryMessage};
use tributary_engine::postgres::sql;

use super::server::{Server, client};

/// A reader 5 of shard 0 with follows and the rest; posts and followers of authors 1 to 2,000 in every shard.
const FILL: &str = "
    INSERT INTO users (shard, id, handle, name) SELECT (n >> 12) & 1023, n, 'u' || n, 'u'
        FROM (SELECT (n::bigint << 12) + 5 AS n FROM generate_series(0, 20000) AS n) AS ids;
    INSERT INTO posts (shard, id, author, pull, text)
        SELECT (n >> 12) & 1023, n, ((n >> 12) & 1023) << 12 | 5, false, 'text'
        FROM (SELECT n::bigint << 8 AS n FROM generate_series(1, 200000) AS n) AS ids;
    INSERT INTO follows SELECT n & 1023, n, f, 5 FROM generate_series(1, 2000) AS n, generate_series(1, 50) AS f;
    INSERT INTO followers SELECT f & 1023, f, n, n & 4095 FROM generate_series(1, 2000) AS n, generate_series(1, 50) AS f;
    INSERT INTO likes SELECT n & 1023, n, f FROM generate_series(1, 2000) AS n, generate_series(1, 20) AS f;
    INSERT INTO mutes SELECT n & 1023, n, f FROM generate_series(1, 2000) AS n, generate_series(1, 20) AS f;
    INSERT INTO blocks SELECT n & 1023, n, f FROM generate_series(1, 2000) AS n, generate_series(1, 20) AS f;
    INSERT INTO blocked_by SELECT n & 1023, n, f FROM generate_series(1, 2000) AS n, generate_series(1, 20) AS f;
    INSERT INTO post_counters SELECT n & 1023, n, 1 FROM generate_series(1, 20000) AS n;
    INSERT INTO user_feed SELECT n, 'feed' FROM generate_series(1, 20000) AS n;
    INSERT INTO outbox (number, event) SELECT n, 'event' FROM generate_series(1, 50000) AS n;
    VACUUM (ANALYZE);
    SET plan_cache_mode = force_generic_plan;";

/// The values that a statement of these parameters is explained with.
fn values(types: &[Type]) -> String {
    let value = |of: &Type| match of.oid() as Oid {
        oid if oid == Type::INT2_ARRAY.oid() => "'{5,6,7}'",
        oid if oid == Type::INT8_ARRAY.oid() => "'{20485,24581,28677}'",
        _ => "5",
    };
    types.iter().map(value).collect::<Vec<_>>().join(", ")
}

/// The plan of a statement as it is run: generic, its partitions pruned when it begins.
async fn plan(client: &Client, sql: &str) -> String {
    let statement = client.prepare(sql).await.expect("the server under test answers");
    client.batch_execute(&format!("PREPARE asked AS {sql}")).await.expect("the server under test answers");
    let explain = format!("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) EXECUTE asked({})", values(statement.params()));
    let lines = client.simple_query(&explain).await.expect("the server under test answers");
    client.batch_execute("DEALLOCATE asked").await.expect("the server under test answers");
    let text = |line: &SimpleQueryMessage| match line {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    };
    lines.iter().filter_map(text).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn hot_statements_look_up_by_index_in_one_partition() {
    let Some(server) = Server::named() else { return };
    let client = client(&server.url(&server.migrated().await)).await;
    for statement in FILL.split(';') {
        client.batch_execute(statement).await.expect("the server under test answers");
    }
    // Statement, whether indices alone answer it, and how many looks into a table it holds.
    let hot = [
        (sql::USERS, false, 1),
        (sql::POSTS, false, 3),
        (sql::POSTS_BY, true, 1),
        (sql::FOLLOWEES, true, 1),
        (sql::VIEW, false, 6),
        (sql::FOLLOWERS, true, 1),
        (sql::LIST_FOLLOWERS, true, 1),
        (sql::LIST_FOLLOWING, true, 1),
        (sql::LIST_MUTES, true, 1),
        (sql::LIST_BLOCKS, true, 1),
        (sql::LIKES, true, 1),
        (sql::LIKED, true, 1),
        (sql::CHECKPOINT, false, 0),
    ];
    for (sql, index_only, looks) in hot {
        let plan = plan(&client, sql).await;
        let told = format!("{sql}\n{plan}");
        for scan in ["Seq Scan", "Hash Join", "Merge Join", "Bitmap"] {
            assert!(!plan.contains(scan), "{scan}: {told}");
        }
        // Each look into a partitioned table prunes: all partitions but one before it runs, or one for each element.
        let pruned = plan.matches("Subplans Removed: 7").count();
        let by_element = plan.matches("(never executed)").count() / 4;
        assert!(pruned >= looks || by_element >= looks, "{pruned} {by_element}: {told}");
        if index_only {
            assert!(plan.contains("Index Only Scan") && !plan.contains("Index Scan"), "{told}");
            assert!(
                !plan.lines().any(|line| line.contains("Heap Fetches") && !line.contains("Heap Fetches: 0")),
                "{told}"
            );
        }
    }
    let events = plan(&client, sql::EVENTS).await;
    assert_eq!(events.matches("using outbox_numbered on outbox").count(), 2, "{events}");
    assert!(!events.contains("Seq Scan on outbox"), "{events}");
    let choice = plan(&client, sql::CHOICE).await;
    assert!(
        choice.contains("Index Only Scan Backward using posts_") && !choice.contains("Seq Scan on posts"),
        "{choice}"
    );
    assert!(choice.contains("Subplans Removed: 7") && choice.contains("never executed"), "by followers: {choice}");
    let numbering = "EXPLAIN (COSTS OFF) WITH waiting AS MATERIALIZED (SELECT ctid AS place, id FROM outbox
        WHERE number IS NULL ORDER BY id LIMIT 10) UPDATE outbox SET number = 5 FROM waiting WHERE outbox.ctid = place";
    let lines = client.simple_query(numbering).await.expect("the server under test answers");
    assert!(!format!("{lines:?}").contains("Seq Scan"), "{lines:?}");
    drop(client);
    server.clear().await;
}
