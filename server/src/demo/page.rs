//! The files of the page, compiled in: no build step, no file to lose.

/// (path, content type, content)
type File = (&'static str, &'static str, &'static [u8]);

const HTML: &str = "text/html; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

const FILES: [File; 9] = [
    ("/", HTML, include_bytes!("page/index.html")),
    ("/style.css", "text/css; charset=utf-8", include_bytes!("page/style.css")),
    ("/favicon.svg", "image/svg+xml", include_bytes!("page/favicon.svg")),
    ("/app.js", JS, include_bytes!("page/app.js")),
    ("/api.js", JS, include_bytes!("page/api.js")),
    ("/dom.js", JS, include_bytes!("page/dom.js")),
    ("/timeline.js", JS, include_bytes!("page/timeline.js")),
    ("/people.js", JS, include_bytes!("page/people.js")),
    ("/operator.js", JS, include_bytes!("page/operator.js")),
];

/// The content type and the bytes of the page's file at this path.
pub fn asset(path: &str) -> Option<(&'static str, &'static [u8])> {
    FILES.iter().find(|file| file.0 == path).map(|file| (file.1, file.2))
}

/// Every path that [`asset`] knows.
pub fn paths() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|file| file.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::cast::CAST;

    fn text(path: &str) -> &'static str {
        std::str::from_utf8(asset(path).unwrap_or_else(|| panic!("{path} is not served")).1).unwrap()
    }

    /// What stands between `before` and `after`, everywhere in `text`.
    fn between<'a>(text: &'a str, before: &'a str, after: char) -> impl Iterator<Item = &'a str> {
        text.split(before).skip(1).map(move |rest| rest.split(after).next().unwrap_or_default())
    }

    #[test]
    fn every_file_that_the_page_refers_to_is_served() {
        for attribute in ["src=\"", "href=\""] {
            for path in between(text("/"), attribute, '"').filter(|path| !path.starts_with('#')) {
                assert!(asset(path).is_some(), "{path}");
            }
        }
        for module in paths().filter(|path| path.ends_with(".js")) {
            for path in between(text(module), "from \"", '"') {
                assert!(asset(path.trim_start_matches('.')).is_some(), "{module} imports {path}");
            }
        }
        assert!(asset("/nothing").is_none());
    }

    #[test]
    fn the_page_obeys_a_content_security_policy_of_self_only() {
        for path in paths() {
            let text = text(path).replace("http://www.w3.org/2000/svg", "");
            assert!(
                !text.contains("http:") && !text.contains("https:") && !text.contains("\"//"),
                "{path} names an external URL"
            );
        }
        let html = text("/");
        assert!(!html.contains("<style") && !html.contains(" style="), "inline style");
        assert!(!html.contains("javascript:"), "inline script");
        assert_eq!(
            html.matches("<script").count(),
            html.matches("<script type=\"module\" src=\"").count(),
            "inline script"
        );
        let handlers = html.split_ascii_whitespace().filter(|word| word.starts_with("on") && word.contains("=\""));
        assert_eq!(handlers.count(), 0, "inline handler");
    }

    #[test]
    fn what_people_wrote_is_only_ever_inserted_as_text() {
        for module in paths().filter(|path| path.ends_with(".js")) {
            for word in
                ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "setAttribute(\"style\""]
            {
                assert!(!text(module).contains(word), "{module} uses {word}");
            }
        }
    }

    #[test]
    fn the_page_knows_the_cast_by_handle() {
        let listed: Vec<&str> =
            between(text("/people.js"), "CAST = [", ']').flat_map(|list| between(list, " \"", '"')).collect();
        let cast: Vec<&str> = CAST.iter().map(|role| role.handle).collect();
        assert_eq!(listed, cast);
    }
}
