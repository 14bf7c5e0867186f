//! Who can live in the demo world: a fixed cast, and names for everybody else.

use super::texts::Topic;

/// Somebody of the cast.
pub struct Role {
    /// The handle, the same in every world.
    pub handle: &'static str,
    /// The display name.
    pub name: &'static str,
    /// What they write about.
    pub topic: Topic,
    /// How many of a hundred people follow them.
    pub followed_by_percent: u32,
}

const fn role(handle: &'static str, name: &'static str, topic: Topic, followed_by_percent: u32) -> Role {
    Role { handle, name, topic, followed_by_percent }
}

/// The handle of the reader whom the page's sign-in form suggests.
pub const YOU: &str = "you";

/// The cast, by falling audience: the first are hot from the start, the next nearly so.
pub const CAST: [Role; 16] = [
    role("night_sky", "The Night Sky", Topic::Stars, 78),
    role("harbour_news", "Harbour News", Topic::Sea, 64),
    role("ines_bakes", "Inês Carvalho", Topic::Bread, 52),
    role("slow_trains", "Slow Trains", Topic::Trains, 43),
    role("kofi_codes", "Kofi Mensah", Topic::Code, 36),
    role("wren_watch", "Wren Watch", Topic::Birds, 29),
    role("yuki_plays", "雪 Yuki Tanaka", Topic::Music, 24),
    role("open_gambit", "Zoë Lindqvist", Topic::Chess, 18),
    role("paper_boats", "Paper Boats", Topic::Books, 16),
    role("allotment_9", "Allotment No. 9", Topic::Garden, 14),
    role("tidal_tom", "Tomás Ó Briain", Topic::Sea, 12),
    role("crumb_lab", "Crumb Lab", Topic::Bread, 10),
    role("branch_line", "Łucja Nowak", Topic::Trains, 8),
    role("moss_and_fern", "Moss & Fern", Topic::Garden, 7),
    role("second_reader", "Ayşe Demir", Topic::Books, 6),
    role("low_orbit", "Low Orbit", Topic::Stars, 5),
];

/// Given names, as written in a handle and as written by their owners.
pub const GIVEN: [(&str, &str); 40] = [
    ("ada", "Ada"),
    ("amara", "Amara"),
    ("anouk", "Anouk"),
    ("aziz", "Aziz"),
    ("bela", "Béla"),
    ("bruno", "Bruno"),
    ("chidi", "Chidi"),
    ("clara", "Clara"),
    ("dina", "Dina"),
    ("elif", "Elif"),
    ("emil", "Emil"),
    ("farah", "Farah"),
    ("finn", "Finn"),
    ("gita", "Gita"),
    ("hana", "Hana"),
    ("hugo", "Hugo"),
    ("ida", "Ida"),
    ("ivo", "Ivo"),
    ("jakub", "Jakub"),
    ("jun", "Jun"),
    ("kaya", "Kaya"),
    ("lars", "Lars"),
    ("leila", "Leïla"),
    ("liv", "Liv"),
    ("mateo", "Mateo"),
    ("mina", "Mina"),
    ("nadia", "Надя"),
    ("nils", "Nils"),
    ("oona", "Oona"),
    ("oscar", "Óscar"),
    ("priya", "Priya"),
    ("quentin", "Quentin"),
    ("rosa", "Rosa"),
    ("samir", "Samir"),
    ("soren", "Søren"),
    ("tala", "Tala"),
    ("uma", "Uma"),
    ("vera", "Vera"),
    ("wanda", "Wanda"),
    ("yara", "Yara"),
];

/// Family names, likewise.
pub const FAMILY: [(&str, &str); 30] = [
    ("abe", "Abe"),
    ("adeyemi", "Adeyemi"),
    ("berg", "Berg"),
    ("castro", "Castro"),
    ("cerny", "Černý"),
    ("dubois", "Dubois"),
    ("eriksen", "Eriksen"),
    ("farkas", "Farkas"),
    ("garcia", "García"),
    ("haddad", "Haddad"),
    ("hill", "Hill"),
    ("ito", "Ito"),
    ("jansen", "Jansen"),
    ("kaur", "Kaur"),
    ("keller", "Keller"),
    ("lopez", "López"),
    ("marsh", "Marsh"),
    ("moreau", "Moreau"),
    ("ngata", "Ngata"),
    ("okafor", "Okafor"),
    ("park", "Park"),
    ("petrov", "Petrov"),
    ("quinn", "Quinn"),
    ("rossi", "Rossi"),
    ("sato", "Sato"),
    ("shah", "Shah"),
    ("thorne", "Thorne"),
    ("vidal", "Vidal"),
    ("weiss", "Weiß"),
    ("yilmaz", "Yılmaz"),
];
