//! The warm-up: what costs a sign-in is done before anything is measured.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use tokio::task::{JoinHandle, spawn_local};

use super::crew::Crew;
use crate::api::tokens::LIMITS_ADVICE;
use crate::api::{Target, Wire};
use crate::progress::Progress;

/// Signs in everybody who reads, before anything is measured.
///
/// # Errors
/// When somebody cannot be.
pub async fn warm_up(crew: &Rc<Crew>, target: &Target, connections: usize) -> Result<()> {
    let progress = Rc::new(RefCell::new(Progress::start("signing readers in", Some(crew.cast.readers().len() as u64))));
    let next = Rc::new(Cell::new(0));
    let tasks: Vec<JoinHandle<()>> = (0..connections)
        .map(|_| {
            let (crew, progress, next, mut wire) =
                (Rc::clone(crew), Rc::clone(&progress), Rc::clone(&next), Wire::new(target));
            spawn_local(async move {
                while let Some(&reader) = crew.cast.readers().get(next.get()) {
                    next.set(next.get() + 1);
                    if crew.sign_in(&mut wire, reader, &mut Instant::now()).await.is_none() {
                        next.set(usize::MAX);
                    }
                    progress.borrow_mut().add(1);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.context("signing readers in")?;
    }
    let figures = crew.figures.borrow();
    let errors: Vec<String> = figures.tallies().flat_map(|(_, tally)| tally.errors.keys().cloned()).collect();
    ensure!(figures.limited == 0, "signing readers in: answered 429; {LIMITS_ADVICE}");
    ensure!(errors.is_empty(), "signing readers in at {}: {} {}", target.url, errors.join(", "), crew.trouble.borrow());
    drop(figures);
    if let Some(progress) = Rc::into_inner(progress) {
        progress.into_inner().finish();
    }
    Ok(())
}
