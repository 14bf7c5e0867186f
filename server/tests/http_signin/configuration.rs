//! Providers as the configuration has them.

use tributary_server::config::{Config, Sources};

fn resolved(file: &str) -> Config {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tributary.toml"), file).unwrap();
    let file = Some("tributary.toml".into());
    let sources = Sources { file, env: Vec::new(), listen: None, demo: None, working_folder: folder.path().into() };
    Config::resolve(&sources).unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn providers_have_presets_and_are_shown_as_they_are_in_effect() {
    let file = "
[[auth.provider]]
name = 'google'
client_id = 'a'
client_secret_file = 'google.secret'
redirect_url = 'https://a.example/v1/auth/google/callback'
[[auth.provider]]
name = 'github'
client_id = 'b'
redirect_url = 'https://a.example/v1/auth/github/callback'
[[auth.provider]]
name = 'company'
issuer = 'https://login.example/realms/a'
client_id = 'c'
redirect_url = 'http://localhost:8080/v1/auth/company/callback'
scopes = ['openid', 'email']
operator_claim = 'roles'
operator_value = 'operator'
";
    let config = resolved(file);
    let shown = config.to_toml();
    let (_, providers) = shown.split_once("[[auth.provider]]").unwrap();
    let expected = "
name = \"google\"
issuer = \"https://accounts.google.com\"
client_id = \"a\"
client_secret_file = \"FOLDER/google.secret\"
redirect_url = \"https://a.example/v1/auth/google/callback\"
scopes = [\"openid\", \"profile\"]

[[auth.provider]]
name = \"github\"
client_id = \"b\"
redirect_url = \"https://a.example/v1/auth/github/callback\"
scopes = []

[[auth.provider]]
name = \"company\"
issuer = \"https://login.example/realms/a\"
client_id = \"c\"
redirect_url = \"http://localhost:8080/v1/auth/company/callback\"
scopes = [\"openid\", \"email\"]
operator_claim = \"roles\"
operator_value = \"operator\"
";
    let file = config.auth.providers[0].client_secret_file.as_ref().unwrap();
    let folder = file.parent().unwrap().to_str().unwrap();
    assert_eq!(providers, expected.replace("FOLDER", folder));
}
