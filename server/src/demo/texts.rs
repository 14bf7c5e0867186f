//! What people of the demo world say: templates by topic, with a word filled in. Not only ASCII, as in life.

use fastrand::Rng;

/// What somebody writes about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Topic {
    Stars,
    Sea,
    Bread,
    Trains,
    Code,
    Birds,
    Music,
    Chess,
    Books,
    Garden,
}

impl Topic {
    /// Every topic.
    pub const ALL: [Self; 10] = [
        Self::Stars,
        Self::Sea,
        Self::Bread,
        Self::Trains,
        Self::Code,
        Self::Birds,
        Self::Music,
        Self::Chess,
        Self::Books,
        Self::Garden,
    ];

    /// Templates, `{}` where a word goes, and the words.
    const fn phrases(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Self::Stars => (
                &[
                    "{} is easy to find tonight: look south an hour after sunset.",
                    "Clouds all evening, and then ten clear minutes of {}. Worth the cold.",
                    "First light of the new mirror. It went to {}, of course. 🔭",
                    "Somebody asked why {} seems to flicker. That is our air, not the light.",
                    "Drew {} by hand. It is astonishing how much one sees once one has to draw it.",
                ],
                &["Saturn", "the Pleiades", "Vega", "Orion's sword", "Andromeda", "the Moon's edge", "Jupiter"],
            ),
            Self::Sea => (
                &[
                    "High water within the hour. Mind the steps by the {}.",
                    "The {} is in, two days early, with more gulls than crew.",
                    "Fog. You can hear the {} and see nothing at all.",
                    "Repainted the {}. Same blue; there was never going to be another vote.",
                    "Calm as a plate this morning. Even the {} forgot to rock.",
                ],
                &["ferry", "old pilot boat", "bell buoy", "harbour light", "mail boat", "north pier", "Åland packet"],
            ),
            Self::Bread => (
                &[
                    "Day three with {}. It has a name now, so I cannot throw it away.",
                    "{}: less water, longer rest. I keep learning this.",
                    "The oven runs hot on the left. {} on the right it is.",
                    "Gave {} to the neighbours and got plums back. The best exchange rate in town.",
                    "Pão de milho today, {} tomorrow. The flour is from the mill up the hill.",
                ],
                &["Rye", "Sourdough", "Cardamom buns", "Focaccia", "Crème pâtissière", "Brioche", "Flatbread"],
            ),
            Self::Trains => (
                &[
                    "Seat by the window, {} outside, nothing to do until noon.",
                    "The 7:42 by way of {} was on time. I have witnesses.",
                    "Four hours for ninety kilometres, and I would not cut a minute of it. {} at dusk.",
                    "They are reopening the line to {}. Bring sandwiches.",
                    "A signalman waved at {}. I waved back like a child.",
                ],
                &["Göschenen", "Bodø", "the viaduct", "Ružomberok", "the salt marshes", "Kyōto", "the border"],
            ),
            Self::Code => (
                &[
                    "Deleted four hundred lines and {} got faster. A good day.",
                    "The bug was in {}. It was always going to be in {}.",
                    "Measured first this time. It was not {} at all.",
                    "Explained {} to the cat, found the mistake in the second sentence. 🐈",
                    "if it compiles && {} agrees { ship(); }",
                ],
                &[
                    "the parser",
                    "the cache",
                    "the scheduler",
                    "the test suite",
                    "the allocator",
                    "time zones",
                    "the retry",
                ],
            ),
            Self::Birds => (
                &[
                    "{} on the wire outside, singing as if paid by the note.",
                    "Counted {} at the reservoir before the dogs came. 🪶",
                    "First {} of the year! Later than last time by nine days.",
                    "Is that {}? No. It is a plastic bag. It is always a plastic bag.",
                    "Put up a box for swifts; {} moved in within the hour.",
                ],
                &["a wren", "two lapwings", "a kingfisher", "a black redstart", "eleven curlews", "a hoopoe"],
            ),
            Self::Music => (
                &[
                    "Slow practice of {}. Slower. No, slower than that.",
                    "{} in an empty church: four seconds of reverb and one pigeon.",
                    "New strings. {} sounds like someone opened a window. 🎻",
                    "今日は{}の練習。少しずつ、少しずつ。",
                    "Played {} for my grandmother, who asked for it again, but cheerful.",
                ],
                &["Bach", "the Dvořák", "Satie", "that Piazzolla", "the slow movement", "Fauré"],
            ),
            Self::Chess => (
                &[
                    "Lost in nineteen moves to {}. Lovely game, for one of us.",
                    "{} again. One day I will learn what comes after move eight.",
                    "The whole club was looking for the win, and it was {} all along.",
                    "Endgame study for the evening: {} and two lonely pawns. ♞",
                    "My opponent offered a draw, I thought of {}, I declined, I regret.",
                ],
                &["the Caro-Kann", "a quiet rook move", "the Nimzo", "a nine-year-old", "zugzwang", "the Réti"],
            ),
            Self::Books => (
                &[
                    "Page 112 of {} and I have stopped trusting the narrator.",
                    "Found {} in a box by the road, with somebody's train ticket inside.",
                    "Reading {} aloud. It changes everything about the commas.",
                    "Lent {} to a friend in spring. This is me letting go of it.",
                    "«{}» auf dem Balkon, bis das Licht nicht mehr reicht.",
                ],
                &["The Summer Book", "Szymborska", "Middlemarch", "the Moomins", "Calvino", "the appendix"],
            ),
            Self::Garden => (
                &[
                    "{} are up! I had given up on them, which is apparently the trick. 🌱",
                    "Something ate {}. Something is very content tonight.",
                    "Swapped {} for a jar of honey over the fence.",
                    "Rain at last. You could hear {} breathing out.",
                    "Note for next year: fewer courgettes, more {}. Underlined twice, like last year.",
                ],
                &["the beans", "the dahlias", "the tomatoes", "the radishes", "the old roses", "the jalapeños"],
            ),
        }
    }
}

/// What one says about anything.
const ASIDES: [&str; 12] = [
    "Good morning from the early bus.",
    "Tea first. Then opinions.",
    "Does anyone else save the last page of a notebook?",
    "Today: nothing. Gloriously nothing.",
    "The light on the wall just now. That's all, that's the post.",
    "Voilà, l'été est revenu pour un après-midi.",
    "Whoever left the umbrella at the bakery: it is being looked after.",
    "Three good things today: soup, a letter, dry socks.",
    "Heute schon gelächelt?",
    "हर दिन थोड़ा सा।",
    "I walked the long way home and it was the right way.",
    "صباح الخير للجميع ☀️",
];

/// Something that somebody who cares for `topic` says.
pub fn line(rng: &mut Rng, topic: Topic) -> String {
    if rng.u32(..8) == 0 {
        return ASIDES[rng.usize(..ASIDES.len())].to_owned();
    }
    let (templates, words) = topic.phrases();
    templates[rng.usize(..templates.len())].replace("{}", words[rng.usize(..words.len())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_of_every_topic_has_a_place_for_a_word() {
        for topic in Topic::ALL {
            let (templates, words) = topic.phrases();
            assert!(!words.is_empty() && templates.iter().all(|template| template.contains("{}")), "{topic:?}");
        }
    }
}
