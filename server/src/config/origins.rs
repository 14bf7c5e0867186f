//! Whose pages may call the API from a browser: what `http.cors_origins` lists.

use openidconnect::url::Url;

/// Origins of pages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origins {
    /// Every origin.
    Any,
    /// These, each as browsers send it: `https://app.example`, `http://localhost:3000`.
    Only(Vec<Box<str>>),
}

impl Origins {
    /// Reads a list of origins, or of `*` alone; none where it is neither.
    pub fn read(items: &[&str]) -> Option<Self> {
        if items == ["*"] {
            return Some(Self::Any);
        }
        let all_good = items.iter().all(|item| is_origin(item));
        all_good.then(|| Self::Only(items.iter().map(|&item| item.into()).collect()))
    }

    /// Whether no page of another origin may.
    pub fn is_nobody(&self) -> bool {
        matches!(self, Self::Only(list) if list.is_empty())
    }
}

/// Whether a browser would send just this text. Anything else would silently never match.
fn is_origin(text: &str) -> bool {
    let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-_:/[]".contains(&b);
    let web = ["http://", "https://"].iter().any(|scheme| text.starts_with(scheme));
    // A URL's host may have more letters: above all the star, which somebody could take for a pattern.
    let same = |url: Url| url.origin().ascii_serialization() == text && url.port() != Some(0);
    web && text.bytes().all(known) && Url::parse(text).is_ok_and(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_a_browser_sends() {
        for good in [
            "https://app.example",
            "http://localhost",
            "http://localhost:3000",
            "https://a-b.example:8443",
            "http://127.0.0.1:8080",
            "http://[::1]:8080",
            "https://[2001:db8::1]",
            "https://app.example:80",
        ] {
            assert!(is_origin(good), "{good}");
        }
        for bad in [
            "",
            "*",
            "null",
            "app.example",
            "ftp://app.example",
            "https://",
            "https://App.example",
            "https://app.example/",
            "https://app.example/path",
            "https://app.example:443",
            "http://app.example:080",
            "http://app.example:0",
            "http://app.example:65536",
            "http://app.example:",
            "http://user@app.example",
            "https://*.app.example",
            "http://[::1",
            "http://[0:0::1]",
            "http://a b",
            "http://1",
            "http://127.1",
        ] {
            assert!(!is_origin(bad), "{bad}");
        }
    }

    #[test]
    fn all_origins_are_named_alone() {
        assert_eq!(Origins::read(&["*"]), Some(Origins::Any));
        assert_eq!(Origins::read(&["*", "https://a.example"]), None);
        assert!(Origins::read(&[]).is_some_and(|origins| origins.is_nobody()));
        assert!(!Origins::Any.is_nobody());
    }
}
