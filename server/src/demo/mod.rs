//! The demo: a small living world, to be watched from the page.
//!
//! It is a few hundred people who use the engine by the same commands as everybody else, so nothing here rests on
//! anything but the facade.

mod cast;
mod plan;
mod texts;
mod world;

pub use world::{World, live, seed};

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_suggests_to_sign_in_as_the_reader_of_the_demo() {
        let page = crate::page::asset("/").expect("the page is served");
        let suggested = format!("value=\"{}\"", super::cast::YOU);
        assert!(String::from_utf8_lossy(page.bytes).contains(&suggested));
    }
}
