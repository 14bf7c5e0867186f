//! The demo world before it lives: who there is, who follows whom, what was said. A pure function of a seed.

use std::collections::{BTreeSet, HashSet};

use fastrand::Rng;

use super::cast::{CAST, FAMILY, GIVEN};
use super::texts::{self, Topic};

/// People in the world, without the reader that the page signs in as.
pub const PEOPLE: usize = 300;
/// Posts that are there when the page opens.
const BACK_POSTS: usize = 360;
/// People whom the page's reader follows at first.
const YOUR_FOLLOWS: usize = 40;
/// Places in the cast whom the page's reader follows at first; the others are there to be discovered.
const YOUR_CAST: [usize; 6] = [0, 1, 3, 5, 7, 9];

/// Somebody to be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Person {
    /// Their unique handle.
    pub handle: String,
    /// Their display name.
    pub name: String,
    /// What they write about.
    pub topic: Topic,
}

/// A world on paper. People are named by their place in `people`; the cast comes first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Everybody but the page's reader.
    pub people: Vec<Person>,
    /// (follower, followee), without repeats.
    pub follows: Vec<(usize, usize)>,
    /// Whom the page's reader follows.
    pub your_follows: Vec<usize>,
    /// (author, text), oldest first.
    pub posts: Vec<(usize, String)>,
}

impl Plan {
    /// The world of this seed.
    pub fn new(rng: &mut Rng) -> Self {
        let people = people(rng);
        let follows = follows(rng, &people);
        let mut ordinary: Vec<usize> = (CAST.len()..PEOPLE).collect();
        rng.shuffle(&mut ordinary);
        let your_follows = YOUR_CAST.into_iter().chain(ordinary).take(YOUR_FOLLOWS).collect();
        let posts = (0..BACK_POSTS)
            .map(|_| {
                let author = any_author(rng);
                (author, texts::line(rng, people[author].topic))
            })
            .collect();
        Self { people, follows, your_follows, posts }
    }
}

/// Somebody to write the next post: the cast writes a quarter of them all.
pub fn any_author(rng: &mut Rng) -> usize {
    if rng.u32(..4) == 0 { rng.usize(..CAST.len()) } else { rng.usize(CAST.len()..PEOPLE) }
}

fn people(rng: &mut Rng) -> Vec<Person> {
    let mut people: Vec<Person> = CAST
        .iter()
        .map(|role| Person { handle: role.handle.to_owned(), name: role.name.to_owned(), topic: role.topic })
        .collect();
    // Every pair of names is one person, so handles are unique without a look-up.
    let mut pairs: Vec<_> = GIVEN.iter().flat_map(|given| FAMILY.iter().map(move |family| (given, family))).collect();
    rng.shuffle(&mut pairs);
    people.extend(pairs.into_iter().take(PEOPLE - CAST.len()).map(|(given, family)| Person {
        handle: format!("{}_{}", given.0, family.0),
        name: format!("{} {}", given.1, family.1),
        topic: Topic::ALL[rng.usize(..Topic::ALL.len())],
    }));
    people
}

/// The cast by their share of the audience; others by shared interest, or because they are a bit known already.
fn follows(rng: &mut Rng, people: &[Person]) -> Vec<(usize, usize)> {
    let mut follows = Vec::new();
    for (follower, person) in people.iter().enumerate() {
        let mut followees: BTreeSet<usize> =
            (0..CAST.len()).filter(|&role| rng.u32(..100) < CAST[role].followed_by_percent).collect();
        for _ in 0..rng.usize(4..20) {
            let share = rng.f64() * rng.f64();
            let followee = CAST.len() + (share * (PEOPLE - CAST.len()) as f64) as usize;
            if people[followee].topic == person.topic || rng.bool() {
                followees.insert(followee);
            }
        }
        followees.remove(&follower);
        follows.extend(followees.into_iter().map(|followee| (follower, followee)));
    }
    debug_assert_eq!(follows.iter().collect::<HashSet<_>>().len(), follows.len(), "each follow once");
    follows
}

#[cfg(test)]
mod tests {
    use super::*;
    use tributary_engine::model::Handle;

    fn plan(seed: u64) -> Plan {
        Plan::new(&mut Rng::with_seed(seed))
    }

    fn followers(plan: &Plan, person: usize) -> usize {
        plan.follows.iter().filter(|follow| follow.1 == person).count()
    }

    #[test]
    fn a_seed_makes_one_world_and_another_seed_another() {
        assert_eq!(plan(7), plan(7));
        assert_ne!(plan(7), plan(8));
    }

    #[test]
    fn everybody_has_a_handle_of_their_own_that_the_engine_accepts() {
        let plan = plan(1);
        assert_eq!(plan.people.len(), PEOPLE);
        let handles: HashSet<&str> = plan.people.iter().map(|person| person.handle.as_str()).collect();
        assert_eq!(handles.len(), PEOPLE);
        assert!(handles.iter().all(|handle| handle.parse::<Handle>().is_ok()));
        assert!(!handles.contains(super::super::cast::YOU));
    }

    #[test]
    fn a_few_are_hot_a_few_nearly_and_most_are_not() {
        for seed in 0..20 {
            let plan = plan(seed);
            let counts: Vec<usize> = (0..PEOPLE).map(|person| followers(&plan, person)).collect();
            let hot = counts.iter().filter(|&&count| count >= super::super::world::ENTER_FOLLOWERS as usize).count();
            assert!((4..=8).contains(&hot), "seed {seed}: {hot} hot of {counts:?}");
            assert!(counts.iter().any(|count| (30..60).contains(count)), "seed {seed}: nobody is nearly hot");
        }
    }

    #[test]
    fn the_reader_of_the_page_follows_some_of_the_hot_and_can_discover_others() {
        let plan = plan(3);
        assert_eq!(plan.your_follows.len(), YOUR_FOLLOWS);
        assert_eq!(plan.your_follows.iter().collect::<HashSet<_>>().len(), YOUR_FOLLOWS);
        assert!(plan.your_follows.contains(&0) && !plan.your_follows.contains(&2));
    }

    #[test]
    fn what_people_say_is_a_valid_post() {
        for (_, text) in plan(5).posts {
            let chars = text.chars().count();
            assert!((1..=2_000).contains(&chars) && !text.trim().is_empty() && !text.contains("{}"));
        }
    }
}
