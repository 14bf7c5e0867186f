//! The table of routes: what the server answers, at which door.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::Method;
use http::request::Parts;
use tributary_engine::ClientKey;

use super::app::App;
use super::problem::Fault;
use super::respond::Answer;
use super::routes::{auth, docs, feed, health, likes, live, operator, popular, posts, relations, signin, users};
use super::tokens::Caller;

/// A request that found its route, read whole.
pub struct Call {
    /// What requests share.
    pub app: Arc<App>,
    /// Its method, address and headers.
    pub parts: Parts,
    /// What stands for the pattern's `{id}` in the path.
    pub id: Box<str>,
    /// Its body; empty where the method has none.
    pub body: Bytes,
    /// Its idempotency key, on a command.
    pub key: Option<ClientKey>,
}

/// What a handler comes to.
pub type Handled = BoxFuture<'static, Result<Answer, Fault>>;

/// Who may use a route, and what answers it.
#[derive(Clone, Copy)]
pub enum Door {
    /// Anybody, any number of times, on every process: health and metrics. What they cost must not grow with their
    /// number.
    Probe(fn(Call) -> Handled),
    /// Anybody, without a token.
    Guest(fn(Call) -> Handled),
    /// Anybody; whoever has a token is known by it.
    Visitor(fn(Call, Option<Caller>) -> Handled),
    /// Whoever has a token.
    User(fn(Call, Caller) -> Handled),
    /// Whoever has an operator's token.
    Operator(fn(Call, Caller) -> Handled),
}

macro_rules! door {
    (Probe $handler:path) => {
        Door::Probe(|call| Box::pin($handler(call)))
    };
    (Guest $handler:path) => {
        Door::Guest(|call| Box::pin($handler(call)))
    };
    (Visitor $handler:path) => {
        Door::Visitor(|call, caller| Box::pin($handler(call, caller)))
    };
    (User $handler:path) => {
        Door::User(|call, caller| Box::pin($handler(call, caller)))
    };
    (Operator $handler:path) => {
        Door::Operator(|call, caller| Box::pin($handler(call, caller)))
    };
}

macro_rules! routes {
    ($($method:ident $pattern:literal $door:ident $handler:path;)*) => {
        &[$((Method::$method, $pattern, door!($door $handler))),*]
    };
}

/// Every route. HEAD goes where GET does.
pub const ROUTES: &[(Method, &str, Door)] = routes! {
    GET    "/healthz"                     Probe    health::health;
    GET    "/readyz"                      Probe    health::health;
    GET    "/metrics"                     Probe    health::metrics;
    POST   "/v1/auth/dev"                 Guest    auth::dev;
    POST   "/v1/auth/refresh"             Guest    auth::refresh;
    POST   "/v1/auth/logout"              Guest    auth::logout;
    GET    "/v1/auth/providers"           Guest    signin::providers;
    GET    "/v1/auth/{id}/login"          Visitor  signin::login;
    GET    "/v1/auth/{id}/callback"       Guest    signin::callback;
    GET    "/v1/me"                       User     users::me;
    GET    "/v1/users"                    User     users::by_handle;
    GET    "/v1/users/{id}"               User     users::by_id;
    GET    "/v1/users/{id}/posts"         User     posts::of_author;
    GET    "/v1/users/{id}/followers"     User     users::followers;
    GET    "/v1/users/{id}/following"     User     users::following;
    POST   "/v1/posts"                    User     posts::publish;
    GET    "/v1/posts/{id}"               User     posts::one;
    DELETE "/v1/posts/{id}"               User     posts::remove;
    PUT    "/v1/likes/{id}"               User     likes::like;
    DELETE "/v1/likes/{id}"               User     likes::unlike;
    PUT    "/v1/follows/{id}"             User     relations::follow;
    DELETE "/v1/follows/{id}"             User     relations::unfollow;
    GET    "/v1/mutes"                    User     users::mutes;
    PUT    "/v1/mutes/{id}"               User     relations::mute;
    DELETE "/v1/mutes/{id}"               User     relations::unmute;
    GET    "/v1/blocks"                   User     users::blocks;
    PUT    "/v1/blocks/{id}"              User     relations::block;
    DELETE "/v1/blocks/{id}"              User     relations::unblock;
    GET    "/v1/feed"                     User     feed::home;
    GET    "/v1/feed/live"                User     live::live;
    GET    "/v1/popular"                  Visitor  popular::list;
    GET    "/v1/operator/tuning"          Operator operator::tuning;
    PUT    "/v1/operator/tuning"          Operator operator::tune;
    GET    "/v1/operator/tuning/history"  Operator operator::history;
    GET    "/v1/operator/authors/{id}"    Operator operator::author;
    PUT    "/v1/operator/authors/{id}"    Operator operator::pin;
    GET    "/v1/operator/feed/{id}"       Operator feed::of_reader;
    GET    "/v1/operator/status"          Operator operator::status;
    GET    "/openapi.json"                Guest    docs::document;
    GET    "/docs"                        Guest    docs::page;
    GET    "/docs/init.js"                Guest    docs::init;
    GET    "/docs/swagger-ui.js"          Guest    docs::script;
    GET    "/docs/swagger-ui.css"         Guest    docs::style;
};

