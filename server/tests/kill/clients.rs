//! Clients that write at the same time, each for a few users of its own, one command after the other.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;

use bytes::Bytes;
use futures::future::{join, join_all};
use tributary_engine::model::{Command, UserId};
use tributary_engine::testkit::Truth;

use crate::common::{Client, Sent, Session, assert_none, choose, home_faults, user_faults, user_id};

const CLIENTS: usize = 10;
const USERS_EACH: usize = 4;
/// Settled commands that are sent once more after each kill.
const REPEATED: usize = 20;

/// All clients, and what they know.
pub struct Clients {
    sessions: Vec<Session>,
    truth: RefCell<Truth>,
    rng: fastrand::Rng,
    sent: Cell<u64>,
    /// Since the last kill: acknowledged, with the body of the answer.
    acknowledged: RefCell<Vec<(Sent, Bytes)>>,
    /// Not acknowledged when the server was killed.
    open: Vec<Sent>,
    /// Counts for who runs the test.
    figures: BTreeMap<&'static str, usize>,
}

impl Clients {
    pub async fn sign_in(address: SocketAddr, rng: &mut fastrand::Rng) -> Self {
        let (client, mut truth, mut sessions) = (Client::new(address), Truth::new(), Vec::new());
        for n in 0..CLIENTS * USERS_EACH {
            let handle = format!("user_{n}");
            let session = client.sign_in(&handle).await;
            truth.make_user(user_id(&session), &handle.parse().unwrap(), &handle);
            sessions.push(session);
        }
        Self {
            sessions,
            truth: RefCell::new(truth),
            rng: rng.fork(),
            sent: Cell::default(),
            acknowledged: RefCell::default(),
            open: Vec::new(),
            figures: BTreeMap::new(),
        }
    }

    /// From now on the server is at `address`; tokens stay good.
    pub fn reconnect(&mut self, address: SocketAddr) {
        let client = Client::new(address);
        for session in &mut self.sessions {
            session.client = client.clone();
        }
    }

    /// Finds out what became of the open commands, compares everything, then retries them under their keys.
    pub async fn settle(&mut self, readers: usize) {
        let mut open = Vec::new();
        for sent in std::mem::take(&mut self.open) {
            let found = sent.found(|user| of(&self.sessions, user), self.truth.get_mut()).await;
            if let Some(post) = found {
                sent.happened(self.truth.get_mut(), post);
            }
            open.push((sent, found.is_some()));
        }
        // Nothing is waited for: a node that is ready has everything.
        self.compare(readers).await;
        for (sent, happened) in open {
            self.retry(&sent, happened).await;
        }
        self.repeat().await;
    }

    async fn retry(&mut self, sent: &Sent, happened: bool) {
        *self.figures.entry(if happened { "done unacknowledged" } else { "not done" }).or_default() += 1;
        let first = sent.ask(of(&self.sessions, sent.actor)).await;
        assert!(first.status.is_success(), "{sent:?}: {} {}", first.status, first.text());
        assert_eq!(first.header("idempotency-replayed").is_some(), happened, "{sent:?}");
        if !happened {
            sent.acknowledged(self.truth.get_mut(), &first);
        }
        let second = sent.ask(of(&self.sessions, sent.actor)).await;
        assert_eq!((second.status, &second.body), (first.status, &first.body), "{sent:?}");
        assert!(second.header("idempotency-replayed").is_some(), "{sent:?}");
    }

    /// Acknowledged commands, under their keys again: the same answer, and nothing happens, whatever came since.
    async fn repeat(&mut self) {
        let acknowledged = std::mem::take(self.acknowledged.get_mut());
        *self.figures.entry("acknowledged").or_default() += acknowledged.len();
        let picks: Vec<_> = (0..REPEATED).filter_map(|_| self.rng.choice(&acknowledged)).collect();
        for (sent, body) in picks {
            let reply = sent.ask(of(&self.sessions, sent.actor)).await;
            assert!(reply.status.is_success(), "{sent:?}: {} {}", reply.status, reply.text());
            assert!(reply.header("idempotency-replayed").is_some(), "{sent:?}");
            assert_eq!(reply.body, *body, "{sent:?}");
        }
    }

    async fn compare(&mut self, readers: usize) {
        let (truth, sessions) = (&*self.truth.get_mut(), &self.sessions);
        for (sent, _) in self.acknowledged.get_mut() {
            if let Command::Remove { post } = sent.command {
                of(sessions, sent.actor).get(&format!("/v1/posts/{post}")).await.problem(404, "unknown_post");
            }
        }
        assert_none(&join_all(sessions.iter().map(|session| user_faults(truth, session))).await);
        let sample = self.rng.choose_multiple(sessions, readers.min(sessions.len()));
        assert_none(&join_all(sample.into_iter().map(|session| home_faults(truth, session))).await);
    }

    /// Writes until `kill` is done and the connections broke.
    pub async fn load(&mut self, kill: impl Future<Output = ()>) {
        let killed = Cell::new(false);
        let kill = async {
            kill.await;
            killed.set(true);
        };
        let rngs: Vec<_> = (0..CLIENTS).map(|_| self.rng.fork()).collect();
        let clients = rngs.into_iter().enumerate().map(|(n, rng)| self.write(n, rng, &killed));
        let (open, ()) = join(join_all(clients), kill).await;
        self.open = open;
    }

    /// One client; its last command, which was not acknowledged.
    async fn write(&self, client: usize, mut rng: fastrand::Rng, killed: &Cell<bool>) -> Sent {
        let own = client * USERS_EACH..(client + 1) * USERS_EACH;
        let users: Vec<UserId> = self.sessions.iter().map(user_id).collect();
        loop {
            self.sent.set(self.sent.get() + 1);
            let (actor, command) = choose(&self.truth.borrow(), &users, own.clone(), self.sent.get(), &mut rng);
            let sent = Sent { actor, key: format!("key-{}", self.sent.get()), command };
            match sent.ask(of(&self.sessions, actor)).attempt().await {
                Ok(reply) => {
                    assert!(reply.status.is_success(), "{sent:?}: {} {}", reply.status, reply.text());
                    assert!(reply.header("idempotency-replayed").is_none(), "{sent:?}");
                    sent.acknowledged(&mut self.truth.borrow_mut(), &reply);
                    self.acknowledged.borrow_mut().push((sent, reply.body));
                }
                Err(error) => {
                    assert!(killed.get(), "the server went away by itself: {error}");
                    return sent;
                }
            }
        }
    }

    /// What happened so far.
    pub fn told(&self) -> String {
        format!("{:?}, {} posts", self.figures, self.truth.borrow().post_ids().len())
    }
}

fn of(sessions: &[Session], user: UserId) -> &Session {
    sessions.iter().find(|session| user_id(session) == user).unwrap()
}
