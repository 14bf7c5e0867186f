//! No password of a service, and no token, is told by a node that logs everything its libraries say.

use serde_json::json;

use crate::common::{Client, Process, Secrets};
use crate::place::{Place, SECRET};

#[tokio::test]
async fn a_node_over_services_that_logs_everything_tells_no_secret() {
    let Some(mut place) = Place::migrated().await else { return };
    place.log = "trace".into();
    // This PostgreSQL asks for no password, but is given one; this shard is not there, and is asked for again and again.
    place.url = place.url.replace("tributary@", &format!("tributary:{SECRET}@"));
    assert!(place.url.contains(SECRET), "{}", place.url);
    place.shards[0] = format!("redis://:{SECRET}@127.0.0.1:1/0");
    place.succeeds("check").await;
    let node = Process::start(place.folder(), "tributary.toml", place.folder().join("node.log")).await;
    let mut secrets = Secrets::default();
    secrets.add("a password", SECRET);
    let key = std::fs::read_to_string(place.folder().join(&place.key_file)).unwrap();
    secrets.add("the signing key", key.trim());
    for client in [Client::new(node.address), Client::http2(node.address)] {
        let ann = client.sign_in("ann").await;
        secrets.add_token("an access token", &ann.token);
        ann.post("/v1/posts", &json!({"text": "a text for followers only"})).await.expect(201);
        secrets.add("the text of a post", "a text for followers only");
        ann.get("/v1/feed").await.expect(200);
        client.get("/v1/me").header("authorization", "Bearer token-of-somewhere-else").await.expect(401);
        secrets.add("a token that is none", "token-of-somewhere-else");
        secrets.add_sessions(&client).await;
    }
    let told = node.told();
    assert!(told.contains("TRACE") && told.contains("/v1/posts"), "libraries log too, or nothing is tested");
    secrets.assert_not_in(&told);
    drop(node);
    place.remove().await;
}
