//! What no log, error or output may have.

/// Texts of which nobody may be told, each with what it is.
#[derive(Default)]
pub struct Secrets(Vec<(&'static str, String)>);

impl Secrets {
    /// One more, whole.
    pub fn add(&mut self, what: &'static str, secret: &str) {
        assert!(secret.len() >= 6, "{what}: so short a text is found by chance");
        self.0.push((what, secret.to_owned()));
    }

    /// One more token: also what makes it good, its last part, alone.
    pub fn add_token(&mut self, what: &'static str, token: &str) {
        self.add(what, token);
        if let Some((_, signature)) = token.rsplit_once('.') {
            self.add(what, signature);
        }
    }

    /// None of them is in `told`, neither as it is nor as the numbers of its bytes.
    #[track_caller]
    pub fn assert_not_in(&self, told: &str) {
        for (what, secret) in &self.0 {
            let numbers = format!("{:?}", secret.as_bytes());
            for form in [secret.as_str(), numbers.trim_matches(['[', ']'])] {
                let at = told.find(form).map(|at| told[..at].lines().count());
                assert_eq!(at, None, "{what}: is told in this line of {} bytes", told.len());
            }
        }
    }
}
