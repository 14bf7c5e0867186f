//! Whose pages may call the API from a browser: what `http.cors_origins` lists.

use std::net::Ipv6Addr;

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
    let Some((scheme, authority)) = text.split_once("://") else { return false };
    let default_port = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return false,
    };
    let (host, port) = match authority.rsplit_once(':') {
        // The last colon of an IPv6 address stands within its brackets.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let is_port = |text: &str| {
        text.parse::<u16>().is_ok_and(|port| port != 0 && port != default_port && port.to_string() == text)
    };
    is_host(host) && port.is_none_or(is_port)
}

fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok_and(|parsed| parsed.to_string() == address);
    }
    let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_');
    !host.is_empty() && host.bytes().all(known)
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
