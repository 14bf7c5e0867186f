//! Everything that a part of the test needs: services, nodes, users, what is true and what is away; and the one way to
//! ask a node, which knows what answers are allowed.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::Value;
use tributary_engine::model::UserId;
use tributary_engine::testkit::Truth;

use crate::common::{Ask, Reply, Sent, Session, user_id};
use crate::ledger::Ledger;
use crate::nodes::Nodes;
use crate::services::Services;
use crate::weather::Weather;

pub const CLIENTS: usize = 8;
pub const USERS_EACH: usize = 3;
/// No answer may take so long, whatever is away.
const HANG: Duration = Duration::from_secs(20);
/// Everything that is waited for comes within this.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at something that is waited for.
pub const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A user, with a token that is good on both nodes.
#[derive(Clone)]
pub struct User {
    pub id: UserId,
    pub handle: String,
    token: String,
}

/// The world.
pub struct World {
    pub services: Services,
    pub nodes: Nodes,
    pub weather: Weather,
    pub ledger: RefCell<Ledger>,
    /// The users of the clients that write, and behind them those of [`freshness`](crate::freshness).
    pub users: Vec<User>,
    /// Whether load goes on.
    pub loading: Cell<bool>,
    /// Whether the clients write posts and nothing else, which is right whatever else is true.
    pub posts_only: Cell<bool>,
    /// Commands of other kinds on their way.
    pub others_under_way: Cell<usize>,
    /// Commands sent so far; makes keys and texts.
    sent: Cell<u64>,
    /// Acknowledged since the last comparison, with the body of the answer.
    pub acknowledged: RefCell<Vec<(Sent, Bytes)>>,
    operator: String,
}

impl World {
    /// A world whose users are made; `more` are the handles of users beside those of the clients.
    pub async fn new(services: Services, nodes: Nodes, more: &[&str]) -> Self {
        let client = nodes.api[0].client();
        let (mut truth, mut users) = (Truth::new(), Vec::new());
        let crowd = (0..CLIENTS * USERS_EACH).map(|n| format!("user_{n}"));
        for handle in crowd.chain(more.iter().map(|&handle| handle.to_owned())) {
            let Session { token, id, .. } = client.sign_in(&handle).await;
            let id = UserId(id.parse().unwrap());
            truth.make_user(id, &handle.parse().unwrap(), &handle);
            users.push(User { id, handle, token });
        }
        let operator = client.operator("operator").await;
        truth.make_user(user_id(&operator), &"operator".parse().unwrap(), "operator");
        Self {
            services,
            nodes,
            weather: Weather::default(),
            ledger: RefCell::new(Ledger::new(truth)),
            users,
            loading: Cell::new(false),
            posts_only: Cell::new(false),
            others_under_way: Cell::new(0),
            sent: Cell::new(0),
            acknowledged: RefCell::default(),
            operator: operator.token,
        }
    }

    /// The user with this handle.
    pub fn user(&self, handle: &str) -> &User {
        self.users.iter().find(|user| user.handle == handle).unwrap()
    }

    /// A user's session on a node.
    pub fn session(&self, user: &User, node: usize) -> Session {
        Session { client: self.nodes.api[node].client(), token: user.token.clone(), id: user.id.to_string() }
    }

    /// The number of the next command.
    pub fn next_number(&self) -> u64 {
        self.sent.set(self.sent.get() + 1);
        self.sent.get()
    }

    /// The answer of a node; none where it need not answer now.
    pub async fn ask(&self, user: &User, node: usize, ask: impl FnOnce(&Session) -> Ask) -> Option<Reply> {
        let asked = Instant::now();
        let answer = tokio::time::timeout(HANG, ask(&self.session(user, node)).attempt()).await;
        let answer = answer.unwrap_or_else(|_| panic!("api-{node} hangs during {}", self.weather.phase.borrow()));
        match answer {
            Ok(reply) if reply.status == 503 => {
                let excused = self.weather.excuses_503(asked);
                assert!(excused, "api-{node} during {}: {} {}", self.phase(), reply.asked, reply.text());
                None
            }
            Ok(reply) => {
                reply.check();
                Some(reply)
            }
            Err(error) => {
                assert!(self.weather.excuses_silence(node, asked), "api-{node} during {}: {error}", self.phase());
                None
            }
        }
    }

    /// What is done now, for messages.
    pub fn phase(&self) -> String {
        self.weather.phase.borrow().clone()
    }

    /// Says what is done from now on.
    pub fn enter(&self, phase: &str) {
        *self.weather.phase.borrow_mut() = phase.to_owned();
    }

    /// Kills a node that serves, for a while.
    pub async fn kill_api(&self, node: usize, pause: Duration) {
        self.weather.nodes[node].goes();
        self.nodes.api[node].kill();
        tokio::time::sleep(pause).await;
        self.nodes.api[node].start().await;
        self.weather.nodes[node].is_back();
    }

    /// The rows of a statement in the nodes' database, which is there.
    pub async fn sql(&self, statement: &str) -> Vec<tokio_postgres::SimpleQueryRow> {
        self.services.sql(&self.nodes.database, statement).await.unwrap()
    }

    /// The number in the first column of the first row.
    pub async fn number(&self, statement: &str) -> i64 {
        self.sql(statement).await[0].get(0).unwrap().parse().unwrap()
    }

    /// What a node says of itself to operators.
    pub async fn status(&self, node: usize) -> Option<Value> {
        let operator =
            Session { client: self.nodes.api[node].client(), token: self.operator.clone(), id: String::new() };
        let reply = tokio::time::timeout(HANG, operator.get("/v1/operator/status").attempt()).await.ok()?.ok()?;
        (reply.status == 200).then(|| reply.json())
    }

    /// Waits until a look finds something. What is waited for is told where it never comes.
    pub async fn until<T>(&self, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look().await {
                return found;
            }
            assert!(Instant::now() < until, "after {}: never came to be: {what}", self.phase());
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until both nodes are ready.
    pub async fn until_ready(&self) {
        for node in &self.nodes.api {
            let ready = async || {
                let reply = node.client().get("/readyz").attempt().await.ok()?;
                (reply.status == 200).then_some(())
            };
            self.until(&format!("{} is ready", node.name), ready).await;
        }
    }
}
