//! From what a provider says of a user to whom the engine knows: an identity, handles to wish for, a name, and whether
//! it is an operator. Nothing of it is trusted to be short or well-formed.

use tributary_engine::limits::{HANDLE_BYTES, NAME_CHARS, SUBJECT_BYTES};
use tributary_engine::model::{Handle, Identity};

use super::{Claims, Provider};
use crate::http::problem::Fault;

/// Characters of a claim that are looked at for a handle or a name.
const LOOKED_AT: usize = 400;
/// Numbers to try behind a handle that is taken, then random ones.
const NUMBERED: u32 = 9;
const RANDOM: u32 = 8;

/// Whom a provider vouches for.
pub struct Profile {
    /// Who it is there.
    pub identity: Identity,
    /// Handles to have here, the most wished for first.
    pub handles: Vec<Handle>,
    /// The name to show.
    pub name: String,
    /// Whether the provider says so.
    pub operator: bool,
}

impl Profile {
    /// What `claims`, which were verified, make of the user. `reserved`: handles that nobody gets for wishing.
    pub fn new(provider: &Provider, claims: &Claims, reserved: &[Handle]) -> Result<Self, Fault> {
        let subject = said(claims, "sub")
            .filter(|subject| (1..=SUBJECT_BYTES).contains(&subject.len()) && !subject.chars().any(char::is_control));
        let subject = subject.ok_or_else(|| provider.unavailable("a subject is missing or malformed"))?;
        let wishes = ["preferred_username", "email", "name"];
        // Of an address the part that is the user's own.
        let wish = wishes.iter().find_map(|&claim| handle(said(claims, claim)?.split('@').next()?));
        let name = said(claims, "name").map(displayed).filter(|name| !name.is_empty());
        let handles = handles(wish.as_deref().unwrap_or("user"), reserved);
        Ok(Self {
            identity: Identity { provider: provider.settings.name.as_str().into(), subject: subject.into() },
            name: name.unwrap_or_else(|| wish.unwrap_or_else(|| "user".to_owned())),
            handles,
            operator: provider.settings.operator.as_ref().is_some_and(|(claim, value)| has(claims, claim, value)),
        })
    }
}

fn said<'a>(claims: &'a Claims, claim: &str) -> Option<&'a str> {
    claims.get(claim)?.as_str()
}

/// Whether a claim is this text, or a list that has it.
fn has(claims: &Claims, claim: &str, value: &str) -> bool {
    let items = claims.get(claim).and_then(serde_json::Value::as_array).map(Vec::as_slice).unwrap_or_default();
    said(claims, claim) == Some(value) || items.iter().any(|item| item.as_str() == Some(value))
}

/// What of a text can stand in a handle; none where nothing can.
fn handle(text: &str) -> Option<String> {
    let lower = text.chars().take(LOOKED_AT).flat_map(char::to_lowercase);
    let kept: String = lower
        .filter_map(|c| match c {
            'a'..='z' | '0'..='9' | '_' => Some(c),
            ' ' | '-' | '.' => Some('_'),
            _ => None,
        })
        .collect();
    let kept = kept.trim_matches('_');
    (!kept.is_empty()).then(|| kept[..kept.len().min(HANDLE_BYTES)].to_owned())
}

/// The handle itself, then with digits.
fn handles(wish: &str, reserved: &[Handle]) -> Vec<Handle> {
    let numbered = (2..=NUMBERED).map(|n| n.to_string());
    let random = (0..RANDOM).map(|_| fastrand::u32(100_000_000..1_000_000_000).to_string());
    let suffixes = std::iter::once(String::new()).chain(numbered).chain(random);
    let handle = |suffix: String| {
        let wish = &wish[..wish.len().min(HANDLE_BYTES - suffix.len())];
        format!("{wish}{suffix}").parse().ok().filter(|handle| !reserved.contains(handle))
    };
    suffixes.filter_map(handle).collect()
}

/// A text as a name: one line, bounded, without what would turn a line around it.
fn displayed(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    let kept = text.chars().take(LOOKED_AT).filter(|&c| (c.is_whitespace() || !c.is_control()) && !turns(c));
    let words: Vec<String> = kept.collect::<String>().split_whitespace().map(str::to_owned).collect();
    words.join(" ").chars().take(NAME_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_what_can_stand_in_one() {
        for (text, wanted) in [
            ("ann", Some("ann")),
            ("Ann-Marie O. Smith", Some("ann_marie_o__smith")),
            ("ÅNN_Ünal", Some("nn_nal")),
            ("\u{212A}elvin", Some("kelvin")),
            ("..__..", None),
            ("田中", None),
            ("", None),
            ("\0\u{202E}<script>", Some("script")),
        ] {
            assert_eq!(handle(text).as_deref(), wanted, "{text:?}");
        }
        assert_eq!(handle(&"a".repeat(1_000_000)).map(|handle| handle.len()), Some(HANDLE_BYTES));
    }

    #[test]
    fn handles_are_different_and_fit_and_leave_out_what_is_reserved() {
        for wish in ["ann", "user", &"a".repeat(HANDLE_BYTES)] {
            let mut found = handles(wish, &[]);
            assert_eq!(found[0].as_str(), wish);
            assert_eq!(found[1].as_str(), format!("{}2", &wish[..wish.len().min(HANDLE_BYTES - 1)]));
            assert_eq!(found.len() as u32, NUMBERED + RANDOM);
            let reserved = [found[0].clone(), found[2].clone()];
            assert!(!handles(wish, &reserved).iter().any(|handle| reserved.contains(handle)));
            found.sort_unstable();
            found.dedup();
            assert_eq!(found.len() as u32, NUMBERED + RANDOM);
        }
    }

    #[test]
    fn a_name_is_one_bounded_line() {
        assert_eq!(displayed("  Ann\r\n\tMarie \u{0} \u{1b}[31m "), "Ann Marie [31m");
        assert_eq!(displayed("A\u{202E}B\u{2066}C"), "ABC");
        assert_eq!(displayed("田中 さくら"), "田中 さくら");
        assert_eq!(displayed(&"ü".repeat(10_000)).chars().count(), NAME_CHARS);
        assert_eq!(displayed(" \u{200F}\n"), "");
    }

    #[test]
    fn a_claim_has_a_value_as_text_or_in_a_list() {
        let claims = |text: &str| serde_json::from_str::<Claims>(text).unwrap();
        for (text, wanted) in [
            (r#"{"roles":"admin"}"#, true),
            (r#"{"roles":["x","admin"]}"#, true),
            (r#"{"roles":["administrator"]}"#, false),
            (r#"{"roles":"admin x"}"#, false),
            (r#"{"roles":{"admin":true}}"#, false),
            (r#"{"roles":[["admin"]]}"#, false),
            (r#"{"role":"admin"}"#, false),
            ("{}", false),
        ] {
            assert_eq!(has(&claims(text), "roles", "admin"), wanted, "{text}");
        }
    }
}
