//! Health and metrics: what supervisors and monitors ask of every process.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::StatusCode;
use http::header::{HeaderValue, RETRY_AFTER};
use serde::Serialize;
use tributary_engine::Check;

use crate::http::problem::{Fault, RETRY_AFTER_S};
use crate::http::respond::{self, Answer};
use crate::http::router::Call;
use crate::http::settings::HEALTH_TIMEOUT;

#[derive(Serialize)]
struct HealthBody {
    status: &'static str,
    checks: BTreeMap<&'static str, &'static str>,
}

/// `GET /healthz`, `GET /readyz`: a process that cannot serve is neither healthy nor ready; one that can serve
/// only worse is both.
pub async fn health(call: Call) -> Result<Answer, Fault> {
    let look = async {
        match tokio::time::timeout(HEALTH_TIMEOUT, call.app.engine.health()).await {
            Ok(checks) => checks.into(),
            Err(_) => Arc::from([Check { name: "engine", state: Err("no answer in time"), vital: true }]),
        }
    };
    let (status, body) = judged(&call.app.checked.get(look).await);
    let mut answer = respond::json(status, &body);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
    }
    Ok(answer)
}

fn judged(checks: &[Check]) -> (StatusCode, HealthBody) {
    let fails = |vital: bool| checks.iter().any(|check| check.vital == vital && check.state.is_err());
    let (code, status) = match (fails(true), fails(false)) {
        (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "down"),
        (false, true) => (StatusCode::OK, "degraded"),
        (false, false) => (StatusCode::OK, "ok"),
    };
    let mut told = BTreeMap::new();
    for check in checks {
        // Of several checks with one name the first that fails is told.
        let state = told.entry(check.name).or_insert("ok");
        if *state == "ok" {
            *state = check.state.err().unwrap_or("ok");
        }
    }
    (code, HealthBody { status, checks: told })
}

/// `GET /metrics`
pub async fn metrics(call: Call) -> Result<Answer, Fault> {
    let rendered = call.app.rendered.get(async { (call.app.metrics)().into() }).await;
    Ok(respond::bytes(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", rendered))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_vital_failure_takes_a_node_down() {
        let check = |name, state, vital| Check { name, state, vital };
        let (store, shard) = (check("store", Ok(()), true), check("shard", Ok(()), false));
        let lost = check("shard", Err("unreachable"), false);
        let gone = check("store", Err("unreachable"), true);
        let judge = |checks: &[Check]| judged(checks).0.as_u16();
        assert_eq!(judge(&[store.clone(), shard.clone()]), 200);
        assert_eq!(judge(&[store, lost.clone()]), 200);
        assert_eq!(judge(&[gone, lost.clone()]), 503);
        let (_, body) = judged(&[lost, shard]);
        assert_eq!((body.status, body.checks["shard"]), ("degraded", "unreachable"));
    }
}
