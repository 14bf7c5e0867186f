//! The texts of imported posts: worlds carry none, so a post's id makes one. Always the same one.

use tributary_engine::model::PostId;

const WORDS: [&str; 64] = [
    "river",
    "morning",
    "coffee",
    "bridge",
    "über",
    "quiet",
    "lantern",
    "north",
    "train",
    "garden",
    "naïve",
    "salt",
    "window",
    "harbour",
    "paper",
    "rain",
    "señal",
    "copper",
    "orchard",
    "late",
    "blue",
    "signal",
    "Größe",
    "market",
    "stone",
    "winter",
    "kettle",
    "map",
    "crème",
    "wren",
    "ladder",
    "tide",
    "slow",
    "bread",
    "новости",
    "field",
    "mirror",
    "dust",
    "東京",
    "corner",
    "again",
    "violin",
    "ferry",
    "moss",
    "☕",
    "sketch",
    "thread",
    "summit",
    "amber",
    "locksmith",
    "ελπίδα",
    "radio",
    "cedar",
    "plain",
    "echo",
    "Łódź",
    "night",
    "pocket",
    "canal",
    "true",
    "🌊",
    "yellow",
    "early",
    "song",
];

/// Three to fourteen words after the author's handle.
pub fn text(handle: &str, post: PostId) -> Box<str> {
    let mut bits = mix(post.0);
    let count = 3 + bits % 12;
    let mut text = String::with_capacity(128);
    text.push_str(handle);
    text.push(':');
    for n in 0..count {
        // Ten words of six bits are in 64.
        if n % 10 == 0 {
            bits = mix(bits);
        }
        text.push(' ');
        text.push_str(WORDS[(bits % 64) as usize]);
        bits >>= 6;
    }
    text.into()
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tributary_engine::limits::TEXT_CHARS;

    #[test]
    fn texts_are_valid_varied_and_always_the_same() {
        let texts: Vec<Box<str>> = (1..1_000).map(|id| text("u17", PostId(id << 12))).collect();
        assert!(texts.iter().all(|text| text.starts_with("u17: ") && text.chars().count() <= TEXT_CHARS));
        assert!(texts.iter().any(|text| !text.is_ascii()));
        assert_eq!(texts.iter().collect::<std::collections::HashSet<_>>().len(), texts.len());
        assert_eq!(texts[5], text("u17", PostId(6 << 12)));
    }
}
