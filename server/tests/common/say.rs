//! Words to whoever runs the tests.

use std::fmt::Display;
use std::io::Write as _;

/// Says something at once, and also where the test passes: what is printed in the usual way, cargo shows of failed
/// tests alone.
pub fn say(text: impl Display) {
    // Nobody may be listening.
    let _ = writeln!(std::io::stderr(), "{text}");
}
