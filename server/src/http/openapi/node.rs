//! For supervisors, monitors and developers.

use http::Method;
use utoipa::openapi::ObjectBuilder;

use super::operation::{Described, guest, probe, text};
use super::shapes::Health;

/// Each of them.
pub fn operations() -> Vec<Described> {
    let health = |path, id, summary| {
        probe(Method::GET, path, id, summary)
            .answers::<Health>(200, "It can serve, if only worse (`degraded`).")
            .answers::<Health>(503, "It cannot serve.")
            .with("Retry-After", "Seconds after which to ask again.")
    };
    vec![
        health("/healthz", "getHealth", "Whether this process is well"),
        health("/readyz", "getReadiness", "Whether this process can serve"),
        probe(Method::GET, "/metrics", "getMetrics", "Figures for Prometheus").answers_as(
            200,
            "text/plain; version=0.0.4; charset=utf-8",
            text(),
            "Metrics in the text format of Prometheus.",
        ),
        guest(Method::GET, "/openapi.json", "getDocument", "This document").answers_as(
            200,
            "application/json",
            ObjectBuilder::new(),
            "The document.",
        ),
        guest(Method::GET, "/docs", "getDocs", "This document, for reading and trying")
            .answers_as(200, "text/html; charset=utf-8", text(), "A page.")
            .validated("Of the page."),
    ]
}
