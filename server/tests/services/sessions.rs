//! Sessions over two nodes of one store, and keys that are rotated one node at a time.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::future::join_all;
use http::Method;
use serde_json::{Value, json};

use crate::common::{Client, Process, Reply};
use crate::place::Place;

async fn sign_in(node: &Process) -> Value {
    let login = json!({"handle": "ann", "operator": true});
    Client::new(node.address).ask(Method::POST, "/v1/auth/dev").json(&login).await.expect(200).json()
}

async fn refresh(node: &Process, tokens: &Value) -> Reply {
    let body = json!({"refresh_token": tokens["refresh_token"]});
    Client::new(node.address).ask(Method::POST, "/v1/auth/refresh").json(&body).await
}

async fn asks(node: &Process, tokens: &Value) -> Reply {
    let bearer = format!("Bearer {}", tokens["access_token"].as_str().unwrap());
    Client::new(node.address).get("/v1/operator/status").header("authorization", &bearer).await
}

async fn start(place: &Place, name: &str) -> Process {
    place.succeeds("check").await;
    Process::start(place.folder(), "tributary.toml", place.folder().join(format!("{name}.log"))).await
}

#[tokio::test]
async fn a_session_is_one_on_all_nodes() {
    let Some(place) = Place::migrated().await else { return };
    let nodes = [start(&place, "one").await, start(&place, "two").await];
    let mut tokens = sign_in(&nodes[0]).await;
    let first = tokens.clone();
    for node in [&nodes[1], &nodes[0], &nodes[1]] {
        tokens = refresh(node, &tokens).await.expect(200).json();
        asks(node, &tokens).await.expect(200);
    }
    refresh(&nodes[0], &first).await.problem(401, "refresh_token_reused");
    for node in &nodes {
        refresh(node, &tokens).await.problem(401, "refresh_token_invalid");
    }
    // So many that one address may ask them at once, however fast the machine is.
    for _ in 0..5 {
        let tokens = sign_in(&nodes[0]).await;
        let told = join_all((0..8).map(|n| refresh(&nodes[n % 2], &tokens))).await;
        let good: Vec<&Reply> = told.iter().filter(|reply| reply.status == 200).collect();
        assert_eq!(good.len(), 1, "one wins");
        assert_eq!(told.iter().filter(|reply| reply.status == 401).count(), 7);
        refresh(&nodes[1], &good[0].json()).await.problem(401, "refresh_token_invalid");
    }
    drop(nodes);
    place.remove().await;
}

/// Two nodes, each with a file of its own, go from one key to another, one after the other. Whatever either of them has
/// signed is good at both, at every step.
#[tokio::test]
async fn keys_are_rotated_one_node_at_a_time() {
    let Some(mut place) = Place::migrated().await else { return };
    let (old, new) = (URL_SAFE_NO_PAD.encode([5; 32]), URL_SAFE_NO_PAD.encode([6; 32]));
    let names = ["one", "two"];
    let mut nodes: [Option<Process>; 2] = [None, None];
    for keys in [old.clone(), format!("{old}\n{new}"), format!("{new}\n{old}"), new.clone()] {
        for (n, name) in names.into_iter().enumerate() {
            std::fs::write(place.folder().join(name), &keys).unwrap();
            place.key_file = name.into();
            nodes[n] = None;
            nodes[n] = Some(start(&place, name).await);
            let running: Vec<&Process> = nodes.iter().flatten().collect();
            for signer in &running {
                let tokens = sign_in(signer).await;
                for node in &running {
                    asks(node, &tokens).await.expect(200);
                }
            }
        }
    }
    // The first of these leaves a step out, the second comes back with a key that was removed.
    let third = URL_SAFE_NO_PAD.encode([7; 32]);
    place.key_file = "three".into();
    for (keys, words) in [(format!("{third}\n{new}"), "its first key"), (old, "another key")] {
        std::fs::write(place.folder().join("three"), keys).unwrap();
        place.fails("serve", &["auth.signing_key_file", words]).await;
    }
    drop(nodes);
    place.remove().await;
}