/// A pattern with its methods.
pub struct Resource {
    /// The pattern, as metrics and logs name it.
    pub pattern: &'static str,
    /// The value of `Allow`.
    pub allow: String,
    doors: Vec<(&'static Method, Door)>,
}

impl Resource {
    /// Whether processes answer it that are no API nodes.
    pub fn is_probe(&self) -> bool {
        self.doors.iter().any(|(_, door)| matches!(door, Door::Probe(_)))
    }

    /// Where this method goes.
    pub fn door(&self, method: &Method) -> Option<Door> {
        let method = if method == Method::HEAD { &Method::GET } else { method };
        self.doors.iter().find(|(known, _)| *known == method).map(|(_, door)| *door)
    }
}

static RESOURCES: LazyLock<matchit::Router<Resource>> = LazyLock::new(|| {
    let mut router = matchit::Router::new();
    for (n, (_, pattern, _)) in ROUTES.iter().enumerate() {
        if ROUTES[..n].iter().any(|(_, earlier, _)| earlier == pattern) {
            continue;
        }
        let doors: Vec<_> =
            ROUTES.iter().filter(|(_, other, _)| other == pattern).map(|(method, _, door)| (method, *door)).collect();
        let mut allow: Vec<&str> = doors.iter().map(|(method, _)| method.as_str()).collect();
        if allow.contains(&"GET") {
            allow.push("HEAD");
        }
        let resource = Resource { pattern, allow: allow.join(", "), doors };
        router.insert(*pattern, resource).expect("the patterns of the table do not conflict");
    }
    router
});

/// The resource of a path, with what stands for its `{id}`.
pub fn find(path: &str) -> Option<(&'static Resource, Box<str>)> {
    let found = RESOURCES.at(path).ok()?;
    Some((found.value, found.params.get("id").unwrap_or_default().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_of_the_table_is_found_by_its_path() {
        for (method, pattern, _) in ROUTES {
            let (resource, id) = find(&pattern.replace("{id}", "12")).expect(pattern);
            assert_eq!(resource.pattern, *pattern);
            assert!(resource.door(method).is_some() && resource.allow.contains(method.as_str()), "{pattern}");
            assert_eq!(&*id, if pattern.contains("{id}") { "12" } else { "" });
        }
    }

    #[test]
    fn other_paths_are_no_routes() {
        for path in ["", "*", "/", "/v1", "/v1/", "/v1/me/", "/v1//me", "/v1/users/1/", "/V1/me", "/v1/users//posts"] {
            assert!(find(path).is_none(), "{path:?}");
        }
    }
}
