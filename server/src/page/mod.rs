//! The page: a small client in plain HTML, CSS and modules, compiled in. No build step, no file to lose.

use crate::http::Asset;

const HTML: &str = "text/html; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

macro_rules! files {
    ($($path:literal $content_type:ident $file:literal;)*) => {
        [$(($path, Asset { content_type: $content_type, bytes: include_bytes!(concat!("files/", $file)) })),*]
    };
}

const CSS: &str = "text/css; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Every file by its path. `/signed-in` is where providers send browsers back to.
const FILES: &[(&str, Asset)] = &files! {
    "/"              HTML "index.html";
    "/signed-in"     HTML "index.html";
    "/style.css"     CSS  "style.css";
    "/favicon.svg"   SVG  "favicon.svg";
    "/app.js"        JS   "app.js";
    "/compose.js"    JS   "compose.js";
    "/dom.js"        JS   "dom.js";
    "/endless.js"    JS   "endless.js";
    "/events.js"     JS   "events.js";
    "/home.js"       JS   "home.js";
    "/http.js"       JS   "http.js";
    "/kept.js"       JS   "kept.js";
    "/keys.js"       JS   "keys.js";
    "/live.js"       JS   "live.js";
    "/operator.js"   JS   "operator.js";
    "/people.js"     JS   "people.js";
    "/person.js"     JS   "person.js";
    "/popular.js"    JS   "popular.js";
    "/posts.js"      JS   "posts.js";
    "/relations.js"  JS   "relations.js";
    "/session.js"    JS   "session.js";
    "/signing-in.js" JS   "signing-in.js";
    "/stored.js"     JS   "stored.js";
};

/// The page's file at this path.
pub fn asset(path: &str) -> Option<Asset> {
    FILES.iter().find(|(known, _)| *known == path).map(|(_, asset)| *asset)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &str) -> &'static str {
        std::str::from_utf8(asset(path).unwrap_or_else(|| panic!("{path} is not served")).bytes).unwrap()
    }

    fn paths() -> impl Iterator<Item = &'static str> {
        FILES.iter().map(|(path, _)| *path)
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
    fn it_says_that_it_starts_until_every_module_is_there() {
        let main = text("/").split("<main").nth(1).expect("a main part").trim_start();
        let first = main.split('>').nth(1).expect("something in it");
        assert!(first.contains("id=\"starting\"") && !first.contains("hidden"), "{first}");
        assert!(text("/app.js").contains("find(\"starting\").remove();"));
    }

    #[test]
    fn every_file_is_part_of_the_page() {
        let imports = |path: &str| paths().any(|module| text(module).contains(&format!("\".{path}\"")));
        for path in paths().filter(|path| path.ends_with(".js")) {
            assert!(path == "/app.js" || imports(path), "nothing imports {path}");
        }
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
}
