//! As much of a browser as a sign-in needs: cookies by origin and path, and no redirect followed unasked.

use std::net::SocketAddr;
use std::sync::Mutex;

use openidconnect::url::Url;

use crate::common::{Client, Reply};

/// The callback of a provider as it is registered there. The tests' browsers go to the server instead.
pub fn redirect_url(provider: &str) -> String {
    format!("http://localhost:1/v1/auth/{provider}/callback")
}

struct Cookie {
    origin: SocketAddr,
    path: String,
    name: String,
    value: String,
}

/// A browser of one user.
#[derive(Default)]
pub struct Browser {
    cookies: Mutex<Vec<Cookie>>,
}

impl Browser {
    /// Gets a page, with these headers besides.
    pub async fn get(&self, origin: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Reply {
        let mut ask = Client::new(origin).get(path);
        let sent = self.cookies_for(origin, path);
        if !sent.is_empty() {
            ask = ask.header("cookie", &sent);
        }
        for (name, value) in headers {
            ask = ask.header(name, value);
        }
        let reply = ask.attempt().await.unwrap();
        for set in reply.headers.get_all("set-cookie") {
            self.keep(origin, set.to_str().unwrap());
        }
        reply
    }

    /// What it would send to a page.
    pub fn cookies_for(&self, origin: SocketAddr, path: &str) -> String {
        let cookies = self.cookies.lock().unwrap();
        let sent = cookies.iter().filter(|cookie| cookie.origin == origin && path.starts_with(&cookie.path));
        sent.map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect::<Vec<_>>().join("; ")
    }

    /// Keeps a cookie, as a `Set-Cookie` says it.
    pub fn keep(&self, origin: SocketAddr, set: &str) {
        let mut parts = set.split(';').map(str::trim);
        let (name, value) = parts.next().unwrap().split_once('=').unwrap();
        let attributes: Vec<(String, &str)> = parts
            .map(|part| part.split_once('=').unwrap_or((part, "")))
            .map(|(key, value)| (key.to_lowercase(), value))
            .collect();
        let attribute = |wanted: &str| attributes.iter().find(|(key, _)| key == wanted).map(|(_, value)| *value);
        let path = attribute("path").unwrap_or("/").to_owned();
        let ended = attribute("max-age") == Some("0") || attribute("expires").is_some_and(|at| at.contains("1970"));
        let mut cookies = self.cookies.lock().unwrap();
        cookies.retain(|cookie| (cookie.origin, &*cookie.path, &*cookie.name) != (origin, &path, name));
        if !ended {
            cookies.push(Cookie { origin, path, name: name.to_owned(), value: value.to_owned() });
        }
    }

    /// Begins a sign-in; where the server sends it.
    pub async fn login(&self, server: SocketAddr, provider: &str, headers: &[(&str, &str)]) -> Url {
        let reply = self.get(server, &format!("/v1/auth/{provider}/login"), headers).await.expect(302);
        reply.check();
        assert_eq!(reply.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        assert!(reply.body.is_empty());
        reply.header("location").unwrap().parse().unwrap()
    }

    /// Comes back to the server, as the provider's redirect says.
    pub async fn come_back(&self, server: SocketAddr, url: &str) -> Reply {
        let url: Url = url.parse().unwrap();
        let reply = self.get(server, &format!("{}?{}", url.path(), url.query().unwrap_or_default()), &[]).await;
        reply.check();
        assert_eq!(reply.header("referrer-policy"), Some("no-referrer"), "{}", reply.asked);
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{}", reply.asked);
        assert_eq!(reply.header("location"), None, "nobody is sent anywhere else");
        reply
    }
}

/// A parameter of a URL.
pub fn parameter(url: &Url, name: &str) -> String {
    let found: Vec<_> = url.query_pairs().filter(|(key, _)| key == name).map(|(_, value)| value.into_owned()).collect();
    assert_eq!(found.len(), 1, "{name} in {url}");
    found.into_iter().next().unwrap()
}
